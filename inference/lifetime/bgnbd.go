package lifetime

import (
	"context"
	"errors"
	"fmt"
	"math"

	"profilestream/inference/lbfgs"
)

// History is a customer's repeat buying; times in one unit, the fit's.
type History struct {
	Repeats float64 // purchases after the first
	Last    float64 // time of the last purchase, counted from the first
	Age     float64 // time observed, counted from the first purchase
}

// BGNBD is a fitted model: purchase rates are gamma(R, Alpha) over customers,
// drop-out after a purchase beta(A, B).
type BGNBD struct {
	R     float64 `json:"r"`
	Alpha float64 `json:"alpha"`
	A     float64 `json:"a"`
	B     float64 `json:"b"`
	// LogLikelihood is the sum over the customers of the fit.
	LogLikelihood float64 `json:"log_likelihood"`
	// NoDropOut: the likelihood rose towards a model without drop-out, so that
	// A and B mean nothing; everybody counts as alive.
	NoDropOut bool `json:"no_drop_out"`
}

// ErrHistory: histories that no model can be fitted to.
var ErrHistory = errors.New("histories cannot be fitted")

// Bounds of the logarithms of the parameters during a fit.
const minLog, maxLog = -9, 9

// FitBGNBD maximises the likelihood.
func FitBGNBD(ctx context.Context, hs []History) (*BGNBD, error) {
	if err := check(hs); err != nil {
		return nil, err
	}
	p := make([]float64, 4) // logarithms of r, alpha, a, b; start at 1
	f := func(p []float64) float64 {
		m, outside := params(p)
		return -m.likelihood(hs)/float64(len(hs)) + outside
	}
	if err := lbfgs.Minimise(ctx, p, 300, 1e-12, numeric(f)); err != nil {
		return nil, err
	}
	m, _ := params(p)
	m.LogLikelihood = m.likelihood(hs)
	m.NoDropOut = m.A/(m.A+m.B) < 1e-4 || p[2] <= minLog || p[3] >= maxLog
	if math.IsNaN(m.LogLikelihood) || math.IsInf(m.LogLikelihood, 0) {
		return nil, fmt.Errorf("fitting BG/NBD: %w: the likelihood is not finite", ErrHistory)
	}
	return m, nil
}

func check(hs []History) error {
	repeats := false
	for i, h := range hs {
		if !(h.Repeats >= 0 && h.Last >= 0 && h.Age >= h.Last) || math.IsInf(h.Age+h.Repeats, 0) {
			return fmt.Errorf("fitting BG/NBD: %w: customer %d has %v repeats up to %v of %v", ErrHistory, i, h.Repeats, h.Last, h.Age)
		}
		repeats = repeats || h.Repeats > 0
	}
	if !repeats {
		return fmt.Errorf("fitting BG/NBD: %w: none of %d customers bought again", ErrHistory, len(hs))
	}
	return nil
}

// params reads the logarithms, held inside their bounds; outside is a penalty
// that leads a search back.
func params(p []float64) (m *BGNBD, outside float64) {
	q := make([]float64, len(p))
	for i, v := range p {
		q[i] = math.Min(maxLog, math.Max(minLog, v))
		outside += (v - q[i]) * (v - q[i])
	}
	return &BGNBD{R: math.Exp(q[0]), Alpha: math.Exp(q[1]), A: math.Exp(q[2]), B: math.Exp(q[3])}, outside
}

// numeric adds a central-difference gradient.
func numeric(f func([]float64) float64) func(x, g []float64) float64 {
	return func(x, g []float64) float64 {
		const h = 1e-5
		for i, v := range x {
			x[i] = v + h
			up := f(x)
			x[i] = v - h
			g[i] = (up - f(x)) / (2 * h)
			x[i] = v
		}
		return f(x)
	}
}

func lgamma(x float64) float64 { v, _ := math.Lgamma(x); return v }

func (m *BGNBD) likelihood(hs []History) float64 {
	shared := lgamma(m.A+m.B) - lgamma(m.B) - lgamma(m.R) + m.R*math.Log(m.Alpha)
	var sum float64
	for _, h := range hs {
		x := h.Repeats
		l := shared + lgamma(m.R+x) + lgamma(m.B+x) - lgamma(m.A+m.B+x)
		l -= (m.R + x) * math.Log(m.Alpha+h.Age)
		sum += l + softplus(m.deadLogOdds(h))
	}
	return sum
}

// deadLogOdds are the log-odds that a customer with this history has dropped
// out. As logarithms they stay finite where a fit tries extreme parameters.
func (m *BGNBD) deadLogOdds(h History) float64 {
	if h.Repeats == 0 || m.NoDropOut {
		return math.Inf(-1)
	}
	return math.Log(m.A/(m.B+h.Repeats-1)) + (m.R+h.Repeats)*math.Log((m.Alpha+h.Age)/(m.Alpha+h.Last))
}

// softplus is log(1+e^x) without overflow.
func softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

// Alive is the probability that the customer has not dropped out. Who bought
// once only cannot have: see Silent for a churn score.
func (m *BGNBD) Alive(h History) float64 { return 1 / (1 + math.Exp(m.deadLogOdds(h))) }

// Silent is the probability of no purchase in the time t from now.
func (m *BGNBD) Silent(h History, t float64) float64 {
	none := math.Pow((m.Alpha+h.Age)/(m.Alpha+h.Age+t), m.R+h.Repeats)
	return 1 - m.Alive(h)*(1-none)
}

// Expected is the expected number of purchases in the time t from now.
func (m *BGNBD) Expected(h History, t float64) float64 {
	r, base := m.R+h.Repeats, m.Alpha+h.Age
	if m.NoDropOut {
		return r * t / base
	}
	a := m.A
	if math.Abs(a-1) < 1e-6 { // a removable pole
		a = 1 + 1e-6
	}
	c := a + m.B + h.Repeats - 1
	n := c / (a - 1) * (1 - hypergeometric(math.Pow(base/(base+t), r), r, m.B+h.Repeats, c, t/(base+t)))
	// Drop-out takes purchases away, so there are no more than without it.
	return min(max(n, 0), r*t/base) * m.Alive(h)
}

// hypergeometric is first times Gauss's 2F1(a,b;c;z) by its series, 0 <= z < 1.
// The factor goes in first, since the sum alone may overflow.
func hypergeometric(first, a, b, c, z float64) float64 {
	term, sum := first, first
	for k := 0.0; k < 1e4; k++ {
		term *= (a + k) * (b + k) / ((c + k) * (k + 1)) * z
		sum += term
		if math.Abs(term) < 1e-14*math.Abs(sum) {
			break
		}
	}
	return sum
}
