package lifetime

import (
	"context"
	"fmt"
	"math"

	"profilestream/inference/lbfgs"
)

// Spending is a customer's purchases with money: their number and mean amount.
type Spending struct {
	Purchases float64
	Mean      float64
}

// GammaGamma is a fitted model of the amount of a purchase.
type GammaGamma struct {
	P             float64 `json:"p"`
	Q             float64 `json:"q"`
	V             float64 `json:"v"`
	LogLikelihood float64 `json:"log_likelihood"`
}

// FitGammaGamma maximises the likelihood over customers with a positive mean;
// others are left out.
func FitGammaGamma(ctx context.Context, ss []Spending) (*GammaGamma, error) {
	var use []Spending
	var scale float64
	for _, s := range ss {
		if s.Purchases >= 1 && s.Mean > 0 && !math.IsInf(s.Mean, 0) {
			use = append(use, s)
			scale += s.Mean
		}
	}
	if len(use) < 2 {
		return nil, fmt.Errorf("fitting Gamma-Gamma: %w: %d customers with spending", ErrHistory, len(use))
	}
	// In units of the mean amount the parameters are of one size.
	scale /= float64(len(use))
	scaled := make([]Spending, len(use))
	for i, s := range use {
		scaled[i] = Spending{s.Purchases, s.Mean / scale}
	}
	read := func(p []float64) (*GammaGamma, float64) {
		m, outside := params([]float64{p[0], p[1], p[2], 0})
		// q > 1: else the expectation of an amount does not exist.
		return &GammaGamma{P: m.R, Q: 1 + m.Alpha, V: m.A}, outside
	}
	p := make([]float64, 3)
	err := lbfgs.Minimise(ctx, p, 300, 1e-12, numeric(func(p []float64) float64 {
		m, outside := read(p)
		return -m.likelihood(scaled)/float64(len(scaled)) + outside
	}))
	if err != nil {
		return nil, err
	}
	m, _ := read(p)
	m.V *= scale
	m.LogLikelihood = m.likelihood(use)
	return m, nil
}

func (m *GammaGamma) likelihood(ss []Spending) float64 {
	var sum float64
	for _, s := range ss {
		px := m.P * s.Purchases
		sum += lgamma(px+m.Q) - lgamma(px) - lgamma(m.Q) + m.Q*math.Log(m.V) +
			(px-1)*math.Log(s.Mean) + px*math.Log(s.Purchases) - (px+m.Q)*math.Log(s.Purchases*s.Mean+m.V)
	}
	return sum
}

// Amount is the expected amount of a purchase of this customer: their mean drawn
// towards everybody's, the more the fewer the purchases.
func (m *GammaGamma) Amount(s Spending) float64 {
	n := s.Purchases
	if !(s.Mean > 0) {
		n = 0
	}
	return m.P * (m.V + n*s.Mean) / (m.P*n + m.Q - 1)
}
