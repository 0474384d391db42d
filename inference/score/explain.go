package score

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"

	"profilestream/inference/heads"
)

// Explanation is how a row came by its churn probability.
type Explanation struct {
	Text string // what the encoder read
	// Base and LogOdds are calibrated log-odds of churn: of the customer that
	// effects are counted from, and of the row.
	Base, LogOdds float64
	// Effects holds every feature that moves the row, largest effect first. Base
	// plus all effects is LogOdds.
	Effects []Effect
	// Interval of the spend in the horizon; nil where the bundle has none.
	Interval *Interval
	// Methods says how the effects of each part of the model are found.
	Methods []heads.Method
}

// Effect is what one feature, or the text, adds to the log-odds of churn.
type Effect struct {
	Feature string  `json:"feature"`
	Effect  float64 `json:"effect"`
}

// Interval holds the spend of the horizon with a probability of Coverage.
type Interval struct {
	Coverage float64 `json:"coverage"`
	Low      float64 `json:"low"`
	High     float64 `json:"high"`
}

// coverage of the interval that is shown, one of heads.Coverages.
const coverage = .9

// Explain explains row i of a record of schemas.WindowRows, whose reasons as
// Score gives them are the first of its effects. Errors are Score's.
func (s *Scorer) Explain(ctx context.Context, rec arrow.Record, i int) (*Explanation, error) {
	if i < 0 || int64(i) >= rec.NumRows() {
		return nil, fmt.Errorf("explaining row %d of %d", i, rec.NumRows())
	}
	one := rec.NewSlice(int64(i), int64(i)+1)
	defer one.Release()
	w := s.pool.Get().(*work)
	defer s.pool.Put(w)
	if err := w.bind(one); err != nil {
		return nil, err
	}
	defer w.release()
	if err := w.embed(ctx, s.embedder); err != nil {
		return nil, err
	}
	set, base, err := w.explain(0, 1, s.embedder != nil)
	if err != nil {
		return nil, err
	}
	c, z := &set.Churn, w.churn[0]
	x := &Explanation{
		Text: w.text.User(0), Methods: c.Ensemble.Methods(),
		Base: heads.Logit(c.Calibration.Probability(base)), LogOdds: heads.Logit(c.Calibration.Probability(z)),
	}
	if low, high, ok := set.Interval(z, w.amount[0], coverage); ok {
		x.Interval = &Interval{Coverage: coverage, Low: low, High: high}
	}
	w.group(0)
	scale := c.EffectScale(z, base)
	for g, e := range w.reasons {
		if e *= scale; e != 0 {
			x.Effects = append(x.Effects, Effect{Feature: s.names[g], Effect: e})
		}
	}
	slices.SortStableFunc(x.Effects, func(a, b Effect) int { return cmp.Compare(math.Abs(b.Effect), math.Abs(a.Effect)) })
	return x, nil
}
