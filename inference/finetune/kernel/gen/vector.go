package main

// The element-wise functions take n, a multiple of 8, and read their constants from a
// table of float32 that the Go side lays out in the order of the names below; each
// use broadcasts its constant from memory, which the load ports have room for.

// constant is the address of entry i of the table in register AX.
func constant(a *asm, i int, reg string) { a.f("VBROADCASTSS %d(AX), %s", 4*i, reg) }

// Table of exp, at the start of every table that needs it.
const (
	expLow = iota // the least argument
	expHigh
	log2e
	ln2High
	ln2Low
	exp0     // six coefficients, highest power first
	one      = exp0 + 6
	bias     = one + 1 // 127 as an integer
	expTable = bias + 1
)

// exp leaves e^x of register x in x; t and u are scratch (Cephes' expf).
func exp(a *asm, x, t, u, k string) {
	constant(a, expLow, k)
	a.f("VMAXPS %s, %s, %s", k, x, x)
	constant(a, expHigh, k)
	a.f("VMINPS %s, %s, %s", k, x, x)
	constant(a, log2e, k)
	a.f("VMULPS %s, %s, %s", k, x, t)
	a.f("VROUNDPS $0, %s, %s", t, t)
	constant(a, ln2High, k)
	a.f("VFNMADD231PS %s, %s, %s", k, t, x)
	constant(a, ln2Low, k)
	a.f("VFNMADD231PS %s, %s, %s", k, t, x)
	constant(a, exp0, u)
	for i := 1; i < 6; i++ {
		constant(a, exp0+i, k)
		a.f("VFMADD213PS %s, %s, %s", k, x, u)
	}
	a.f("VMULPS %s, %s, %s", x, x, k)
	a.f("VFMADD213PS %s, %s, %s", x, k, u) // u = u*x^2 + x
	constant(a, one, k)
	a.f("VADDPS %s, %s, %s", k, u, u)
	a.f("VCVTPS2DQ %s, %s", t, t)
	constant(a, bias, k)
	a.f("VPADDD %s, %s, %s", k, t, t)
	a.f("VPSLLD $23, %s, %s", t, t)
	a.f("VMULPS %s, %s, %s", t, u, x)
}

// Table of gelu, behind that of exp.
const (
	rootHalf = expTable + iota
	erfHigh
	erfLow
	erfP0               // seven coefficients
	erfQ0   = erfP0 + 7 // five coefficients
	half    = erfQ0 + 5 // 0.5
	negHalf = half + 1  // -0.5
	density = negHalf + 1
)

// gelu writes y = x Phi(x) and d = Phi(x) + x phi(x). Erf is the quotient of
// polynomials that Eigen and XLA use, within 1e-7.
func gelu(a *asm) {
	a.text("geluAVX2(n int, x, y, d *float32, table *float32)", "geluAVX2", 40)
	a.args("n+0", "CX", "x+8", "SI", "y+16", "DI", "d+24", "DX", "table+32", "AX")
	a.label("geluLoop")
	a.f("VMOVUPS (SI), Y0")
	constant(a, rootHalf, "Y1")
	a.f("VMULPS Y0, Y1, Y1")
	constant(a, erfHigh, "Y2")
	a.f("VMINPS Y2, Y1, Y1")
	constant(a, erfLow, "Y2")
	a.f("VMAXPS Y2, Y1, Y1")
	a.f("VMULPS Y1, Y1, Y2")
	constant(a, erfP0, "Y3")
	for i := 1; i < 7; i++ {
		constant(a, erfP0+i, "Y4")
		a.f("VFMADD213PS Y4, Y2, Y3")
	}
	constant(a, erfQ0, "Y5")
	for i := 1; i < 5; i++ {
		constant(a, erfQ0+i, "Y4")
		a.f("VFMADD213PS Y4, Y2, Y5")
	}
	a.f("VMULPS Y1, Y3, Y3")
	a.f("VDIVPS Y5, Y3, Y3") // erf
	constant(a, half, "Y4")
	a.f("VFMADD213PS Y4, Y4, Y3") // Phi
	a.f("VMULPS Y0, Y3, Y4")
	a.f("VMOVUPS Y4, (DI)")
	constant(a, negHalf, "Y5")
	a.f("VMULPS Y0, Y0, Y6")
	a.f("VMULPS Y5, Y6, Y6")
	exp(a, "Y6", "Y7", "Y8", "Y9")
	constant(a, density, "Y5")
	a.f("VMULPS Y5, Y6, Y6")
	a.f("VFMADD231PS Y6, Y0, Y3")
	a.f("VMOVUPS Y3, (DX)")
	a.f("ADDQ $32, SI")
	a.f("ADDQ $32, DI")
	a.f("ADDQ $32, DX")
	a.f("SUBQ $8, CX")
	a.f("JNZ geluLoop")
	a.f("VZEROUPPER")
	a.f("RET")
}

