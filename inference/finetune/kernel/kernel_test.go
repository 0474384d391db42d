package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
)

// each runs f with every set of kernels; one the CPU lacks is skipped, loudly.
func each(t *testing.T, f func(t *testing.T, e *Engine)) {
	for _, name := range []string{AVX512, AVX2, Portable} {
		t.Run(name, func(t *testing.T) {
			e, err := Open(name, 2)
			if err != nil {
				t.Skipf("SKIPPED, %s kernels are NOT tested on this machine: %v", name, err)
			}
			f(t, e)
		})
	}
}

func random(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// product is a product with rows further apart than they are long.
func product(r *rand.Rand, m, n, k, pad int, ta, tb, add bool) *Product {
	p := &Product{TransA: ta, TransB: tb, M: m, N: n, K: k, LDA: k + pad, LDB: n + pad, LDC: n + pad, Add: add}
	rowsA, rowsB := m, k
	if ta {
		p.LDA, rowsA = m+pad, k
	}
	if tb {
		p.LDB, rowsB = k+pad, n
	}
	p.A, p.B, p.C = random(r, rowsA*p.LDA-pad), random(r, rowsB*p.LDB-pad), random(r, m*p.LDC-pad)
	return p
}

// naive is the product in float64.
func naive(p *Product) []float64 {
	out := make([]float64, len(p.C))
	for i, v := range p.C {
		out[i] = float64(v)
	}
	for i := range p.M {
		for j := range p.N {
			var s float64
			for k := range p.K {
				a, b := i*p.LDA+k, k*p.LDB+j
				if p.TransA {
					a = k*p.LDA + i
				}
				if p.TransB {
					b = j*p.LDB + k
				}
				s += float64(p.A[a]) * float64(p.B[b])
			}
			if p.Add {
				s += float64(p.C[i*p.LDC+j])
			}
			out[i*p.LDC+j] = s
		}
	}
	return out
}

func TestProducts(t *testing.T) {
	shapes := [][3]int{{1, 1, 1}, {5, 7, 9}, {12, 32, 1}, {13, 33, 257}, {37, 70, 300}, {6, 16, 512}, {150, 96, 64}, {290, 31, 40}}
	each(t, func(t *testing.T, e *Engine) {
		r := rand.New(rand.NewPCG(1, 2))
		for _, s := range shapes {
			for v := range 8 {
				p := product(r, s[0], s[1], s[2], v%3, v&1 != 0, v&2 != 0, v&4 != 0)
				want, start := naive(p), slices.Clone(p.C)
				e.Multiply(p)
				compare(t, fmt.Sprint("Multiply", s, v), p.C, want, 1e-6*math.Sqrt(float64(s[2]))*4)
				copy(p.C, start)
				e.MultiplyOn(1, p)
				compare(t, fmt.Sprint("MultiplyOn", s, v), p.C, want, 1e-6*math.Sqrt(float64(s[2]))*4)
			}
		}
	})
}

func compare(t *testing.T, name string, got []float32, want []float64, tolerance float64) {
	t.Helper()
	for i := range want {
		if !(math.Abs(float64(got[i])-want[i]) <= tolerance*max(1, math.Abs(want[i]))) {
			t.Fatalf("%s: element %d is %v, want %v", name, i, got[i], want[i])
		}
	}
}

func TestResultsDoNotDependOnThreads(t *testing.T) {
	each(t, func(t *testing.T, e *Engine) {
		r := rand.New(rand.NewPCG(3, 4))
		p := product(r, 301, 130, 600, 0, true, false, false)
		x := random(r, 3*chunk+5)
		var first [][]float32
		for _, threads := range []int{1, 2, 3, 5} {
			one, err := Open(e.Name(), threads)
			if err != nil {
				t.Fatal(err)
			}
			one.Multiply(p)
			y, d := make([]float32, len(x)), make([]float32, len(x))
			one.Gelu(x, y, d)
			one.Dropout(y, .1, 7)
			now := [][]float32{slices.Clone(p.C), y, d}
			if first == nil {
				first = now
			}
			for i := range now {
				if !slices.Equal(now[i], first[i]) {
					t.Errorf("%d threads: result %d differs", threads, i)
				}
			}
		}
	})
}

func TestGelu(t *testing.T) {
	each(t, func(t *testing.T, e *Engine) {
		var x []float32
		for v := -12.0; v < 12; v += .013 {
			x = append(x, float32(v))
		}
		y, d := make([]float32, len(x)), make([]float32, len(x))
		e.Gelu(x, y, d)
		wantY, wantD := make([]float64, len(x)), make([]float64, len(x))
		for i, v := range x {
			v := float64(v)
			phi := .5 * (1 + math.Erf(v/math.Sqrt2))
			wantY[i], wantD[i] = v*phi, phi+v*math.Exp(-v*v/2)/math.Sqrt(2*math.Pi)
		}
		compare(t, "gelu", y, wantY, 1e-6)
		compare(t, "derivative", d, wantD, 5e-7)
	})
}

func TestSoftmax(t *testing.T) {
	each(t, func(t *testing.T, e *Engine) {
		r := rand.New(rand.NewPCG(5, 6))
		for _, n := range []int{1, 3, 8, 9, 31, 128} {
			x := random(r, n)
			for i := range x {
				x[i] *= 30
			}
			want, sum := make([]float64, n), 0.
			for i, v := range x {
				want[i] = math.Exp(.25 * (float64(v) - float64(slices.Max(x))))
				sum += want[i]
			}
			for i := range want {
				want[i] /= sum
			}
			e.Softmax(x, .25)
			compare(t, fmt.Sprint(n), x, want, 1e-6)
		}
	})
}

// TestDropoutMasksAreTheSameEverywhere also checks their rate.
func TestDropoutMasksAreTheSameEverywhere(t *testing.T) {
	const n, rate = 5*chunk + 3, .1
	var first []float32
	each(t, func(t *testing.T, e *Engine) {
		x := make([]float32, n)
		for i := range x {
			x[i] = 1
		}
		e.Dropout(x, rate, 42)
		dropped := 0
		for _, v := range x {
			if v == 0 {
				dropped++
			} else if v != float32(1/(1-rate)) {
				t.Fatalf("kept element is %v", v)
			}
		}
		if share := float64(dropped) / n; math.Abs(share-rate) > 5*math.Sqrt(rate*(1-rate)/n) {
			t.Errorf("%.4f dropped, want %.2f", share, rate)
		}
		if first == nil {
			first = x
		}
		if !slices.Equal(x, first) {
			t.Error("another mask than the first set's")
		}
	})
}

func TestAdam(t *testing.T) {
	each(t, func(t *testing.T, e *Engine) {
		r := rand.New(rand.NewPCG(7, 8))
		const n = 21
		w, m, v := random(r, n), make([]float32, n), make([]float32, n)
		ref := [3][]float64{make([]float64, n), make([]float64, n), make([]float64, n)}
		for i := range w {
			ref[0][i] = float64(w[i])
		}
		for step := 1; step <= 5; step++ {
			g := random(r, n)
			o := AdamRates{Rate: .01, Decay: .1, Beta1: .9, Beta2: .999, Epsilon: 1e-8, Clip: .5, Step: step}
			for i, gi := range g {
				gi := .5 * float64(gi)
				ref[1][i] = .9*ref[1][i] + .1*gi
				ref[2][i] = .999*ref[2][i] + .001*gi*gi
				mh, vh := ref[1][i]/(1-math.Pow(.9, float64(step))), ref[2][i]/(1-math.Pow(.999, float64(step)))
				ref[0][i] = ref[0][i]*(1-.01*.1) - .01*mh/(math.Sqrt(vh)+1e-8)
			}
			e.Adam(w, g, m, v, &o)
			for _, x := range g {
				if x != 0 {
					t.Fatal("the gradient is not zeroed")
				}
			}
		}
		compare(t, "weights", w, ref[0], 1e-5)
		compare(t, "first moment", m, ref[1], 1e-5)
	})
}

func TestOpenNamesWhatThereIs(t *testing.T) {
	if _, err := Open("mmx", 1); err == nil {
		t.Error("unknown kernels were opened")
	}
	if e, err := Open(Auto, 0); err != nil || e.Name() != Names()[0] {
		t.Errorf("auto: %v, %v", e, err)
	}
}

func cpuSeconds(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}

// BenchmarkProduct measures the shapes of a training step of MiniLM on 4096 tokens.
func BenchmarkProduct(b *testing.B) {
	shapes := []struct {
		name    string
		m, n, k int
		ta, tb  bool
	}{
		{"forward", 4096, 1536, 384, false, true}, {"input", 4096, 384, 1536, false, false},
		{"weights", 1536, 384, 4096, true, false}, {"short", 340, 384, 384, false, true},
	}
	for _, name := range Names() {
		for _, s := range shapes {
			for _, threads := range []int{1, 2} {
				b.Run(fmt.Sprintf("%s/%s/%d", name, s.name, threads), func(b *testing.B) {
					e, err := Open(name, threads)
					if err != nil {
						b.Fatal(err)
					}
					p := product(rand.New(rand.NewPCG(1, 1)), s.m, s.n, s.k, 0, s.ta, s.tb, false)
					start := cpuSeconds(b)
					for b.Loop() {
						e.Multiply(p)
					}
					flop := 2 * float64(s.m) * float64(s.n) * float64(s.k) * float64(b.N)
					b.ReportMetric(flop/(cpuSeconds(b)-start)/1e9, "GFLOP/cpu-s")
				})
			}
		}
	}
}

// BenchmarkPeak runs a tile on operands that stay in the first cache: what the kernel
// itself can do, which BenchmarkProduct is to be compared with.
func BenchmarkPeak(b *testing.B) {
	for _, s := range sets() {
		b.Run(s.name, func(b *testing.B) {
			x, y, c := make([]float32, s.mr*blockK), make([]float32, s.nr*blockK), make([]float32, s.mr*s.nr)
			start := cpuSeconds(b)
			for b.Loop() {
				s.tile(blockK, &x[0], floatBytes, s.mr*floatBytes, &y[0], &c[0], s.nr*floatBytes)
			}
			flop := 2 * float64(s.mr*s.nr*blockK) * float64(b.N)
			b.ReportMetric(flop/(cpuSeconds(b)-start)/1e9, "GFLOP/cpu-s")
		})
	}
}
