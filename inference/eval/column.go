package eval

import (
	"cmp"
	"math"
	"slices"
)

// column is one model's scores of the rows beside what came, sorted once, so
// that a metric of any bootstrap sample is one pass. A sample gives each row a
// weight, the times that it was drawn.
type column struct {
	score, label   []float64
	byScore        ranking
	byLabel        ranking
	logLoss, error []float64 // a row
}

// ranking is the rows by falling value, cut into runs of equal values.
type ranking struct {
	rows []int
	ends []int // of the runs, in rows
}

func rank(v []float64) ranking {
	r := ranking{rows: make([]int, len(v))}
	for i := range r.rows {
		r.rows[i] = i
	}
	slices.SortFunc(r.rows, func(a, b int) int { return cmp.Or(cmp.Compare(v[b], v[a]), a-b) })
	for k := 1; k <= len(v); k++ {
		if k == len(v) || v[r.rows[k]] != v[r.rows[k-1]] {
			r.ends = append(r.ends, k)
		}
	}
	return r
}

func newColumn(score, label []float64) *column {
	c := &column{score: score, label: label, byScore: rank(score), byLabel: rank(label)}
	c.logLoss, c.error = make([]float64, len(score)), make([]float64, len(score))
	for i, p := range score {
		q := math.Min(1-1e-12, math.Max(1e-12, p))
		c.logLoss[i] = -label[i]*math.Log(q) - (1-label[i])*math.Log(1-q)
		c.error[i] = p - label[i]
	}
	return c
}

// runs calls f with the rows of each run, by falling value.
func (r *ranking) runs(f func(rows []int)) {
	lo := 0
	for _, hi := range r.ends {
		f(r.rows[lo:hi])
		lo = hi
	}
}

// ranks gives ranks by rising value, tied rows the mean of theirs, in a sample.
func (r *ranking) ranks(w []float64) []float64 {
	out := make([]float64, len(w))
	above := sum(w)
	r.runs(func(rows []int) {
		var run float64
		for _, i := range rows {
			run += w[i]
		}
		above -= run
		for _, i := range rows {
			out[i] = above + (run+1)/2
		}
	})
	return out
}

// mean is the weighted mean of v.
func mean(v, w []float64) float64 {
	var s, n float64
	for i, x := range v {
		s += x * w[i]
		n += w[i]
	}
	return ratio(s, n)
}

func sum(v []float64) (s float64) {
	for _, x := range v {
		s += x
	}
	return s
}

func ones(n int) []float64 {
	w := make([]float64, n)
	for i := range w {
		w[i] = 1
	}
	return w
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return math.NaN()
	}
	return a / b
}
