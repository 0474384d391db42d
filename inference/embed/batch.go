package embed

import (
	"context"
	"sort"
	"time"

	"golang.org/x/sync/errgroup"

	"profilestream/inference/encoder"
)

// miss is a distinct row that is not in the cache, and the texts that want it.
type miss struct {
	key  Key
	ids  []int32
	want []int
}

// encode returns the vectors of the misses, in their order.
func (e *Embedder) encode(ctx context.Context, misses []miss) ([][]float32, error) {
	vectors := make([][]float32, len(misses))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(e.enc.Slots())
	for _, batch := range plan(misses, min(e.cfg.BatchTokens, e.enc.BatchTokens()), e.enc.Slots()) {
		g.Go(func() error {
			rows := make([][]int32, len(batch))
			for i, m := range batch {
				rows[i] = misses[m].ids
			}
			bctx, cancel := context.WithTimeout(gctx, e.cfg.Timeout)
			defer cancel()
			started := time.Now()
			got, err := e.enc.Encode(bctx, rows)
			if err != nil {
				return err
			}
			e.count.observe(rows, time.Since(started))
			for i, m := range batch {
				vectors[m] = got[i]
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return vectors, nil
}

// plan cuts the misses, shortest first, into batches of at most budget tokens with
// padding. A batch holds rows of one padded length only, so that the padding of a row
// is its own and its vector cannot depend on a longer batch mate. The longest batches
// go first: the slots then finish together.
func plan(misses []miss, budget, slots int) [][]int {
	order := make([]int, len(misses))
	total := 0
	for i := range order {
		order[i] = i
		total += encoder.PaddedLen(len(misses[i].ids))
	}
	sort.SliceStable(order, func(a, b int) bool { return len(misses[order[a]].ids) > len(misses[order[b]].ids) })
	// With few rows a budget's worth would leave slots idle.
	budget = max(min(budget, (total+slots-1)/slots), 1)
	var batches [][]int
	for from := 0; from < len(order); {
		n := encoder.PaddedLen(len(misses[order[from]].ids))
		to := from + 1
		for to < len(order) && (to-from+1)*n <= budget && encoder.PaddedLen(len(misses[order[to]].ids)) == n {
			to++
		}
		batches = append(batches, order[from:to])
		from = to
	}
	return batches
}
