package heads

import (
	"errors"
	"fmt"
	"math"
)

// Linear is a linear score: Bias + Weights·x.
type Linear struct {
	Weights []float32 `json:"weights"`
	Bias    float32   `json:"bias"`
}

// Score writes the score of each row to dst.
func (l *Linear) Score(x *Matrix, dst []float64) {
	for i := range x.Rows {
		dst[i] = float64(dot(x.Row(i), l.Weights, l.Bias))
	}
}

func (l *Linear) validate(cols int) error {
	if len(l.Weights) != cols {
		return fmt.Errorf("linear part reads %d inputs, want %d", len(l.Weights), cols)
	}
	return finite("linear part", l.Weights, []float32{l.Bias})
}

// MLP has one hidden layer of ReLUs: W2·relu(W1 x + B1) + B2. W1 is row-major,
// one row of inputs a hidden unit.
type MLP struct {
	Hidden int       `json:"hidden"`
	W1     []float32 `json:"w1"`
	B1     []float32 `json:"b1"`
	W2     []float32 `json:"w2"`
	B2     float32   `json:"b2"`
}

func (m *MLP) validate(cols int) error {
	if m.Hidden < 1 || len(m.W1) != m.Hidden*cols || len(m.B1) != m.Hidden || len(m.W2) != m.Hidden {
		return fmt.Errorf("hidden layer of %d units has %d weights for %d inputs", m.Hidden, len(m.W1), cols)
	}
	return finite("hidden layer", m.W1, m.B1, m.W2, []float32{m.B2})
}

// Score writes the score of each row to dst and leaves the hidden units before
// the ReLU in hidden.
func (m *MLP) Score(x, hidden *Matrix, dst []float64) {
	hidden.Resize(x.Rows, m.Hidden)
	MulT(hidden, x, m.W1, m.B1)
	for i := range x.Rows {
		dst[i] = float64(m.top(hidden.Row(i)))
	}
}

func (m *MLP) top(h []float32) float32 {
	s := m.B2
	for j, v := range h {
		if v > 0 {
			s += v * m.W2[j]
		}
	}
	return s
}

// zero is the score of the mean input, which is the zero vector.
func (m *MLP) zero() float64 { return float64(m.top(m.B1)) }

// slopes writes to dst (len inputs) the integrated gradient of the score along
// the straight way from the mean input to x, divided by x: the effect of input i
// is dst[i]*x[i]. Along that way a hidden unit is linear, so the share of the way
// on which its ReLU is open is known in closed form and the effects add up to
// score(x) - score(0) exactly, without sampling.
func (m *MLP) slopes(hidden, dst []float32) {
	clear(dst)
	d := len(dst)
	for j, h1 := range hidden {
		h0 := m.B1[j]
		open := openShare(h0, h1)
		if open == 0 {
			continue
		}
		g := m.W2[j] * open
		w := m.W1[j*d : (j+1)*d]
		for i := range dst {
			dst[i] += g * w[i]
		}
	}
}

// openShare is the share of t in [0,1] with h0 + t(h1-h0) > 0.
func openShare(h0, h1 float32) float32 {
	switch {
	case h0 > 0 && h1 > 0:
		return 1
	case h0 <= 0 && h1 <= 0:
		return 0
	case h1 > 0:
		return h1 / (h1 - h0)
	default:
		return h0 / (h0 - h1)
	}
}

// Projection maps an embedding to a few standardised text components.
type Projection struct {
	Dim     int       `json:"dim"` // length of the embedding
	Weights []float32 `json:"weights"`
	Bias    []float32 `json:"bias"` // one a component
}

// Apply writes the components of each embedding of x to dst.
func (p *Projection) Apply(dst, x *Matrix) { MulT(dst, x, p.Weights, p.Bias) }

func (p *Projection) validate() error {
	if p.Dim < 1 || len(p.Weights) != p.Dim*len(p.Bias) {
		return fmt.Errorf("projection of %d dimensions has %d weights for %d components", p.Dim, len(p.Weights), len(p.Bias))
	}
	return finite("projection", p.Weights, p.Bias)
}

var errNotFinite = errors.New("a weight is not finite")

func finite(what string, vs ...[]float32) error {
	for _, v := range vs {
		for _, x := range v {
			if x-x != 0 {
				return fmt.Errorf("%s: %w", what, errNotFinite)
			}
		}
	}
	return nil
}

// Sigmoid is the logistic function.
func Sigmoid(z float64) float64 { return 1 / (1 + math.Exp(-z)) }

// Logit is the inverse of Sigmoid.
func Logit(p float64) float64 { return math.Log(p / (1 - p)) }
