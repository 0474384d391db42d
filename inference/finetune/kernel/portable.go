package kernel

import (
	"math"
	"unsafe"
)

// portable needs nothing of the CPU.
var portable = set{
	name: Portable, mr: 2, nr: 4, tile: tilePortable,
	gelu: geluPortable, expSum: expSumPortable, dropout: dropoutPortable, adam: adamPortable,
}

const floatBytes = 4

// tilePortable keeps its eight sums in registers.
func tilePortable(k int, a *float32, rowBytes, stepBytes int, b, c *float32, cBytes int) {
	row, step, ld := rowBytes/floatBytes, stepBytes/floatBytes, cBytes/floatBytes
	pa := unsafe.Slice(a, row+(k-1)*step+1)
	pb := unsafe.Slice(b, 4*k)
	var s0, s1, s2, s3, t0, t1, t2, t3 float32
	for p := 0; len(pb) >= 4; p += step {
		x, y := pa[p], pa[p+row]
		s0 += x * pb[0]
		s1 += x * pb[1]
		s2 += x * pb[2]
		s3 += x * pb[3]
		t0 += y * pb[0]
		t1 += y * pb[1]
		t2 += y * pb[2]
		t3 += y * pb[3]
		pb = pb[4:]
	}
	pc := unsafe.Slice(c, ld+4)
	for i, v := range [4]float32{s0, s1, s2, s3} {
		pc[i] += v
	}
	for i, v := range [4]float32{t0, t1, t2, t3} {
		pc[ld+i] += v
	}
}

// exp32 is Cephes' expf on [-87, 88], arguments beyond it clamped.
func exp32(x float32) float32 {
	x = min(max(x, table[0]), table[1])
	n := float32(math.RoundToEven(float64(x * table[2])))
	x -= n * table[3]
	x -= n * table[4]
	u := table[5]
	for _, c := range table[6:11] {
		u = u*x + c
	}
	u = u*(x*x) + x + 1
	return u * math.Float32frombits(uint32(int32(n)+127)<<23)
}

// erf32 is the quotient of polynomials that Eigen uses.
func erf32(x float32) float32 {
	x = min(max(x, table[15]), table[14])
	z := x * x
	p, q := table[16], table[23]
	for _, c := range table[17:23] {
		p = p*z + c
	}
	for _, c := range table[24:28] {
		q = q*z + c
	}
	return x * p / q
}

func geluPortable(n int, x, y, d *float32) {
	px, py, pd := unsafe.Slice(x, n), unsafe.Slice(y, n), unsafe.Slice(d, n)
	for i, v := range px {
		phi := .5*erf32(v*table[13]) + .5
		py[i] = v * phi
		pd[i] = phi + v*table[30]*exp32(-.5*v*v)
	}
}

func expSumPortable(n int, x *float32, top, scale float32, sums *[8]float32) {
	for i, v := range unsafe.Slice(x, n) {
		e := exp32((v - top) * scale)
		unsafe.Slice(x, n)[i] = e
		sums[i%8] += e
	}
}

func dropoutPortable(n int, x *float32, state *[8]uint32, threshold uint32, scale float32) {
	px := unsafe.Slice(x, n)
	for i := range px {
		s := state[i%8]
		s ^= s << 13
		s ^= s >> 17
		s ^= s << 5
		state[i%8] = s
		if s>>1 < threshold {
			px[i] = 0
		} else {
			px[i] *= scale
		}
	}
}

func adamPortable(n int, w, g, m, v *float32, r *AdamRates) {
	t := r.table()
	pw, pg, pm, pv := unsafe.Slice(w, n), unsafe.Slice(g, n), unsafe.Slice(m, n), unsafe.Slice(v, n)
	for i, gi := range pg {
		gi *= t[0]
		pm[i] += (gi - pm[i]) * t[1]
		pv[i] = pv[i]*t[2] + gi*gi*t[3]
		pw[i] = pw[i]*t[7] - pm[i]*t[4]/(float32(math.Sqrt(float64(pv[i])))*t[5]+t[6])
		pg[i] = 0
	}
}
