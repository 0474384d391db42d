package heads

import (
	"context"
	"math/rand/v2"
	"sort"
)

// BoostOptions are the hyper-parameters of gradient boosting.
type BoostOptions struct {
	Rounds    int
	Depth     int // of every tree
	Rate      float64
	Lambda    float64 // L2 on leaves
	MinWeight float64 // least sum of second derivatives in a leaf
	RowShare  float64 // of the rows, drawn for each tree
	ColShare  float64 // of the inputs, drawn for each tree
	Seed      uint64
}

const maxBins = 64

// Binned is a matrix with every column cut at quantiles into at most 64 bins.
type Binned struct {
	rows, cols int
	cuts       [][]float32 // a column's upper bounds, the last bin open
	bins       [][]uint8   // column-major
}

// Bin cuts the columns of x.
func Bin(x *Matrix) *Binned {
	b := &Binned{rows: x.Rows, cols: x.Cols, cuts: make([][]float32, x.Cols), bins: make([][]uint8, x.Cols)}
	sorted := make([]float32, x.Rows)
	for j := range x.Cols {
		for i := range sorted {
			sorted[i] = x.Data[i*x.Stride+j]
		}
		sort.Slice(sorted, func(a, c int) bool { return sorted[a] < sorted[c] })
		cuts := quantileCuts(sorted)
		col := make([]uint8, x.Rows)
		for i := range col {
			v := x.Data[i*x.Stride+j]
			col[i] = uint8(sort.Search(len(cuts), func(k int) bool { return v <= cuts[k] }))
		}
		b.cuts[j], b.bins[j] = cuts, col
	}
	return b
}

// quantileCuts puts bounds midway between neighbouring distinct values.
func quantileCuts(sorted []float32) []float32 {
	var cuts []float32
	n := len(sorted)
	for k := 1; k < maxBins; k++ {
		at := k * n / maxBins
		if at == 0 || at >= n {
			continue
		}
		// The first place from here where the value changes.
		v := sorted[at-1]
		next := sort.Search(n, func(i int) bool { return sorted[i] > v })
		if next == n {
			break
		}
		c := v + (sorted[next]-v)/2
		if c >= sorted[next] {
			c = v
		}
		if len(cuts) == 0 || c > cuts[len(cuts)-1] {
			cuts = append(cuts, c)
		}
	}
	return cuts
}

// booster grows the trees of one forest.
type booster struct {
	b          *Binned
	o          BoostOptions
	loss       Loss
	y          []float64
	train      []int
	rng        *rand.Rand
	score      []float64 // of every row of b
	grad, hess []float64
	node       []int32 // heap position of every row in the tree being grown
	hg, hh     []float64
}

// FitForest boosts trees on the rows train of b and labels y (one a row of b).
// After each round it calls round with the scores of all rows of b, the start
// score included; false ends the boosting. The start score is a tree's worth of
// constant: the first tree carries it.
func FitForest(ctx context.Context, b *Binned, y []float64, train []int, loss Loss, o BoostOptions, round func(n int, score []float64) bool) (*Forest, error) {
	g := &booster{b: b, o: o, loss: loss, y: y, train: train, rng: rand.New(rand.NewPCG(o.Seed, 0x74726565)),
		score: make([]float64, b.rows), grad: make([]float64, b.rows), hess: make([]float64, b.rows), node: make([]int32, b.rows)}
	width := 1 << (o.Depth - 1) * maxBins
	g.hg, g.hh = make([]float64, width), make([]float64, width)
	f := &Forest{Depth: o.Depth}
	start := startScore(y, train, loss)
	f.Trees = append(f.Trees, constantTree(o.Depth, float32(start)))
	for i := range g.score {
		g.score[i] = float64(float32(start))
	}
	for n := 1; n <= o.Rounds; n++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		f.Trees = append(f.Trees, g.grow())
		if round != nil && !round(n, g.score) {
			break
		}
	}
	return f, nil
}

func startScore(y []float64, train []int, loss Loss) float64 {
	var s float64
	for _, i := range train {
		s += y[i]
	}
	n := float64(len(train))
	if loss == Squared {
		return s / max(1, n)
	}
	return Logit((s + .5) / (n + 1))
}

func constantTree(depth int, v float32) Tree {
	t := emptyTree(depth)
	for i := range t.Value {
		t.Value[i] = v
	}
	return t
}

func emptyTree(depth int) Tree {
	inner := 1<<depth - 1
	t := Tree{Feature: make([]int32, inner), Threshold: make([]float32, inner), Value: make([]float32, 2*inner+1)}
	for i := range t.Threshold {
		t.Threshold[i] = noSplit
	}
	return t
}

