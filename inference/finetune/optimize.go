package finetune

import (
	"math"

	"profilestream/inference/finetune/kernel"
)

// Moments' decays and the term that guards the quotient, as in the paper of Adam
// (Kingma and Ba, 2015).
const beta1, beta2, epsilon = .9, .999, 1e-8

// updateChunk is how many elements a worker takes at once.
const updateChunk = 1 << 14

// gradientNorm is the Euclidean norm over all parameters, summed in one order.
func (m *Model) gradientNorm() float64 {
	var total float64
	for _, p := range m.params {
		parts := make([]float64, (len(p.g)+updateChunk-1)/updateChunk)
		m.liveRuns(p, func(_, c int, lo, hi int, _ bool) {
			parts[c] += sumSquares(p.g[lo:hi])
		}, false)
		for _, v := range parts {
			total += v
		}
	}
	return math.Sqrt(total)
}

func sumSquares(x []float32) float64 {
	var a, b, c, d float64
	for ; len(x) >= 4; x = x[4:] {
		a += float64(x[0]) * float64(x[0])
		b += float64(x[1]) * float64(x[1])
		c += float64(x[2]) * float64(x[2])
		d += float64(x[3]) * float64(x[3])
	}
	for _, v := range x {
		a += float64(v) * float64(v)
	}
	return a + b + (c + d)
}

// liveRuns splits p among the workers and calls f for runs of elements. Of a table the
// rows without gradient are left out, or passed with live unset.
func (m *Model) liveRuns(p *param, f func(worker, chunk, lo, hi int, live bool), dead bool) {
	m.engine.Chunks(len(p.w), updateChunk, func(w, c, lo, hi int) {
		if p.live == nil {
			f(w, c, lo, hi, true)
			return
		}
		width := len(p.w) / len(p.live)
		for lo < hi {
			row := lo / width
			end := min(hi, (row+1)*width)
			if p.live[row] || dead {
				f(w, c, lo, end, p.live[row])
			}
			lo = end
		}
	})
}

// rates of one step.
type rates struct {
	body, head, decay, clip float64
	step                    int // from 1
}

// update does a step of AdamW with the gradient scaled so that its norm is at most
// clip, zeroes the gradient and returns the norm before.
func (m *Model) update(r rates) float64 {
	length := m.gradientNorm()
	scale := 1.
	if r.clip > 0 && length > r.clip {
		scale = r.clip / length
	}
	for _, p := range m.params {
		a := kernel.AdamRates{Rate: r.body, Beta1: beta1, Beta2: beta2, Epsilon: epsilon, Clip: scale, Step: r.step}
		if p.head {
			a.Rate = r.head
		}
		if p.decay {
			a.Decay = r.decay
		}
		keep := float32(1 - a.Rate*a.Decay)
		m.liveRuns(p, func(_, _, lo, hi int, live bool) {
			if live {
				m.engine.Adam(p.w[lo:hi], p.g[lo:hi], p.m[lo:hi], p.v[lo:hi], &a)
				return
			}
			for i := lo; i < hi; i++ {
				p.w[i] *= keep
			}
		}, true)
	}
	return length
}

// schedule is the factor of the learning rate in a step, from 1: it rises over the
// first warm steps, then falls to nearly 0 at the last.
func schedule(step, warm, total int) float64 {
	if step <= warm {
		return float64(step) / float64(warm)
	}
	return float64(total-step+1) / float64(total-warm+1)
}
