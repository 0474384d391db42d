package heads

import (
	"fmt"
	"math"
	"sort"
)

// Probabilities stay this far from 0 and 1, so that log-odds are finite.
const (
	minProbability = 1e-4
	maxProbability = 1 - minProbability
)

// Calibration maps a score in log-odds to a probability: by Platt's logistic
// curve, or, where X is not empty, by an isotonic line through its knots.
type Calibration struct {
	A float64   `json:"a"`
	B float64   `json:"b"`
	X []float64 `json:"x,omitempty"` // rising scores
	P []float64 `json:"p,omitempty"` // non-falling probabilities
}

// Kind names the method.
func (c *Calibration) Kind() string {
	if len(c.X) > 0 {
		return "isotonic"
	}
	return "platt"
}

// Probability is monotone in z and strictly inside (0,1).
func (c *Calibration) Probability(z float64) float64 {
	p := 0.0
	if n := len(c.X); n > 0 {
		i := sort.SearchFloat64s(c.X, z)
		switch {
		case i == 0:
			p = c.P[0]
		case i == n:
			p = c.P[n-1]
		default:
			t := (z - c.X[i-1]) / (c.X[i] - c.X[i-1])
			p = c.P[i-1] + t*(c.P[i]-c.P[i-1])
		}
	} else {
		p = Sigmoid(c.A*z + c.B)
	}
	return min(maxProbability, max(minProbability, p))
}

func (c *Calibration) validate() error {
	if len(c.X) != len(c.P) {
		return fmt.Errorf("calibration has %d scores for %d probabilities", len(c.X), len(c.P))
	}
	for _, v := range append([]float64{c.A, c.B}, append(c.X, c.P...)...) {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("calibration: %w", errNotFinite)
		}
	}
	for i := 1; i < len(c.X); i++ {
		if c.X[i] <= c.X[i-1] || c.P[i] < c.P[i-1] {
			return fmt.Errorf("calibration falls at knot %d", i)
		}
	}
	if c.A < 0 {
		return fmt.Errorf("calibration falls: slope %v", c.A)
	}
	return nil
}

// FitPlatt fits the logistic curve by Newton's method with Platt's softened
// targets. Labels are 0 or 1.
func FitPlatt(z, y []float64) *Calibration {
	var pos float64
	for _, v := range y {
		pos += v
	}
	n := float64(len(y))
	hi, lo := (pos+1)/(pos+2), 1/(n-pos+2)
	a, b := 1.0, 0.0
	for range 50 {
		var ga, gb, haa, hab, hbb float64
		for i, s := range z {
			p := Sigmoid(a*s + b)
			t := lo
			if y[i] > .5 {
				t = hi
			}
			d, w := p-t, p*(1-p)
			ga += d * s
			gb += d
			haa += w * s * s
			hab += w * s
			hbb += w
		}
		haa, hbb = haa+1e-9, hbb+1e-9
		det := haa*hbb - hab*hab
		if det <= 1e-12 {
			break
		}
		da, db := (hbb*ga-hab*gb)/det, (haa*gb-hab*ga)/det
		step := math.Max(math.Abs(da), math.Abs(db))
		damp := math.Min(1, 2/math.Max(step, 1e-300))
		a, b = a-damp*da, b-damp*db
		if step < 1e-10 {
			break
		}
	}
	if !(a > 0) || math.IsInf(a, 0) || math.IsNaN(b) {
		// A score that ranks backward carries no usable information.
		return &Calibration{A: 0, B: Logit((pos + 1) / (n + 2))}
	}
	return &Calibration{A: a, B: b}
}

// FitIsotonic pools adjacent violators and joins the pools' means by straight
// lines.
func FitIsotonic(z, y []float64) *Calibration {
	idx := make([]int, len(z))
	for i := range idx {
		idx[i] = i
	}
	sort.SliceStable(idx, func(a, b int) bool { return z[idx[a]] < z[idx[b]] })
	type pool struct{ x, y, n float64 }
	var pools []pool
	for k := 0; k < len(idx); {
		p := pool{}
		for s := z[idx[k]]; k < len(idx) && z[idx[k]] == s; k++ {
			p.x, p.y, p.n = p.x+z[idx[k]], p.y+y[idx[k]], p.n+1
		}
		pools = append(pools, p)
		for m := len(pools); m > 1 && pools[m-2].y*pools[m-1].n >= pools[m-1].y*pools[m-2].n; m = len(pools) {
			q := pools[m-1]
			pools = pools[:m-1]
			pools[m-2].x, pools[m-2].y, pools[m-2].n = pools[m-2].x+q.x, pools[m-2].y+q.y, pools[m-2].n+q.n
		}
	}
	c := &Calibration{A: 1}
	for _, p := range pools {
		x, v := p.x/p.n, p.y/p.n
		if m := len(c.X); m > 0 && x <= c.X[m-1] {
			continue
		}
		if m := len(c.P); m > 0 {
			v = max(v, c.P[m-1])
		}
		c.X, c.P = append(c.X, x), append(c.P, v)
	}
	return c
}
