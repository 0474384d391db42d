package train

import (
	"context"
	"math"

	"profilestream/inference/features"
	"profilestream/inference/heads"
)

// leading are the numbers of text components that are tried: components of
// little variance are more often noise than news, and cost as much as news.
var leading = []int{2, 6}

// leadingPenalty is the L2 weight of the linear scores that choose.
const leadingPenalty = .02

// trim keeps the leading text components with which a linear score of churn has
// the least held-out loss, and returns the inputs without the others.
func (s *sample) trim(ctx context.Context, m *heads.Model, x *heads.Matrix, churn []float64, of []int) (*heads.Matrix, error) {
	n, all := len(features.Inputs), len(m.Text.Bias)
	if s.embeddings == nil {
		return x, nil
	}
	best, least, kept := x, math.Inf(1), all
	for _, k := range append([]int{all}, leading...) {
		if k > all {
			continue
		}
		narrow := without(x, n+k, n+all)
		loss, err := heldLoss(ctx, narrow, churn, of)
		if err != nil {
			return nil, err
		}
		if loss < least {
			best, least, kept = narrow, loss, k
		}
	}
	m.Text.Bias = m.Text.Bias[:kept]
	m.Text.Weights = m.Text.Weights[:kept*m.Text.Dim]
	return best, nil
}

// without copies x less the columns from lo up to hi.
func without(x *heads.Matrix, lo, hi int) *heads.Matrix {
	if lo == hi {
		return x
	}
	out := heads.NewMatrix(x.Rows, x.Cols-(hi-lo))
	for i := range x.Rows {
		k := copy(out.Row(i), x.Row(i)[:lo])
		copy(out.Row(i)[k:], x.Row(i)[hi:])
	}
	return out
}

func heldLoss(ctx context.Context, x *heads.Matrix, y []float64, of []int) (float64, error) {
	p := &problem{x: x, y: y, fold: of, loss: heads.Logistic}
	p.prepare()
	held := make([]float64, x.Rows)
	err := p.each(ctx, func(ctx context.Context, at *fold) error {
		m, err := heads.FitLinear(ctx, x.Select(at.in), pick(y, at.in), p.loss, leadingPenalty, nil)
		if err != nil {
			return err
		}
		z := make([]float64, len(at.out))
		m.Score(x.Select(at.out), z)
		scatter(held, z, at.out)
		return nil
	})
	return p.loss.Mean(held, y), err
}
