package finetune

import (
	"math"
	"math/rand/v2"

	"profilestream/inference/finetune/kernel"
)

// param is a tensor that is learned, row-major, with its gradient and AdamW's moments.
type param struct {
	name       string
	shape      []int
	w, g, m, v []float32
	decay      bool // matrices shrink; biases and layer norms do not
	head       bool // of the classifier, which has its own learning rate
	// live marks the rows that ever had a gradient, for tables of which a batch uses
	// few rows: the others only decay, which is what AdamW does at zero moments.
	live []bool
}

// linear is y = x W^T + b with W [out, in].
type linear struct {
	w, b    *param
	in, out int
}

// norm is a layer norm with what its gradient needs from the forward pass.
type norm struct {
	gain, bias *param
	hat        []float32 // normalised input
	inverse    []float32 // one over the deviation of each row
}

// prepare makes room for gradients and moments.
func (p *param) prepare() {
	n := len(p.w)
	if p.g == nil {
		p.g, p.m, p.v = make([]float32, n), make([]float32, n), make([]float32, n)
	}
}

// relive marks the rows whose moments are not zero, after these were read back.
func (p *param) relive() {
	if p.live == nil {
		return
	}
	width := len(p.w) / len(p.live)
	for r := range p.live {
		p.live[r] = false
		for i := r * width; i < (r+1)*width && !p.live[r]; i++ {
			p.live[r] = p.m[i] != 0 || p.v[i] != 0
		}
	}
}

// normal fills w with draws of the given deviation.
func normal(w []float32, deviation float64, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 0x68656164))
	for i := range w {
		w[i] = float32(r.NormFloat64() * deviation)
	}
}

// rowChunk is how many rows a worker takes at once; part of the order of sums.
const rowChunk = 64

// forward computes y [n, out] of x [n, in].
func (l *linear) forward(e *kernel.Engine, x []float32, n int, y []float32) {
	e.Chunks(n, rowChunk, func(_, _, lo, hi int) {
		for i := lo; i < hi; i++ {
			copy(y[i*l.out:(i+1)*l.out], l.b.w)
		}
	})
	e.Multiply(&kernel.Product{TransB: true, M: n, N: l.out, K: l.in, A: x, LDA: l.in, B: l.w.w, LDB: l.in, Add: true, C: y, LDC: l.out})
}

// backward adds the gradients of W and b, given that of y, and sets that of x, or adds
// to it. dx may be nil.
func (l *linear) backward(e *kernel.Engine, x, dy []float32, n int, dx []float32, add bool) {
	e.Chunks(l.out, rowChunk, func(_, _, lo, hi int) {
		g := l.b.g[lo:hi]
		for i := range n {
			for j, v := range dy[i*l.out+lo : i*l.out+hi] {
				g[j] += v
			}
		}
	})
	e.Multiply(&kernel.Product{TransA: true, M: l.out, N: l.in, K: n, A: dy, LDA: l.out, B: x, LDB: l.in, Add: true, C: l.w.g, LDC: l.in})
	if dx != nil {
		e.Multiply(&kernel.Product{M: n, N: l.in, K: l.out, A: dy, LDA: l.out, B: l.w.w, LDB: l.in, Add: add, C: dx, LDC: l.in})
	}
}

// forward computes y [n, h] of x; y may be x.
func (l *norm) forward(e *kernel.Engine, x []float32, n int, epsilon float64, y []float32) {
	h := len(l.gain.w)
	l.hat, l.inverse = kernel.Grow(l.hat, n*h), kernel.Grow(l.inverse, n)
	e.Chunks(n, rowChunk, func(_, _, lo, hi int) {
		gain, bias := l.gain.w, l.bias.w[:h]
		for i := lo; i < hi; i++ {
			row, hat, out := x[i*h:(i+1)*h], l.hat[i*h:(i+1)*h], y[i*h:(i+1)*h]
			mean := sum(row) / float32(h)
			for j, v := range row {
				hat[j] = v - mean
			}
			inverse := float32(1 / math.Sqrt(float64(dot(hat, hat)/float32(h))+epsilon))
			l.inverse[i] = inverse
			for j, v := range hat {
				v *= inverse
				hat[j] = v
				out[j] = v*gain[j] + bias[j]
			}
		}
	})
}

// backward adds the gradients of gain and bias and sets dx, which may be dy. Rows are
// summed chunk by chunk, then the chunks in order.
func (l *norm) backward(e *kernel.Engine, dy []float32, n int, dx []float32) {
	h := len(l.gain.w)
	parts := make([]float32, (n+rowChunk-1)/rowChunk*2*h)
	e.Chunks(n, rowChunk, func(_, c, lo, hi int) {
		dGain, dBias := parts[2*c*h:(2*c+1)*h], parts[(2*c+1)*h:(2*c+2)*h]
		scaled := make([]float32, h)
		gain := l.gain.w
		for i := lo; i < hi; i++ {
			d, hat, out := dy[i*h:(i+1)*h], l.hat[i*h:(i+1)*h], dx[i*h:(i+1)*h]
			for j, v := range d {
				dGain[j] += v * hat[j]
				dBias[j] += v
				scaled[j] = v * gain[j]
			}
			a, b := sum(scaled)/float32(h), dot(scaled, hat)/float32(h)
			for j, v := range scaled {
				out[j] = l.inverse[i] * (v - a - hat[j]*b)
			}
		}
	})
	for c := 0; c < len(parts); c += 2 * h {
		for j := range h {
			l.gain.g[j] += parts[c+j]
			l.bias.g[j] += parts[c+h+j]
		}
	}
}

// sum and dot keep four sums, so that additions need not wait for each other.
func sum(x []float32) float32 {
	var a, b, c, d float32
	for ; len(x) >= 4; x = x[4:] {
		a, b, c, d = a+x[0], b+x[1], c+x[2], d+x[3]
	}
	for _, v := range x {
		a += v
	}
	return a + b + (c + d)
}

func dot(x, y []float32) float32 {
	var a, b, c, d float32
	y = y[:len(x)]
	for ; len(x) >= 4; x, y = x[4:], y[4:] {
		a, b, c, d = a+x[0]*y[0], b+x[1]*y[1], c+x[2]*y[2], d+x[3]*y[3]
	}
	for i, v := range x {
		a += v * y[i]
	}
	return a + b + (c + d)
}
