package score

import (
	"context"

	"github.com/apache/arrow/go/v17/arrow"

	"profilestream/inference/heads"
)

// Intervals gives the intervals of value with one of heads.Coverages, one element
// a row of a record of schemas.WindowRows, by the heads that Score uses. It is nil
// where the bundle has none of that coverage.
func (s *Scorer) Intervals(ctx context.Context, rec arrow.Record, coverage float64) ([]Interval, error) {
	set, full := &s.model.Numeric, s.embedder != nil
	if full {
		set = &s.model.Full
	}
	if _, _, ok := set.Interval(0, 0, coverage); !ok {
		return nil, nil
	}
	w := s.pool.Get().(*work)
	defer s.pool.Put(w)
	if err := w.bind(rec); err != nil {
		return nil, err
	}
	defer w.release()
	if err := w.embed(ctx, s.embedder); err != nil {
		return nil, err
	}
	out := make([]Interval, 0, w.rows)
	for lo := 0; lo < w.rows; lo += blockRows {
		hi := min(lo+blockRows, w.rows)
		if err := w.inputs(set, lo, hi, full); err != nil {
			return nil, err
		}
		out = w.appendIntervals(out, set, hi-lo, coverage)
	}
	return out, nil
}

func (w *work) appendIntervals(out []Interval, set *heads.Set, n int, coverage float64) []Interval {
	w.churn, w.amount = resize(w.churn, n), resize(w.amount, n)
	set.Churn.Ensemble.Score(&w.x, &w.scratch, w.churn)
	set.Spend.Amount.Score(&w.x, &w.scratch, w.amount)
	for i := range n {
		low, high, _ := set.Interval(w.churn[i], w.amount[i], coverage)
		out = append(out, Interval{Coverage: coverage, Low: low, High: high})
	}
	return out
}
