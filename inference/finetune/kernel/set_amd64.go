package kernel

import "golang.org/x/sys/cpu"

//go:noescape
func tileAVX2(k int, a *float32, rowBytes, stepBytes int, b, c *float32, cBytes int)

//go:noescape
func tileAVX512(k int, a *float32, rowBytes, stepBytes int, b, c *float32, cBytes int)

//go:noescape
func geluAVX2(n int, x, y, d *float32, table *float32)

//go:noescape
func expSumAVX2(n int, x *float32, top, scale float32, table, sums *float32)

//go:noescape
func dropoutAVX2(n int, x *float32, state *uint32, threshold uint32, scale float32)

//go:noescape
func adamAVX2(n int, w, grad, m, v *float32, table *float32)

func sets() []*set {
	var out []*set
	avx2 := set{
		name: AVX2, mr: 6, nr: 16, tile: tileAVX2,
		gelu: func(n int, x, y, d *float32) { geluAVX2(n, x, y, d, &table[0]) },
		expSum: func(n int, x *float32, top, scale float32, sums *[8]float32) {
			expSumAVX2(n, x, top, scale, &table[0], &sums[0])
		},
		dropout: func(n int, x *float32, state *[8]uint32, threshold uint32, scale float32) {
			dropoutAVX2(n, x, &state[0], threshold, scale)
		},
		adam: func(n int, w, g, m, v *float32, r *AdamRates) {
			t := r.table()
			adamAVX2(n, w, g, m, v, &t[0])
		},
	}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		if cpu.X86.HasAVX512F {
			wide := avx2 // only the product gains from wider vectors
			wide.name, wide.mr, wide.nr, wide.tile = AVX512, 12, 32, tileAVX512
			out = append(out, &wide)
		}
		out = append(out, &avx2)
	}
	return append(out, &portable)
}