// expSum replaces x by e^((x-top) scale) and returns the sum, lane by lane.
func expSum(a *asm) {
	a.text("expSumAVX2(n int, x *float32, top, scale float32, table, sums *float32)", "expSumAVX2", 40)
	a.args("n+0", "CX", "x+8", "SI", "table+24", "AX", "sums+32", "DX")
	a.f("VBROADCASTSS top+16(FP), Y10")
	a.f("VBROADCASTSS scale+20(FP), Y11")
	a.f("VXORPS Y12, Y12, Y12")
	a.label("expSumLoop")
	a.f("VMOVUPS (SI), Y0")
	a.f("VSUBPS Y10, Y0, Y0")
	a.f("VMULPS Y11, Y0, Y0")
	exp(a, "Y0", "Y1", "Y2", "Y3")
	a.f("VADDPS Y0, Y12, Y12")
	a.f("VMOVUPS Y0, (SI)")
	a.f("ADDQ $32, SI")
	a.f("SUBQ $8, CX")
	a.f("JNZ expSumLoop")
	a.f("VMOVUPS Y12, (DX)")
	a.f("VZEROUPPER")
	a.f("RET")
}

// dropout advances eight xorshift32 generators, one a lane, and zeroes the elements
// whose draw, less its sign bit, is below the threshold; the others are scaled.
func dropout(a *asm) {
	a.text("dropoutAVX2(n int, x *float32, state *uint32, threshold uint32, scale float32)", "dropoutAVX2", 32)
	a.args("n+0", "CX", "x+8", "SI", "state+16", "DX")
	a.f("VMOVUPS (DX), Y0")
	a.f("VBROADCASTSS threshold+24(FP), Y1")
	a.f("VBROADCASTSS scale+28(FP), Y2")
	a.label("dropoutLoop")
	for _, s := range []struct {
		op   string
		bits int
	}{{"VPSLLD", 13}, {"VPSRLD", 17}, {"VPSLLD", 5}} {
		a.f("%s $%d, Y0, Y3", s.op, s.bits)
		a.f("VPXOR Y3, Y0, Y0")
	}
	a.f("VPSRLD $1, Y0, Y3")
	a.f("VPCMPGTD Y3, Y1, Y3") // threshold > draw: dropped
	a.f("VMULPS (SI), Y2, Y4")
	a.f("VPANDN Y4, Y3, Y4")
	a.f("VMOVUPS Y4, (SI)")
	a.f("ADDQ $32, SI")
	a.f("SUBQ $8, CX")
	a.f("JNZ dropoutLoop")
	a.f("VMOVUPS Y0, (DX)")
	a.f("VZEROUPPER")
	a.f("RET")
}

// Table of adam; see AdamRates.
const (
	adamClip  = iota
	adamBeta1 // 1 - beta1
	adamBeta2
	adamBeta2C // 1 - beta2
	adamStep
	adamScale // 1 / sqrt(1 - beta2^t)
	adamEpsilon
	adamKeep // 1 - rate x decay
)

// adam does one step of AdamW on n weights and zeroes their gradients.
func adam(a *asm) {
	a.text("adamAVX2(n int, w, grad, m, v *float32, table *float32)", "adamAVX2", 48)
	a.args("n+0", "CX", "w+8", "SI", "grad+16", "DI", "m+24", "R8", "v+32", "R9", "table+40", "AX")
	for i := adamClip; i <= adamKeep; i++ {
		constant(a, i, "Y"+string(rune('0'+i)))
	}
	a.f("VXORPS Y15, Y15, Y15")
	a.label("adamLoop")
	a.f("VMULPS (DI), Y%d, Y8", adamClip)
	a.f("VMOVUPS Y15, (DI)")
	a.f("VMOVUPS (R8), Y9")
	a.f("VSUBPS Y9, Y8, Y10")
	a.f("VFMADD231PS Y%d, Y10, Y9", adamBeta1)
	a.f("VMOVUPS Y9, (R8)")
	a.f("VMULPS (R9), Y%d, Y10", adamBeta2)
	a.f("VMULPS Y8, Y8, Y8")
	a.f("VFMADD231PS Y%d, Y8, Y10", adamBeta2C)
	a.f("VMOVUPS Y10, (R9)")
	a.f("VSQRTPS Y10, Y10")
	a.f("VFMADD213PS Y%d, Y%d, Y10", adamEpsilon, adamScale)
	a.f("VMULPS Y%d, Y9, Y9", adamStep)
	a.f("VDIVPS Y10, Y9, Y9")
	a.f("VMULPS (SI), Y%d, Y8", adamKeep)
	a.f("VSUBPS Y9, Y8, Y8")
	a.f("VMOVUPS Y8, (SI)")
	for _, r := range []string{"SI", "DI", "R8", "R9"} {
		a.f("ADDQ $32, %s", r)
	}
	a.f("SUBQ $8, CX")
	a.f("JNZ adamLoop")
	a.f("VZEROUPPER")
	a.f("RET")
}
