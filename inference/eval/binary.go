package eval

import (
	"cmp"
	"math"
	"slices"
)

// AUC is the area under the ROC curve: the probability that a positive row
// scores above a negative one, ties counting half. Labels are 0 and 1.
func AUC(score, label []float64) float64 {
	r := ranks(score)
	var sum, pos float64
	for i, y := range label {
		if y > .5 {
			sum += r[i]
			pos++
		}
	}
	neg := float64(len(label)) - pos
	if pos == 0 || neg == 0 {
		return math.NaN()
	}
	return (sum - pos*(pos+1)/2) / (pos * neg)
}

// ranks gives 1-based ranks, tied values the mean of theirs.
func ranks(v []float64) []float64 {
	idx := order(v, false)
	r := make([]float64, len(v))
	for lo := 0; lo < len(idx); {
		hi := lo
		for hi < len(idx) && v[idx[hi]] == v[idx[lo]] {
			hi++
		}
		for _, i := range idx[lo:hi] {
			r[i] = float64(lo+hi+1) / 2
		}
		lo = hi
	}
	return r
}

// order sorts positions by value, equal values by position.
func order(v []float64, falling bool) []int {
	idx := make([]int, len(v))
	for i := range idx {
		idx[i] = i
	}
	slices.SortFunc(idx, func(a, b int) int {
		c := cmp.Compare(v[a], v[b])
		if falling {
			c = -c
		}
		return cmp.Or(c, a-b)
	})
	return idx
}

// AveragePrecision is the area under the precision-recall curve as a step sum;
// tied scores form one step.
func AveragePrecision(score, label []float64) float64 {
	idx := order(score, true)
	var pos float64
	for _, y := range label {
		pos += y
	}
	if pos == 0 {
		return math.NaN()
	}
	var hits, area float64
	for lo := 0; lo < len(idx); {
		before := hits
		hi := lo
		for hi < len(idx) && score[idx[hi]] == score[idx[lo]] {
			hits += label[idx[hi]]
			hi++
		}
		area += (hits - before) / pos * hits / float64(hi)
		lo = hi
	}
	return area
}

// Brier is the mean squared difference of probability and label.
func Brier(p, label []float64) float64 {
	var s float64
	for i := range p {
		d := p[i] - label[i]
		s += d * d
	}
	return ratio(s, float64(len(p)))
}

// LogLoss is the mean negative log-likelihood; probabilities are kept 1e-12 from
// 0 and 1.
func LogLoss(p, label []float64) float64 {
	var s float64
	for i := range p {
		q := math.Min(1-1e-12, math.Max(1e-12, p[i]))
		s -= label[i]*math.Log(q) + (1-label[i])*math.Log(1-q)
	}
	return ratio(s, float64(len(p)))
}

// Bin is one bar of a reliability diagram.
type Bin struct {
	N    int     `json:"n"`
	Mean float64 `json:"mean_probability"`
	Rate float64 `json:"observed_rate"`
}

// Reliability cuts [0,1] into equal bins and leaves the empty ones out.
func Reliability(p, label []float64, bins int) []Bin {
	all := make([]Bin, bins)
	for i, q := range p {
		b := &all[min(bins-1, max(0, int(q*float64(bins))))]
		b.N++
		b.Mean += q
		b.Rate += label[i]
	}
	out := all[:0]
	for _, b := range all {
		if b.N > 0 {
			b.Mean /= float64(b.N)
			b.Rate /= float64(b.N)
			out = append(out, b)
		}
	}
	return out
}

// ECE is the expected calibration error over ten equal bins of probability.
func ECE(p, label []float64) float64 {
	var s float64
	for _, b := range Reliability(p, label, 10) {
		s += float64(b.N) * math.Abs(b.Mean-b.Rate)
	}
	return ratio(s, float64(len(p)))
}

// Lift is the mean label of the share of rows with the highest scores over the
// mean label of all; with money as label, the share of the money they bring.
func Lift(score, label []float64, share float64) float64 {
	n := int(math.Ceil(share * float64(len(score))))
	if n == 0 {
		return math.NaN()
	}
	var top, all float64
	for k, i := range order(score, true) {
		if k < n {
			top += label[i]
		}
		all += label[i]
	}
	return ratio(top/float64(n), all/float64(len(score)))
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return math.NaN()
	}
	return a / b
}
