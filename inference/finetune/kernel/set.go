package kernel

import (
	"fmt"
	"strings"
)

// Names of the sets of kernels.
const (
	Auto     = "auto"
	AVX512   = "avx512"
	AVX2     = "avx2"
	Portable = "portable"
)

// set is one implementation. A tile is mr x nr elements of C.
type set struct {
	name   string
	mr, nr int
	// tile adds A B to C: see gen/tile.go for the layout; k > 0.
	tile func(k int, a *float32, rowBytes, stepBytes int, b, c *float32, cBytes int)
	// The others take n > 0, a multiple of 8.
	gelu    func(n int, x, y, d *float32)
	expSum  func(n int, x *float32, top, scale float32, sums *[8]float32)
	dropout func(n int, x *float32, state *[8]uint32, threshold uint32, scale float32)
	adam    func(n int, w, g, m, v *float32, r *AdamRates)
}

// Names lists the sets this CPU runs, the best first.
func Names() []string {
	var out []string
	for _, s := range sets() {
		out = append(out, s.name)
	}
	return out
}

// choose finds the set of that name; empty and auto mean the best.
func choose(name string) (*set, error) {
	all := sets()
	if name == "" || name == Auto {
		return all[0], nil
	}
	for _, s := range all {
		if s.name == name {
			return s, nil
		}
	}
	return nil, fmt.Errorf("kernels %q: this CPU runs %s", name, strings.Join(Names(), ", "))
}

// table holds the constants of the element-wise functions; gen/vector.go has the order.
var table = [...]float32{
	-87, 88, 1.44269504088896341, 0.693359375, -2.12194440e-4,
	1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1,
	1, exponentBias,
	0.70710678118654752, 3.832506856900711, -3.832506856900711,
	-2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05, -7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02,
	-1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03, -1.42647390514189e-02,
	0.5, -0.5, 0.39894228040143268,
}

// exponentBias has the bits of the integer 127.
const exponentBias = 127 * 1.401298464324817e-45
