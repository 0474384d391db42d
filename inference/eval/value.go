package eval

import "math"

// Spearman is the correlation of ranks, ties at their mean rank (Spearman 1904).
func Spearman(a, b []float64) float64 { return newColumn(a, b).spearman(ones(len(a))) }

func (c *column) spearman(w []float64) float64 {
	a, b, n := c.byScore.ranks(w), c.byLabel.ranks(w), sum(w)
	mid := (n + 1) / 2
	var sab, saa, sbb float64
	for i := range a {
		x, y := a[i]-mid, b[i]-mid
		sab += w[i] * x * y
		saa += w[i] * x * x
		sbb += w[i] * y * y
	}
	return ratio(sab, math.Sqrt(saa*sbb))
}

// Gini is the normalised Gini coefficient: the area between the gain curve of
// the order by score and the diagonal, over that of the perfect order.
func Gini(score, amount []float64) float64 { return newColumn(score, amount).gini(ones(len(score))) }

func (c *column) gini(w []float64) float64 {
	return ratio(gini(&c.byScore, c.label, w), gini(&c.byLabel, c.label, w))
}

// gini lets rows of one score share their gain evenly.
func gini(r *ranking, amount, w []float64) float64 {
	n := sum(w)
	var gained, area float64
	r.runs(func(rows []int) {
		var run, sum float64
		for _, i := range rows {
			run += w[i]
			sum += w[i] * amount[i]
		}
		area += run*gained + sum*(run+1)/2
		gained += sum
	})
	return ratio(area, gained*n) - (n+1)/(2*n)
}

// MeanAbsolute is the mean absolute error.
func MeanAbsolute(p, y []float64) float64 { return newColumn(p, y).meanAbsolute(ones(len(p))) }

func (c *column) meanAbsolute(w []float64) float64 {
	var s float64
	for i, e := range c.error {
		s += w[i] * math.Abs(e)
	}
	return ratio(s, sum(w))
}

// sumRatio is the sum expected over the sum that came.
func (c *column) sumRatio(w []float64) float64 { return ratio(mean(c.score, w), mean(c.label, w)) }

// Point is a point of a curve.
type Point struct {
	X Number `json:"x"`
	Y Number `json:"y"`
}

// Gains is the gain curve at the given number of equal steps: x is the share of
// rows, from the highest score down, y the share of the labels' sum that they
// hold. Rows of one score share their gain evenly.
func Gains(score, amount []float64, steps int) []Point {
	c := newColumn(score, amount)
	w := ones(len(score))
	out := []Point{{}}
	for s := 1; s <= steps; s++ {
		share := float64(s) / float64(steps)
		out = append(out, Point{Number(share), Number(share * c.lift(w, share))})
	}
	return out
}
