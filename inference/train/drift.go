package train

import (
	"math"
	"slices"

	"profilestream/inference/heads"
)

const (
	// driftPenalty is how strongly the drift of an input holds back its weight.
	driftPenalty = 10
	// driftRows is the least number of rows at a cut-off that show a drift.
	driftRows = 100
)

// drift gives each input the factor that the linear part and the MLPs see it
// with: 1 for one whose mean is the same at the first and the last cut-off, less
// the further it moved, counted in standard deviations. What moved between the
// cut-offs goes on moving after them, where nothing was learnt, so a weight on
// it has to earn more. It is nil where the cut-offs do not show it.
func drift(x *heads.Matrix, cutoff []int64) []float32 {
	before, after := ends(cutoff)
	if before == nil {
		return nil
	}
	out := make([]float32, x.Cols)
	for j := range out {
		m0, _ := moments(x, j, before)
		m1, sd := moments(x, j, after)
		out[j] = 1
		if sd > 1e-6 {
			out[j] = float32(1 / (1 + driftPenalty*math.Abs(m1-m0)/sd))
		}
	}
	return out
}

// ends are the rows of the first and of the last cut-off; nil where there is
// only one or either has too few rows to compare.
func ends(cutoff []int64) (before, after []int) {
	if len(cutoff) == 0 {
		return nil, nil
	}
	first, last := slices.Min(cutoff), slices.Max(cutoff)
	for i, c := range cutoff {
		if c == first {
			before = append(before, i)
		}
		if c == last {
			after = append(after, i)
		}
	}
	if first == last || len(before) < driftRows || len(after) < driftRows {
		return nil, nil
	}
	return before, after
}

// moments are mean and standard deviation of a column over some rows.
func moments(x *heads.Matrix, j int, rows []int) (mean, sd float64) {
	var s, q float64
	for _, i := range rows {
		v := float64(x.Row(i)[j])
		s, q = s+v, q+v*v
	}
	n := float64(len(rows))
	mean = s / n
	return mean, math.Sqrt(max(0, q/n-mean*mean))
}
