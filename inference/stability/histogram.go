package stability

import (
	"math"
	"slices"
	"sort"
)

// Limits of the index by custom (Siddiqi 2006, Credit Risk Scorecards, chapter 9):
// below Moved the population is as it was, from Shifted on it is another.
const (
	Moved   = .1
	Shifted = .25
)

// MinRows is how many rows an index needs. Without any drift it is about
// (bins - 1) (1/n + 1/m) for n and m rows: 0.05 for 200 rows and ten bins.
const MinRows = 200

// bins is how many bins the values of the training rows are cut into.
const bins = 10

// Histogram is how the values of one column lie.
type Histogram struct {
	Name string `json:"name"`
	// Edges rise. Value x is in bin k if Edges[k-1] < x <= Edges[k]; the last bin has
	// no upper edge.
	Edges []float64 `json:"edges"`
	// Counts of the len(Edges)+1 bins, then of the missing values.
	Counts []int64 `json:"counts"`
}

// Fit cuts values into bins of about a tenth each, fewer where many are equal. NaN
// is missing.
func Fit(name string, values []float64) Histogram {
	there := slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	slices.Sort(there)
	h := Histogram{Name: name, Edges: []float64{}}
	for k := 1; k < bins; k++ {
		at := len(there) * k / bins
		if len(there) == 0 || at == len(there) {
			break
		}
		// The edge lies between the tenth's value and the next larger one.
		next := sort.Search(len(there), func(i int) bool { return there[i] > there[at] })
		if next == len(there) {
			break
		}
		e := there[at] + (there[next]-there[at])/2
		if n := len(h.Edges); n == 0 || e > h.Edges[n-1] {
			h.Edges = append(h.Edges, e)
		}
	}
	h.Counts = h.Count(values)
	return h
}

// Count counts values by the histogram's bins, as its Counts.
func (h *Histogram) Count(values []float64) []int64 {
	out := make([]int64, len(h.Edges)+2)
	for _, x := range values {
		if math.IsNaN(x) {
			out[len(out)-1]++
			continue
		}
		out[sort.SearchFloat64s(h.Edges, x)]++
	}
	return out
}

// PSI is the population stability index of counts against those of the training
// rows: the sum over bins of (p - q) ln(p / q), with p and q the shares now and
// then. Half a row is added to each bin, so that an empty one is finite. A bin that
// neither has plays no part. NaN under MinRows rows.
func (h *Histogram) PSI(counts []int64) float64 {
	var n, m float64
	used := 0
	for k, c := range counts {
		n, m = n+float64(c), m+float64(h.Counts[k])
		if c+h.Counts[k] > 0 {
			used++
		}
	}
	if min(n, m) < MinRows {
		return math.NaN()
	}
	var sum float64
	for k, c := range counts {
		if c+h.Counts[k] == 0 {
			continue
		}
		p := (float64(c) + .5) / (n + .5*float64(used))
		q := (float64(h.Counts[k]) + .5) / (m + .5*float64(used))
		sum += (p - q) * math.Log(p/q)
	}
	return sum
}