// grow fits one tree to the current gradients and moves the scores.
func (g *booster) grow() Tree {
	rows := g.sample(g.train, g.o.RowShare)
	all := make([]int, g.b.cols)
	for j := range all {
		all[j] = j
	}
	cols := g.sample(all, g.o.ColShare)
	for _, i := range rows {
		_, g.grad[i] = g.loss.at(g.score[i], g.y[i])
		g.hess[i] = 1
		if g.loss == Logistic {
			p := g.grad[i] + g.y[i]
			g.hess[i] = max(1e-9, p*(1-p))
		}
	}
	clear(g.node)
	t := emptyTree(g.o.Depth)
	cut := make([]int, len(t.Feature)) // bin of the split; -1 for none
	for level := range g.o.Depth {
		g.split(&t, cut, rows, cols, level)
	}
	g.settle(&t, rows)
	for i, n := range g.node {
		g.score[i] += float64(t.Value[n])
	}
	return t
}

// sample draws a share of v without replacement, in the order of v.
func (g *booster) sample(v []int, share float64) []int {
	want := max(1, int(share*float64(len(v))+.5))
	if want >= len(v) {
		return v
	}
	out := make([]int, 0, want)
	for i, x := range v {
		left := len(v) - i
		if g.rng.IntN(left) < want-len(out) {
			out = append(out, x)
		}
	}
	return out
}

type choice struct {
	gain float64
	col  int
	bin  int
}

// split chooses the best split of each node of a level and moves all rows of the
// matrix one level down.
func (g *booster) split(t *Tree, cut []int, rows, cols []int, level int) {
	first := 1<<level - 1
	width := 1 << level
	best := make([]choice, width)
	sumG, sumH := make([]float64, width), make([]float64, width)
	for _, i := range rows {
		k := int(g.node[i]) - first
		sumG[k] += g.grad[i]
		sumH[k] += g.hess[i]
	}
	for _, j := range cols {
		if len(g.b.cuts[j]) == 0 {
			continue
		}
		hg, hh := g.hg[:width*maxBins], g.hh[:width*maxBins]
		clear(hg)
		clear(hh)
		bins := g.b.bins[j]
		for _, i := range rows {
			at := (int(g.node[i])-first)*maxBins + int(bins[i])
			hg[at] += g.grad[i]
			hh[at] += g.hess[i]
		}
		for k := range width {
			g.scan(&best[k], hg[k*maxBins:], hh[k*maxBins:], sumG[k], sumH[k], j)
		}
	}
	for k, c := range best {
		n := first + k
		cut[n] = -1
		if c.gain > 0 {
			t.Feature[n], t.Threshold[n], cut[n] = int32(c.col), g.b.cuts[c.col][c.bin], c.bin
		}
	}
	for i, n := range g.node {
		next := 2*n + 1
		if c := cut[n]; c >= 0 && int(g.b.bins[t.Feature[n]][i]) > c {
			next++
		}
		g.node[i] = next
	}
}

// scan tries every bound of a column.
func (g *booster) scan(best *choice, hg, hh []float64, sumG, sumH float64, col int) {
	parent := sumG * sumG / (sumH + g.o.Lambda)
	var lg, lh float64
	for b := range g.b.cuts[col] {
		lg += hg[b]
		lh += hh[b]
		rg, rh := sumG-lg, sumH-lh
		if lh < g.o.MinWeight || rh < g.o.MinWeight {
			continue
		}
		gain := lg*lg/(lh+g.o.Lambda) + rg*rg/(rh+g.o.Lambda) - parent
		if gain > best.gain+1e-9 {
			*best = choice{gain: gain, col: col, bin: b}
		}
	}
}

// settle writes the values: a Newton step in the leaves, above them the mean of
// the leaves by the training weight that reaches them.
func (g *booster) settle(t *Tree, rows []int) {
	leaves := 1 << g.o.Depth
	inner := leaves - 1
	sg, sh, cover := make([]float64, leaves), make([]float64, leaves), make([]float64, len(t.Value))
	for _, i := range rows {
		k := int(g.node[i]) - inner
		sg[k] += g.grad[i]
		sh[k] += g.hess[i]
	}
	value := make([]float64, len(t.Value))
	for k := range leaves {
		value[inner+k] = -g.o.Rate * sg[k] / (sh[k] + g.o.Lambda)
		cover[inner+k] = sh[k]
	}
	for n := inner - 1; n >= 0; n-- {
		l, r := 2*n+1, 2*n+2
		cover[n] = cover[l] + cover[r]
		if cover[n] > 0 {
			value[n] = (value[l]*cover[l] + value[r]*cover[r]) / cover[n]
		}
	}
	for n, v := range value {
		t.Value[n] = float32(v)
	}
}
