package heads

import (
	"context"
	"math"

	"profilestream/inference/lbfgs"
)

// Loss is what an ensemble's part is fitted for.
type Loss uint8

// Losses.
const (
	Logistic Loss = iota // labels 0 and 1, scores in log-odds
	Squared              // real labels
)

// at returns loss and derivative of a score.
func (l Loss) at(z, y float64) (loss, grad float64) {
	if l == Squared {
		d := z - y
		return d * d / 2, d
	}
	// log(1+e^z) - yz without overflow.
	return math.Max(z, 0) + math.Log1p(math.Exp(-math.Abs(z))) - y*z, Sigmoid(z) - y
}

// Of is the loss of a score.
func (l Loss) Of(z, y float64) float64 {
	v, _ := l.at(z, y)
	return v
}

// Mean is the mean loss of scores.
func (l Loss) Mean(z, y []float64) float64 {
	var s float64
	for i := range z {
		v, _ := l.at(z[i], y[i])
		s += v
	}
	return s / math.Max(1, float64(len(z)))
}

// FitLinear fits a linear score by its mean loss plus l2/2 times the squared
// weights, the bias free. The search begins at start, or at zero where it is nil.
func FitLinear(ctx context.Context, x *Matrix, y []float64, loss Loss, l2 float64, start *Linear) (*Linear, error) {
	d := x.Cols
	w := make([]float64, d+1)
	if start != nil {
		for j, v := range start.Weights {
			w[j] = float64(v)
		}
		w[d] = float64(start.Bias)
	}
	inv := 1 / math.Max(1, float64(x.Rows))
	err := lbfgs.Minimise(ctx, w, 200, 1e-7, func(w, g []float64) float64 {
		return linearLoss(x, y, loss, l2, inv, w, g)
	})
	if err != nil {
		return nil, err
	}
	out := &Linear{Weights: make([]float32, d), Bias: float32(w[d])}
	for j := range out.Weights {
		out.Weights[j] = float32(w[j])
	}
	return out, nil
}

// mixed is the inner product in four sums, which hide the latency of the
// additions.
func mixed(a []float32, b []float64) float64 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float64
	for len(a) >= 4 && len(b) >= 4 {
		s0 += float64(a[0]) * b[0]
		s1 += float64(a[1]) * b[1]
		s2 += float64(a[2]) * b[2]
		s3 += float64(a[3]) * b[3]
		a, b = a[4:], b[4:]
	}
	for i, v := range a {
		s0 += float64(v) * b[i]
	}
	return s0 + s1 + s2 + s3
}

// linearLoss is the objective of FitLinear; w and g hold the bias last.
func linearLoss(x *Matrix, y []float64, loss Loss, l2, inv float64, w, g []float64) float64 {
	d := x.Cols
	clear(g)
	var total float64
	for i := range x.Rows {
		row := x.Row(i)
		z := w[d] + mixed(row, w)
		l, e := loss.at(z, y[i])
		total += l
		e *= inv
		for j, v := range row {
			g[j] += e * float64(v)
		}
		g[d] += e
	}
	total *= inv
	for j := range d {
		total += l2 / 2 * w[j] * w[j]
		g[j] += l2 * w[j]
	}
	return total
}
