package train

import (
	"cmp"
	"context"
	"math"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// budget is how long a race may go on: a number of trials, or, where it is set,
// a time in which it tries as many as it can.
type budget struct {
	trials int
	time   time.Duration
}

// timeSteps is how many steps of progress a race against time is told in.
const timeSteps = 10

// steps is the number of times a race calls its step.
func (b budget) steps() int {
	if b.time > 0 {
		return timeSteps
	}
	return b.trials
}

// trial is a setting of a part and what it says about the held-out rows.
type trial[S any] struct {
	setting S
	scores  [][][]float32 // by fold, then by epoch or round, of the fold's held-out rows
	loss    float64       // sum over the folds run so far
}

// racer finds the best setting of a part by successive halving over the folds
// (Jamieson, Talwalkar 2016): all settings run on the first fold, the best third
// on the second, the best third of those on the rest. A few settings run on all.
// One budget of trials has one winner; a budget of time has not.
type racer[S any] struct {
	p       *problem
	budget  budget
	setting func(n int) S // the n-th to try
	// fit gives the held-out scores of a fold after each epoch or round.
	fit  func(ctx context.Context, s S, f *fold) ([][]float32, error)
	step func()
}

// allFolds is the number of trials up to which each runs on all folds.
const allFolds = 3

func (r *racer[S]) run(ctx context.Context) (*trial[S], error) {
	folds := len(r.p.folds)
	done := folds
	if r.budget.trials > allFolds || r.budget.time > 0 {
		done = 1
	}
	ts, err := r.enter(ctx, done)
	if err != nil {
		return nil, err
	}
	for done < folds {
		slices.SortStableFunc(ts, func(a, b *trial[S]) int { return cmp.Compare(a.loss, b.loss) })
		ts = ts[:(len(ts)+2)/3]
		next := done + 1
		if done > 1 {
			next = folds
		}
		if err := r.heat(ctx, ts, done, next); err != nil {
			return nil, err
		}
		done = next
	}
	return slices.MinFunc(ts, func(a, b *trial[S]) int { return cmp.Compare(a.loss, b.loss) }), nil
}

// enter spends the budget on the first folds, as many trials at once as there
// are processors.
func (r *racer[S]) enter(ctx context.Context, folds int) ([]*trial[S], error) {
	var all []*trial[S]
	start, told := time.Now(), 0
	for {
		n := min(runtime.GOMAXPROCS(0), r.budget.trials-len(all))
		if r.budget.time > 0 {
			n = runtime.GOMAXPROCS(0)
		}
		ts := make([]*trial[S], n)
		for k := range ts {
			ts[k] = &trial[S]{setting: r.setting(len(all) + k)}
		}
		if err := r.heat(ctx, ts, 0, folds); err != nil {
			return nil, err
		}
		all = append(all, ts...)
		share := float64(len(all)) / float64(max(1, r.budget.trials))
		if r.budget.time > 0 {
			share = float64(time.Since(start)) / float64(r.budget.time)
		}
		for ; told < r.budget.steps() && float64(told+1) <= share*float64(r.budget.steps())+1e-9; told++ {
			r.step()
		}
		if share >= 1 {
			return all, nil
		}
	}
}

// heat runs trials on the folds [from,to).
func (r *racer[S]) heat(ctx context.Context, ts []*trial[S], from, to int) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, t := range ts {
		t.scores = append(t.scores, make([][][]float32, to-from)...)
		for k := from; k < to; k++ {
			g.Go(func() (err error) {
				t.scores[k], err = r.fit(ctx, t.setting, &r.p.folds[k])
				return err
			})
		}
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, t := range ts {
		for k := from; k < to; k++ {
			t.loss += r.p.least(t.scores[k], r.p.folds[k].out)
		}
	}
	return nil
}

// least is the smallest mean loss of any step's scores of the rows out.
func (p *problem) least(scores [][]float32, out []int) float64 {
	best := math.Inf(1)
	for _, s := range scores {
		best = min(best, p.total(s, out)/float64(len(out)))
	}
	return best
}

func (p *problem) total(s []float32, out []int) (sum float64) {
	for k, i := range out {
		sum += p.loss.Of(float64(s[k]), p.y[i])
	}
	return sum
}

// best is the step of a trial with the least loss over all folds, and its
// scores. A fold that ended early keeps its last scores.
func (p *problem) best(folds [][][]float32) (step int, held []float64) {
	at := func(k, n int) []float32 { return folds[k][min(n, len(folds[k]))-1] }
	last := 0
	for _, f := range folds {
		last = max(last, len(f))
	}
	least := math.Inf(1)
	for n := 1; n <= last; n++ {
		var sum float64
		for k := range folds {
			sum += p.total(at(k, n), p.folds[k].out)
		}
		if sum < least {
			step, least = n, sum
		}
	}
	held = make([]float64, len(p.y))
	for k := range folds {
		for i, v := range at(k, step) {
			held[p.folds[k].out[i]] = float64(v)
		}
	}
	return step, held
}

// watch ends a fold's training when its held-out loss has not fallen for long.
type watch struct {
	best     float64
	at, wait int
}

func newWatch(wait int) *watch { return &watch{best: math.Inf(1), wait: wait} }

func (w *watch) on(step int, loss float64) (goOn bool) {
	if loss < w.best {
		w.best, w.at = loss, step
	}
	return step-w.at < w.wait
}
