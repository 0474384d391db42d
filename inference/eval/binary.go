package eval

import "math"

// AUC is the area under the ROC curve: the probability that a positive row
// scores above a negative one, ties counting half (Mann and Whitney 1947).
// Labels are 0 and 1.
func AUC(score, label []float64) float64 { return newColumn(score, label).auc(ones(len(score))) }

func (c *column) auc(w []float64) float64 {
	var pos, neg, won float64
	c.byScore.runs(func(rows []int) {
		var p, n float64
		for _, i := range rows {
			p += w[i] * c.label[i]
			n += w[i] * (1 - c.label[i])
		}
		won += n * (pos + p/2)
		pos, neg = pos+p, neg+n
	})
	return ratio(won, pos*neg)
}

// AveragePrecision is the area under the precision-recall curve as a step sum;
// tied scores form one step.
func AveragePrecision(score, label []float64) float64 {
	return newColumn(score, label).ap(ones(len(score)))
}

func (c *column) ap(w []float64) float64 {
	var hits, n, area float64
	c.byScore.runs(func(rows []int) {
		var p float64
		for _, i := range rows {
			p += w[i] * c.label[i]
			n += w[i]
		}
		hits += p
		if n > 0 {
			area += p * hits / n
		}
	})
	return ratio(area, hits)
}

// Brier is the mean squared difference of probability and label (Brier 1950).
func Brier(p, label []float64) float64 { return newColumn(p, label).brier(ones(len(p))) }

func (c *column) brier(w []float64) float64 {
	var s, n float64
	for i, e := range c.error {
		s += w[i] * e * e
		n += w[i]
	}
	return ratio(s, n)
}

// LogLoss is the mean negative log-likelihood; probabilities are kept 1e-12 from
// 0 and 1.
func LogLoss(p, label []float64) float64 { return newColumn(p, label).meanLogLoss(ones(len(p))) }

func (c *column) meanLogLoss(w []float64) float64 { return mean(c.logLoss, w) }

// gap is the mean of the probabilities less the share of positive rows.
func (c *column) gap(w []float64) float64 { return mean(c.error, w) }

// Bin is one bar of a reliability diagram.
type Bin struct {
	N    int    `json:"n"`
	Mean Number `json:"mean_probability"`
	Rate Figure `json:"observed_rate"`
}

// calibrationBins is the number of equal bins of probability of ECE.
const calibrationBins = 10

func bin(p float64) int {
	return min(calibrationBins-1, max(0, int(p*calibrationBins)))
}

// ECE is the expected calibration error: over ten equal bins of probability, the
// mean distance of the mean probability from the share of positive rows (Naeini,
// Cooper and Hauskrecht 2015).
func ECE(p, label []float64) float64 { return newColumn(p, label).ece(ones(len(p))) }

func (c *column) ece(w []float64) float64 {
	var off [calibrationBins]float64
	for i, e := range c.error {
		off[bin(c.score[i])] += w[i] * e
	}
	var s float64
	for _, x := range off {
		s += math.Abs(x)
	}
	return ratio(s, sum(w))
}

// Lift is the mean label of the share of rows with the highest scores over the
// mean label of all; with money as label, of the money that they bring. Rows of
// one score that the share cuts count in part.
func Lift(score, label []float64, share float64) float64 {
	return newColumn(score, label).lift(ones(len(score)), share)
}

func (c *column) lift(w []float64, share float64) float64 {
	n := sum(w)
	room := share * n
	var top, all float64
	c.byScore.runs(func(rows []int) {
		var run, sum float64
		for _, i := range rows {
			run += w[i]
			sum += w[i] * c.label[i]
		}
		all += sum
		if take := math.Min(run, room); take > 0 {
			top += sum * take / run
			room -= take
		}
	})
	return ratio(top/(share*n), all/n)
}
