package heads

import (
	"context"
	"math"
	"math/rand/v2"
)

// FitProjection finds the leading principal components of the rows of x by
// orthogonal iteration from a seeded start, scaled to unit variance over x.
func FitProjection(ctx context.Context, x *Matrix, components int, seed uint64) (*Projection, error) {
	d := x.Cols
	mu := columnMeans(x)
	cov := covariance(x, mu)
	q := make([][]float64, components)
	rng := rand.New(rand.NewPCG(seed, 0x706361))
	for c := range q {
		q[c] = make([]float64, d)
		for j := range q[c] {
			q[c][j] = rng.NormFloat64()
		}
	}
	orthonormalise(q)
	values := make([]float64, components)
	for range 40 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for c := range q {
			next := make([]float64, d)
			for j := range next {
				next[j] = inner(cov[j*d:(j+1)*d], q[c])
			}
			values[c] = inner(next, q[c])
			q[c] = next
		}
		orthonormalise(q)
	}
	p := &Projection{Dim: d, Weights: make([]float32, components*d), Bias: make([]float32, components)}
	for c := range q {
		scale := 0.0
		if values[c] > 1e-9 {
			scale = 1 / math.Sqrt(values[c])
		}
		var bias float64
		for j, v := range q[c] {
			p.Weights[c*d+j] = float32(v * scale)
			bias -= v * scale * mu[j]
		}
		p.Bias[c] = float32(bias)
	}
	return p, nil
}

func columnMeans(x *Matrix) []float64 {
	mu := make([]float64, x.Cols)
	for i := range x.Rows {
		for j, v := range x.Row(i) {
			mu[j] += float64(v)
		}
	}
	for j := range mu {
		mu[j] /= math.Max(1, float64(x.Rows))
	}
	return mu
}

// maxCovarianceRows bounds the rows that the components are computed from.
const maxCovarianceRows = 6000

func covariance(x *Matrix, mu []float64) []float64 {
	d := x.Cols
	cov := make([]float64, d*d)
	e := make([]float64, d)
	step := max(1, x.Rows/maxCovarianceRows)
	n := 0
	for i := 0; i < x.Rows; i += step {
		n++
		for j, v := range x.Row(i) {
			e[j] = float64(v) - mu[j]
		}
		for j, v := range e {
			row := cov[j*d : j*d+j+1]
			for k := range row {
				row[k] += v * e[k]
			}
		}
	}
	for j := range d {
		for k := range j + 1 {
			v := cov[j*d+k] / math.Max(1, float64(n))
			cov[j*d+k], cov[k*d+j] = v, v
		}
	}
	return cov
}

// orthonormalise is modified Gram-Schmidt; a vanished vector stays zero.
func orthonormalise(q [][]float64) {
	for c := range q {
		for range 2 {
			for b := range c {
				axpy(q[c], q[b], -inner(q[c], q[b]))
			}
		}
		n := math.Sqrt(inner(q[c], q[c]))
		for j := range q[c] {
			if n > 1e-12 {
				q[c][j] /= n
			} else {
				q[c][j] = 0
			}
		}
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
