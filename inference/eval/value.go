package eval

import "math"

// Spearman is the correlation of ranks, ties at their mean rank.
func Spearman(a, b []float64) float64 {
	return pearson(ranks(a), ranks(b))
}

func pearson(a, b []float64) float64 {
	n := float64(len(a))
	var ma, mb float64
	for i := range a {
		ma += a[i] / n
		mb += b[i] / n
	}
	var sab, saa, sbb float64
	for i := range a {
		x, y := a[i]-ma, b[i]-mb
		sab += x * y
		saa += x * x
		sbb += y * y
	}
	return ratio(sab, math.Sqrt(saa*sbb))
}

// Gini is the normalised Gini coefficient: the area between the gain curve of
// the order by score and the diagonal, over that of the perfect order.
func Gini(score, amount []float64) float64 {
	return ratio(gini(score, amount), gini(amount, amount))
}

func gini(score, amount []float64) float64 {
	n := float64(len(score))
	var total float64
	for _, a := range amount {
		total += a
	}
	idx := order(score, true)
	var run, area float64
	for lo := 0; lo < len(idx); {
		// Rows of one score share their gain evenly.
		hi, sum := lo, 0.0
		for hi < len(idx) && score[idx[hi]] == score[idx[lo]] {
			sum += amount[idx[hi]]
			hi++
		}
		k := float64(hi - lo)
		area += k*run + sum*(k+1)/2
		run += sum
		lo = hi
	}
	return ratio(area, total*n) - (n+1)/(2*n)
}

// Point is a point of a gain curve.
type Point struct {
	Share float64 `json:"share_of_rows"`
	Gain  float64 `json:"share_of_amount"`
}

// Gains is the gain curve at the given number of equal steps.
func Gains(score, amount []float64, steps int) []Point {
	idx := order(score, true)
	var total float64
	for _, a := range amount {
		total += a
	}
	out := []Point{{}}
	var run float64
	at := 0
	for s := 1; s <= steps; s++ {
		to := s * len(idx) / steps
		for ; at < to; at++ {
			run += amount[idx[at]]
		}
		out = append(out, Point{Share: float64(s) / float64(steps), Gain: ratio(run, total)})
	}
	return out
}

// MeanAbsolute is the mean absolute error.
func MeanAbsolute(p, y []float64) float64 {
	var s float64
	for i := range p {
		s += math.Abs(p[i] - y[i])
	}
	return ratio(s, float64(len(p)))
}
