package main

// tile writes C[rows x 2 vectors] += A B over k: B is packed [k][2 vectors], A is read
// in place with a byte stride from row to row and another from step to step, so that
// neither A nor its transpose has to be packed.
//
// All rows are addressed from one or two pointers, six rows each: 0, 1, 2, 3, 4, 5
// strides need the stride itself, thrice and five times it.
func tile(a *asm, name, reg string, width, rows int) {
	a.text(name+"(k int, a *float32, rowBytes, stepBytes int, b, c *float32, cBytes int)", name, 56)
	a.args("k+0", "CX", "a+8", "SI", "rowBytes+16", "R8", "stepBytes+24", "R9", "b+32", "DI", "c+40", "DX", "cBytes+48", "R10")
	a.f("LEAQ (R8)(R8*2), R11")
	a.f("LEAQ (R8)(R8*4), R12")
	if rows > 6 {
		a.f("LEAQ (SI)(R11*2), R13")
	}
	acc := 2 * rows
	xor := "VXORPS"
	if reg == "Z" {
		xor = "VPXORQ"
	}
	for i := range acc {
		a.f("%s %s%d, %s%d, %s%d", xor, reg, i, reg, i, reg, i)
	}
	spare := acc + 2 // registers behind the accumulators and the two of B
	free := 16
	if reg == "Z" {
		free = 32
	}
	a.label(name + "Loop")
	a.f("VMOVUPS (DI), %s%d", reg, acc)
	a.f("VMOVUPS %d(DI), %s%d", width, reg, acc+1)
	for i := range rows {
		t := spare + i%(free-spare)
		a.f("VBROADCASTSS %s, %s%d", rowAddress(i), reg, t)
		a.f("VFMADD231PS %s%d, %s%d, %s%d", reg, acc, reg, t, reg, 2*i)
		a.f("VFMADD231PS %s%d, %s%d, %s%d", reg, acc+1, reg, t, reg, 2*i+1)
	}
	a.f("ADDQ R9, SI")
	if rows > 6 {
		a.f("ADDQ R9, R13")
	}
	a.f("ADDQ $%d, DI", 2*width)
	a.f("DECQ CX")
	a.f("JNZ %sLoop", name)
	for i := range rows {
		for h := range 2 {
			r := 2*i + h
			a.f("VADDPS %d(DX), %s%d, %s%d", h*width, reg, r, reg, r)
			a.f("VMOVUPS %s%d, %d(DX)", reg, r, h*width)
		}
		a.f("ADDQ R10, DX")
	}
	a.f("VZEROUPPER")
	a.f("RET")
}

func rowAddress(i int) string {
	base := "(SI)"
	if i >= 6 {
		base = "(R13)"
	}
	return base + [...]string{"", "(R8*1)", "(R8*2)", "(R11*1)", "(R8*4)", "(R12*1)"}[i%6]
}
