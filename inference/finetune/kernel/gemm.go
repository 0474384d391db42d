package kernel

import "fmt"

// Product is C = op(A) op(B), or C += with Add: C [M,N], op(A) [M,K], op(B) [K,N],
// row-major with the given distance between rows. A is stored as [K,M] where TransA
// is set, B as [N,K] where TransB is.
type Product struct {
	TransA, TransB bool
	M, N, K        int
	A              []float32
	LDA            int
	B              []float32
	LDB            int
	Add            bool
	C              []float32
	LDC            int
}

// A block of B (blockK x nr) stays in the first cache, one of A (blockM x blockK) in
// the second. blockM is a multiple of every set's mr.
const blockK, blockM = 256, 144

// check panics on shapes that would read or write past a slice: kernels do not look.
func (p *Product) check() {
	last := func(rows, cols, ld int) int { return (rows-1)*ld + cols }
	a, b := last(p.M, p.K, p.LDA), last(p.K, p.N, p.LDB)
	if p.TransA {
		a = last(p.K, p.M, p.LDA)
	}
	if p.TransB {
		b = last(p.N, p.K, p.LDB)
	}
	if p.M <= 0 || p.N <= 0 || p.K <= 0 || len(p.A) < a || len(p.B) < b || len(p.C) < last(p.M, p.N, p.LDC) || p.LDC < p.N {
		panic(fmt.Sprintf("kernel: product %dx%dx%d does not fit A %d, B %d, C %d", p.M, p.N, p.K, len(p.A), len(p.B), len(p.C)))
	}
}

// Multiply computes p on all workers.
func (e *Engine) Multiply(p *Product) {
	p.check()
	nr := e.set.nr
	panels := (p.N + nr - 1) / nr
	e.shared = Grow(e.shared, panels*nr*blockK)
	for k0 := 0; k0 < p.K; k0 += blockK {
		kn := min(blockK, p.K-k0)
		e.For(panels, func(_, j int) { e.packB(e.shared[j*kn*nr:(j+1)*kn*nr], p, k0, kn, j*nr) })
		e.Chunks(p.M, e.rowsAtOnce(p.M), func(w, _, lo, hi int) {
			if k0 == 0 && !p.Add {
				p.clear(lo, hi)
			}
			e.block(&e.workers[w], p, e.shared, lo, hi, k0, kn)
		})
	}
}

// rowsAtOnce gives every worker several blocks, so that none waits long for the last.
func (e *Engine) rowsAtOnce(m int) int {
	mr := e.set.mr
	return min(blockM, max(mr, (m/(4*len(e.workers))+mr-1)/mr*mr))
}

// MultiplyOn computes a small p on the given worker alone, inside For.
func (e *Engine) MultiplyOn(w int, p *Product) {
	p.check()
	nr := e.set.nr
	own := &e.workers[w]
	panels := (p.N + nr - 1) / nr
	own.b = Grow(own.b, panels*nr*min(p.K, blockK))
	if !p.Add {
		p.clear(0, p.M)
	}
	for k0 := 0; k0 < p.K; k0 += blockK {
		kn := min(blockK, p.K-k0)
		for j := range panels {
			e.packB(own.b[j*kn*nr:(j+1)*kn*nr], p, k0, kn, j*nr)
		}
		e.block(own, p, own.b, 0, p.M, k0, kn)
	}
}

func (p *Product) clear(lo, hi int) {
	for i := lo; i < hi; i++ {
		clear(p.C[i*p.LDC : i*p.LDC+p.N])
	}
}

// packB copies a panel of op(B), rows k0.. and nr columns from j, padded with zeros.
func (e *Engine) packB(dst []float32, p *Product, k0, kn, j int) {
	nr := e.set.nr
	jn := min(nr, p.N-j)
	if jn < nr {
		clear(dst)
	}
	if !p.TransB {
		for k := range kn {
			at := (k0+k)*p.LDB + j
			copy(dst[k*nr:k*nr+jn], p.B[at:at+jn])
		}
		return
	}
	i := 0
	for ; i+4 <= jn; i += 4 {
		at := (j+i)*p.LDB + k0
		r0, r1 := p.B[at:at+kn], p.B[at+p.LDB:][:kn]
		r2, r3 := p.B[at+2*p.LDB:][:kn], p.B[at+3*p.LDB:][:kn]
		for k, v := range r0 {
			d := (*[4]float32)(dst[k*nr+i:])
			d[0], d[1], d[2], d[3] = v, r1[k], r2[k], r3[k]
		}
	}
	for ; i < jn; i++ {
		at := (j+i)*p.LDB + k0
		for k, v := range p.B[at : at+kn] {
			dst[k*nr+i] = v
		}
	}
}

// block adds rows lo..hi of a step of kn to C. What overhangs the tile is computed
// into a tile of its own and then added.
func (e *Engine) block(w *worker, p *Product, packed []float32, lo, hi, k0, kn int) {
	mr, nr := e.set.mr, e.set.nr
	w.c = Grow(w.c, mr*nr)
	row, step, at := p.LDA, 1, lo*p.LDA+k0
	if p.TransA {
		row, step, at = 1, p.LDA, k0*p.LDA+lo
	}
	whole := lo + (hi-lo)/mr*mr
	if whole < hi {
		w.a = Grow(w.a, mr*kn)
		packA(w.a, p.A[at+(whole-lo)*row:], row, step, hi-whole, mr, kn)
	}
	for j := 0; j < p.N; j += nr {
		b := &packed[j*kn]
		jn := min(nr, p.N-j)
		for i := lo; i < hi; i += mr {
			rows := min(mr, hi-i)
			a, rs, ss := w.a, 1, mr
			if rows == mr {
				a, rs, ss = p.A[at+(i-lo)*row:], row, step
			}
			if rows == mr && jn == nr {
				e.set.tile(kn, &a[0], rs*floatBytes, ss*floatBytes, b, &p.C[i*p.LDC+j], p.LDC*floatBytes)
				continue
			}
			clear(w.c)
			e.set.tile(kn, &a[0], rs*floatBytes, ss*floatBytes, b, &w.c[0], nr*floatBytes)
			for r := range rows {
				c := p.C[(i+r)*p.LDC+j:][:jn]
				for x, v := range w.c[r*nr : r*nr+jn] {
					c[x] += v
				}
			}
		}
	}
}

// packA copies the last rows, fewer than mr, step by step, padded with zeros.
func packA(dst, a []float32, row, step, rows, mr, kn int) {
	clear(dst)
	for i := range rows {
		for k := range kn {
			dst[k*mr+i] = a[i*row+k*step]
		}
	}
}
