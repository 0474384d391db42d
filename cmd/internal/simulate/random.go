package simulate

import (
	"math"
	"math/rand/v2"
)

// stream returns the generator of one purpose of one owner; purposes never share draws.
func stream(seed, purpose, owner uint64) *rand.Rand {
	return rand.New(rand.NewPCG(mix(seed^purpose*0x9e3779b97f4a7c15), mix(owner*0xd1342543de82ef95+purpose)))
}

// mix is the finaliser of splitmix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// gamma draws from Gamma(shape, scale) by Marsaglia and Tsang's method.
func gamma(r *rand.Rand, shape, scale float64) float64 {
	if shape < 1 {
		return gamma(r, shape+1, scale) * math.Pow(1-r.Float64(), 1/shape)
	}
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := r.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		u := 1 - r.Float64()
		if math.Log(u) < 0.5*x*x+d-d*v+d*math.Log(v) {
			return d * v * scale
		}
	}
}

func beta(r *rand.Rand, a, b float64) float64 {
	x, y := gamma(r, a, 1), gamma(r, b, 1)
	return x / (x + y)
}

// geometric draws 0, 1, 2, ... with the given mean, cut at limit.
func geometric(r *rand.Rand, mean float64, limit int) int {
	p := mean / (1 + mean)
	n := 0
	for n < limit && r.Float64() < p {
		n++
	}
	return n
}

// choose draws an index in proportion to weights.
func choose(r *rand.Rand, weights []float64) int {
	sum := 0.0
	for _, w := range weights {
		sum += w
	}
	x := r.Float64() * sum
	for i, w := range weights {
		if x -= w; x < 0 {
			return i
		}
	}
	return len(weights) - 1
}

func clamp(x, low, high float64) float64 { return max(low, min(high, x)) }
