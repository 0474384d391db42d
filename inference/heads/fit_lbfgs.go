package heads

import (
	"context"
	"math"
)

// Minimise runs limited-memory BFGS with an Armijo line search from x, which it
// overwrites with the best point, until a step gains less than tolerance of the
// value. f returns the value and writes the gradient.
func Minimise(ctx context.Context, x []float64, iterations int, tolerance float64, f func(x, grad []float64) float64) error {
	const memory = 8
	n := len(x)
	g, gNew, xNew, dir := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	var ss, ys [][]float64
	fx := f(x, g)
	for range iterations {
		if err := ctx.Err(); err != nil {
			return err
		}
		twoLoop(dir, g, ss, ys)
		slope := inner(dir, g)
		if slope >= 0 { // not a descent direction: start over from the gradient
			ss, ys = nil, nil
			twoLoop(dir, g, nil, nil)
			slope = inner(dir, g)
		}
		if -slope < 1e-12 {
			return nil
		}
		step := 1.0
		if len(ss) == 0 {
			step = 1 / math.Max(1, math.Sqrt(-slope))
		}
		var fNew float64
		found := false
		for range 30 {
			for i := range x {
				xNew[i] = x[i] + step*dir[i]
			}
			fNew = f(xNew, gNew)
			if fNew <= fx+1e-4*step*slope {
				found = true
				break
			}
			step /= 2
		}
		if !found {
			return nil
		}
		s, y := make([]float64, n), make([]float64, n)
		for i := range x {
			s[i], y[i] = xNew[i]-x[i], gNew[i]-g[i]
		}
		if inner(s, y) > 1e-12 {
			ss, ys = append(ss, s), append(ys, y)
			if len(ss) > memory {
				ss, ys = ss[1:], ys[1:]
			}
		}
		done := fx-fNew <= tolerance*math.Abs(fx)
		copy(x, xNew)
		copy(g, gNew)
		fx = fNew
		if done {
			return nil
		}
	}
	return nil
}

// twoLoop writes the quasi-Newton descent direction to dir.
func twoLoop(dir, g []float64, ss, ys [][]float64) {
	for i, v := range g {
		dir[i] = -v
	}
	alpha := make([]float64, len(ss))
	for k := len(ss) - 1; k >= 0; k-- {
		alpha[k] = inner(ss[k], dir) / inner(ss[k], ys[k])
		axpy(dir, ys[k], -alpha[k])
	}
	if k := len(ss) - 1; k >= 0 {
		scale := inner(ss[k], ys[k]) / inner(ys[k], ys[k])
		for i := range dir {
			dir[i] *= scale
		}
	}
	for k := range ss {
		beta := inner(ys[k], dir) / inner(ss[k], ys[k])
		axpy(dir, ss[k], alpha[k]-beta)
	}
}

func inner(a, b []float64) (s float64) {
	for i, v := range a {
		s += v * b[i]
	}
	return s
}

func axpy(dst, x []float64, by float64) {
	for i, v := range x {
		dst[i] += by * v
	}
}

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
	err := Minimise(ctx, w, 200, 1e-7, func(w, g []float64) float64 {
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
