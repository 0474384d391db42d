package kernel

import "math"

// chunk is how many elements a worker takes at once; a multiple of 8.
const chunk = 1 << 13

// Gelu writes y = x Phi(x), the exact form, and its derivative d. y and d have the
// length of x; y may be x.
func (e *Engine) Gelu(x, y, d []float32) {
	e.Chunks(len(x), chunk, func(_, _, lo, hi int) {
		n := (hi - lo) &^ 7
		if n > 0 {
			e.set.gelu(n, &x[lo], &y[lo], &d[lo])
		}
		if tail := hi - lo - n; tail > 0 {
			var tx, ty, td [8]float32
			copy(tx[:], x[lo+n:hi])
			e.set.gelu(8, &tx[0], &ty[0], &td[0])
			copy(y[lo+n:hi], ty[:tail])
			copy(d[lo+n:hi], td[:tail])
		}
	})
}

// Softmax replaces the row x by softmax(scale x), in the caller's goroutine.
func (e *Engine) Softmax(x []float32, scale float32) {
	top := x[0]
	for _, v := range x {
		top = max(top, v)
	}
	var sums [8]float32
	n := len(x) &^ 7
	if n > 0 {
		e.set.expSum(n, &x[0], top, scale, &sums)
	}
	var sum float32
	for _, v := range sums {
		sum += v
	}
	if tail := x[n:]; len(tail) > 0 {
		var t, unused [8]float32
		copy(t[:], tail)
		e.set.expSum(8, &t[0], top, scale, &unused)
		for i := range tail {
			tail[i] = t[i]
			sum += t[i]
		}
	}
	inverse := 1 / sum
	for i := range x {
		x[i] *= inverse
	}
}

// Dropout zeroes each element of x with probability rate and scales the others by
// 1/(1-rate). The same key and length give the same mask, so that the gradient is
// dropped by a second call and no mask is kept.
func (e *Engine) Dropout(x []float32, rate float64, key uint64) {
	e.Chunks(len(x), chunk, func(_, i, lo, hi int) { e.DropoutOn(x[lo:hi], rate, Mix(key+uint64(i))) })
}

// DropoutOn is Dropout in the caller's goroutine; it draws other masks.
func (e *Engine) DropoutOn(x []float32, rate float64, key uint64) {
	var state [8]uint32
	for i := 0; i < 8; i += 2 {
		key = Mix(key)
		state[i], state[i+1] = uint32(key)|1, uint32(key>>32)|1 // xorshift must not start at 0
	}
	threshold, scale := uint32(rate*(1<<31)), float32(1/(1-rate))
	n := len(x) &^ 7
	if n > 0 {
		e.set.dropout(n, &x[0], &state, threshold, scale)
	}
	if tail := x[n:]; len(tail) > 0 {
		var t [8]float32
		copy(t[:], tail)
		e.set.dropout(8, &t[0], &state, threshold, scale)
		copy(tail, t[:])
	}
}

// Mix is the finaliser of splitmix64 after one of its steps.
func Mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// AdamRates are what one step of AdamW (Loshchilov and Hutter, 2019) is made of.
type AdamRates struct {
	Rate, Decay, Beta1, Beta2, Epsilon float64
	Clip                               float64 // factor of the gradient
	Step                               int     // from 1
}

func (r *AdamRates) table() [8]float32 {
	return [8]float32{
		float32(r.Clip), float32(1 - r.Beta1), float32(r.Beta2), float32(1 - r.Beta2),
		float32(r.Rate / (1 - math.Pow(r.Beta1, float64(r.Step)))),
		float32(1 / math.Sqrt(1-math.Pow(r.Beta2, float64(r.Step)))),
		float32(r.Epsilon), float32(1 - r.Rate*r.Decay),
	}
}

// Adam updates the weights w and their moments m and v, and zeroes the gradient g, in
// the caller's goroutine.
func (e *Engine) Adam(w, g, m, v []float32, r *AdamRates) {
	n := len(w) &^ 7
	if n > 0 {
		e.set.adam(n, &w[0], &g[0], &m[0], &v[0], r)
	}
	if n == len(w) {
		return
	}
	var t [4][8]float32
	all := [4][]float32{w[n:], g[n:], m[n:], v[n:]}
	for i, x := range all {
		copy(t[i][:], x)
	}
	e.set.adam(8, &t[0][0], &t[1][0], &t[2][0], &t[3][0], r)
	for i, x := range all {
		copy(x, t[i][:])
	}
}
