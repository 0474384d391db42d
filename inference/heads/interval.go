package heads

import (
	"fmt"
	"math"
	"slices"
)

// Intervals say how far the spend of the horizon may lie from its expectation.
// A row's spend is taken as 0 or lognormal: any spending with the probability of
// Spend.Any, its logarithm normal around the amount score. Two quantiles of that
// law a level were then moved until held-out rows were covered as the level says
// (distributional conformal prediction, Chernozhukov, Wüthrich, Zhu 2021), so the
// coverage does not rest on the law.
type Intervals struct {
	Sigma  float64 `json:"sigma"` // of the logarithm
	Levels []Level `json:"levels"`
}

// Level is an interval that covers a share of the rows, between two quantiles
// of their own law.
type Level struct {
	Coverage float64 `json:"coverage"`
	Low      float64 `json:"low"`
	High     float64 `json:"high"`
}

// Coverages are the levels that are fitted.
var Coverages = []float64{.8, .9}

// place is where a spend lies in its law: the quantiles that just miss it, from
// below and from above. They differ for no spending, which has a probability of
// its own.
func (n *Intervals) place(any, amount, spend float64) (below, above float64) {
	if !(spend > 0) {
		return 1 - any, 0
	}
	q := 1 - any + any*.5*math.Erfc((amount-math.Log(spend))/(n.Sigma*math.Sqrt2))
	return q, q
}

// quantile inverts the law.
func (n *Intervals) quantile(any, amount, q float64) float64 {
	const edge = 1e-9 // keeps the ends of the law finite
	in := (q - (1 - any)) / any
	if !(in > 0) {
		return 0
	}
	in = min(1-edge, max(edge, in))
	return math.Exp(amount + n.Sigma*math.Sqrt2*math.Erfinv(2*in-1))
}

// FitIntervals fits the levels to what held-out rows spent: churn and amount are
// their held-out scores.
func (s *Spend) FitIntervals(churn, amount, spend []float64) *Intervals {
	n := &Intervals{}
	var sq, k float64
	for i, v := range spend {
		if v > 0 {
			e := math.Log(v) - s.bounded(amount[i])
			sq, k = sq+e*e, k+1
		}
	}
	n.Sigma = max(1e-3, math.Sqrt(sq/max(1, k)))
	below, above := make([]float64, len(spend)), make([]float64, len(spend))
	for i, v := range spend {
		below[i], above[i] = n.place(s.Any.Probability(-churn[i]), s.bounded(amount[i]), v)
	}
	slices.Sort(below)
	slices.Sort(above)
	for _, c := range Coverages {
		// The k-th of n+1 places, as for a row that is yet to come.
		rows := float64(len(spend))
		miss := (1 - c) / 2 * (rows + 1)
		l := Level{Coverage: c, High: 1}
		if k := int(miss); k >= 1 {
			l.Low, l.High = below[k-1], above[len(above)-k]
		}
		l.High = max(l.High, l.Low)
		n.Levels = append(n.Levels, l)
	}
	return n
}

// Interval is where the spend of the horizon lies with the given coverage, one
// of Coverages; ok is false where none was fitted. churn and amount are the scores
// that Spend.Value takes.
func (s *Set) Interval(churn, amount, coverage float64) (low, high float64, ok bool) {
	if s.Intervals == nil {
		return 0, 0, false
	}
	any, a := s.Spend.Any.Probability(-churn), s.Spend.bounded(amount)
	for _, l := range s.Intervals.Levels {
		if l.Coverage == coverage {
			return s.Intervals.quantile(any, a, l.Low), s.Intervals.quantile(any, a, l.High), true
		}
	}
	return 0, 0, false
}

func (n *Intervals) validate() error {
	if n == nil {
		return nil
	}
	if !(n.Sigma > 0) || math.IsInf(n.Sigma, 0) || n.Sigma > 20 {
		return fmt.Errorf("intervals: a deviation of %v", n.Sigma)
	}
	for _, l := range n.Levels {
		if !(l.Coverage > 0 && l.Coverage < 1 && l.Low >= 0 && l.Low <= l.High && l.High <= 1) {
			return fmt.Errorf("intervals: coverage %v between the quantiles %v and %v", l.Coverage, l.Low, l.High)
		}
	}
	return nil
}
