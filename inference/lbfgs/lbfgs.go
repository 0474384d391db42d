package lbfgs

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
