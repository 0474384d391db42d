package train

import (
	"context"
	"math"
	"slices"

	"profilestream/inference/features"
	"profilestream/inference/heads"
	"profilestream/schemas"
)

// recencyInputs are what the days since the last order are read by.
var recencyInputs = []string{"log.days_since_last_order", "null.days_since_last_order"}

// baselines are the simple models on the test rows. silent and bought are nil
// where the histories allow no BG/NBD.
type baselines struct {
	recency, rfm, spend90 []float64
	silent, bought        []float64
}

// baselines fits recency alone, recency, frequency and money, and the lifetime
// models on the training rows.
func (s *sample) baselines(ctx context.Context, sp *split, o *Options) (*baselines, error) {
	rfm := append(slices.Clone(recencyInputs), "log.orders_total", "log.revenue_total")
	churn := pick(s.churn, sp.train)
	b := &baselines{}
	var err error
	if b.recency, err = s.logistic(ctx, sp, churn, recencyInputs); err != nil {
		return nil, err
	}
	if b.rfm, err = s.logistic(ctx, sp, churn, rfm); err != nil {
		return nil, err
	}
	name := "log." + schemas.Features[schemas.At(schemas.Window90d, schemas.Revenue)].Name
	b.spend90 = make([]float64, len(sp.test))
	for k, i := range sp.test {
		b.spend90[k] = s.raw(i)[column(name)]
	}
	return b, s.lifetimes(ctx, sp, o, b)
}

// lifetimes fits BG/NBD and Gamma-Gamma on the training rows, each customer once.
func (s *sample) lifetimes(ctx context.Context, sp *split, o *Options, b *baselines) error {
	l, err := features.FitLifetime(ctx, s.tables, s.places(s.latest(sp.train)), o.horizon)
	if err != nil || l == nil || l.Paying == nil {
		return err
	}
	b.silent, b.bought = make([]float64, len(sp.test)), make([]float64, len(sp.test))
	for k, i := range sp.test {
		b.silent[k] = 1
		t, at := s.locate(i)
		if h, money, ok := s.tables[t].History(at); ok {
			b.silent[k] = l.Buying.Silent(h, l.Horizon)
			b.bought[k] = l.Buying.Expected(h, l.Horizon) * l.Paying.Amount(money)
		}
	}
	return nil
}

// columns are the positions of inputs.
func columns(names []string) []int {
	out := make([]int, len(names))
	for k, n := range names {
		out[k] = column(n)
	}
	return out
}

func column(name string) int {
	for j, in := range features.Inputs {
		if in.Name == name {
			return j
		}
	}
	panic("bug: no input " + name)
}

func (s *sample) raw(i int) []float64 {
	t, at := s.locate(i)
	row := make([]float64, len(features.Inputs))
	s.tables[t].Raw(nil, at, row)
	return row
}

// logistic fits y, the labels of the training rows, on some inputs and returns the
// probabilities of the test rows. A missing number counts as the largest seen: who never bought has not
// bought for long.
func (s *sample) logistic(ctx context.Context, sp *split, y []float64, names []string) ([]float64, error) {
	cols := columns(names)
	top := make([]float64, len(cols))
	build := func(rows []int, learn bool) *heads.Matrix {
		x := heads.NewMatrix(len(rows), len(cols))
		for pass := range 2 {
			for r, i := range rows {
				row := s.raw(i)
				for k, c := range cols {
					v := row[c]
					if math.IsNaN(v) {
						v = top[k]
					} else if pass == 0 && learn {
						top[k] = math.Max(top[k], v)
					}
					x.Row(r)[k] = float32(v)
				}
			}
		}
		return x
	}
	fit := build(sp.train, true)
	m, err := heads.FitLinear(ctx, fit, y, heads.Logistic, 1e-4, nil)
	if err != nil {
		return nil, err
	}
	z := make([]float64, len(sp.test))
	m.Score(build(sp.test, false), z)
	for i := range z {
		z[i] = heads.Sigmoid(z[i])
	}
	return z, nil
}
