package features

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"profilestream/inference/lifetime"
	"profilestream/schemas"
)

// LifetimeFeature is the name that the effects of all lifetime inputs are
// reported under.
const LifetimeFeature = "lifetime"

const weekDays = 7

// Lifetime is the models of repeat buying whose expectations are inputs: what
// a customer's own rhythm of purchases says about the horizon. Times are in
// weeks.
type Lifetime struct {
	Horizon float64              `json:"horizon_weeks"`
	Buying  *lifetime.BGNBD      `json:"buying"`
	Paying  *lifetime.GammaGamma `json:"paying,omitempty"` // nil: amounts could not be fitted
}

// FitLifetime fits the models to the histories in the given rows of each table,
// which should hold a customer once. It is nil where they cannot be fitted: the
// inputs are then the mean for everybody.
func FitLifetime(ctx context.Context, tables []*Table, rows [][]int, horizon time.Duration) (*Lifetime, error) {
	var hs []lifetime.History
	var ss []lifetime.Spending
	for k, t := range tables {
		for _, i := range rows[k] {
			if h, money, ok := t.History(i); ok {
				hs, ss = append(hs, h), append(ss, money)
			}
		}
	}
	l := &Lifetime{Horizon: horizon.Hours() / 24 / weekDays}
	var err error
	if l.Buying, err = lifetime.FitBGNBD(ctx, hs); err != nil {
		if errors.Is(err, lifetime.ErrHistory) {
			return nil, nil
		}
		return nil, err
	}
	if l.Paying, err = lifetime.FitGammaGamma(ctx, ss); errors.Is(err, lifetime.ErrHistory) {
		return l, nil
	}
	return l, err
}

// History reads the purchases of row i, times in weeks; ok is false for who
// never bought.
func (t *Table) History(i int) (h lifetime.History, money lifetime.Spending, ok bool) {
	n := t.Value(schemas.Life(schemas.OrdersTotal), i)
	since := t.Value(schemas.Life(schemas.DaysSinceLastOrder), i)
	if !(n >= 1) || math.IsNaN(since) {
		return h, money, false
	}
	if gap := t.Value(schemas.Life(schemas.MeanOrderGapDays), i); n > 1 && !math.IsNaN(gap) {
		h.Repeats = n - 1
		h.Last = gap * (n - 1) / weekDays
	}
	h.Age = h.Last + since/weekDays
	money = lifetime.Spending{Purchases: n, Mean: t.Value(schemas.Life(schemas.RevenueTotal), i) / n}
	return h, money, true
}

// expectations are the lifetime inputs of a row in the order of their ops.
type expectations [opSpend - opSilent + 1]float64

// at computes the expectations of row i, NaN where there is none.
func (l *Lifetime) at(t *Table, i int) expectations {
	none := math.NaN()
	e := expectations{none, none, none, none, none}
	if l == nil {
		return e
	}
	h, money, ok := t.History(i)
	if !ok {
		return e
	}
	const edge = 1e-4 // keeps the log-odds finite
	p := min(1-edge, max(edge, l.Buying.Silent(h, l.Horizon)))
	n := l.Buying.Expected(h, l.Horizon)
	e[0] = math.Log(p / (1 - p))
	e[1] = math.Log((l.Buying.R + h.Repeats) / (l.Buying.Alpha + h.Age))
	e[2] = math.Log1p(n)
	if l.Paying != nil {
		a := l.Paying.Amount(money)
		e[3], e[4] = math.Log1p(a), math.Log1p(n*a)
	}
	return e
}

func (l *Lifetime) validate() error {
	if l == nil {
		return nil
	}
	if l.Buying == nil {
		return fmt.Errorf("lifetime inputs lack the model of buying")
	}
	ps := []float64{l.Horizon, l.Buying.R, l.Buying.Alpha, l.Buying.A, l.Buying.B}
	if l.Paying != nil {
		ps = append(ps, l.Paying.P, l.Paying.Q-1, l.Paying.V)
	}
	for _, p := range ps {
		if !(p > 0) || bad(p) {
			return fmt.Errorf("lifetime inputs: a parameter is %v", p)
		}
	}
	return nil
}
