package heads

import (
	"context"
	"fmt"
	"math"
	"syscall"
	"testing"
	"time"
)

// without is the score of a tree's part below node n where the inputs in hidden
// are not known: their nodes send the row both ways, by the training rows.
func without(t *Tree, row []float32, hidden map[int32]bool, n int) float64 {
	if n >= len(t.Feature) {
		return float64(t.Value[n])
	}
	l, r := 2*n+1, 2*n+2
	j := t.Feature[n]
	if t.Threshold[n] != noSplit && hidden[j] {
		p := (float64(t.Value[n]) - float64(t.Value[r])) / (float64(t.Value[l]) - float64(t.Value[r]))
		return p*without(t, row, hidden, l) + (1-p)*without(t, row, hidden, r)
	}
	if row[j] > t.Threshold[n] {
		return without(t, row, hidden, r)
	}
	return without(t, row, hidden, l)
}

// shapleyByOrders is the mean change of the score when an input becomes known,
// over every order of the inputs.
func shapleyByOrders(f *Forest, row []float32) []float64 {
	out := make([]float64, len(row))
	orders := 0
	hidden := map[int32]bool{}
	score := func() (s float64) {
		for i := range f.Trees {
			s += without(&f.Trees[i], row, hidden, 0)
		}
		return s
	}
	var visit func(left []int32, now float64)
	visit = func(left []int32, now float64) {
		if len(left) == 0 {
			orders++
		}
		for k, j := range left {
			rest := append(append([]int32(nil), left[:k]...), left[k+1:]...)
			delete(hidden, j)
			then := score()
			weight := 1.0
			for n := 2; n <= len(rest); n++ {
				weight *= float64(n)
			}
			out[j] += weight * (then - now)
			visit(rest, then)
			hidden[j] = true
		}
	}
	all := make([]int32, len(row))
	for j := range all {
		all[j] = int32(j)
		hidden[int32(j)] = true
	}
	visit(all, score())
	for j := range out {
		out[j] /= float64(orders)
	}
	return out
}

func boosted(t testing.TB, rows, cols, depth, rounds int) (*Forest, *Matrix) {
	t.Helper()
	x, y := random(rows, cols, 11, Logistic)
	all := make([]int, rows)
	for i := range all {
		all[i] = i
	}
	f, err := FitForest(context.Background(), Bin(x), y, all, Logistic, BoostOptions{Rounds: rounds, Depth: depth, Rate: .3, Lambda: 1, MinWeight: 3, RowShare: .8, ColShare: .8}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f, x
}

// TestForestEffectsAreShapleyValues compares the tables with the definition, for
// every depth, on trees that test an input more than once and have nodes that
// were not split.
func TestForestEffectsAreShapleyValues(t *testing.T) {
	t.Parallel()
	for depth := 1; depth <= maxDepth; depth++ {
		t.Run(fmt.Sprint("depth ", depth), func(t *testing.T) {
			t.Parallel()
			f, x := boosted(t, 150, 4, depth, 3)
			z, plain, effects := make([]float64, x.Rows), make([]float64, x.Rows), NewMatrix(x.Rows, x.Cols)
			f.Score(x, plain)
			newShapley(f).explain(x, z, 1, effects)
			for i := range 25 {
				if z[i] != plain[i] {
					t.Fatalf("row %d: %v explained, %v scored", i, z[i], plain[i])
				}
				for j, want := range shapleyByOrders(f, x.Row(i)) {
					if got := float64(effects.Row(i)[j]); math.Abs(got-want) > 2e-5 {
						t.Fatalf("row %d input %d: effect %v, by all orders %v", i, j, got, want)
					}
				}
			}
		})
	}
}

// cpu is the processor time that this process has used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkForestEffects explains 128 rows by 120 trees.
func BenchmarkForestEffects(b *testing.B) {
	for _, depth := range []int{2, 3, 4, 5} {
		f, x := boosted(b, 512, 60, depth, 120)
		part := &Matrix{Rows: 128, Cols: x.Cols, Stride: x.Stride, Data: x.Data}
		s, z, effects := newShapley(f), make([]float64, 128), NewMatrix(128, x.Cols)
		b.Run(fmt.Sprint("depth ", depth), func(b *testing.B) {
			start, n := cpu(b), 0
			for b.Loop() {
				s.explain(part, z, 1, effects)
				n += part.Rows
			}
			b.ReportMetric(float64((cpu(b)-start).Nanoseconds())/float64(n), "cpu-ns/row")
		})
	}
}
