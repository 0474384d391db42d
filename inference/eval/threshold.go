package eval

import (
	"cmp"
	"math"
	"slices"
)

// Threshold is the confusion of calling every row from a probability on a
// churner, and what follows from it. The counts are of the test rows.
type Threshold struct {
	Name string `json:"name"`
	From Number `json:"from"` // mean over the folds
	TP   int    `json:"true_positives"`
	FP   int    `json:"false_positives"`
	FN   int    `json:"false_negatives"`
	TN   int    `json:"true_negatives"`

	Accuracy  Figure `json:"accuracy"`
	Precision Figure `json:"precision"`
	Recall    Figure `json:"recall"`
	F1        Figure `json:"f1"`
	Selected  Figure `json:"selection_rate"`
}

func thresholds(p *panel, t *Test, model *column) []Threshold {
	half := make([]float64, len(t.Users))
	for i := range half {
		half[i] = .5
	}
	from := []struct {
		name string
		at   []float64
	}{{"one half", half}, {"best F1", t.BestF1}, {"band medium", t.Medium}, {"band high", t.High}}
	out := make([]Threshold, len(from))
	for k, f := range from {
		out[k] = Threshold{Name: f.name, From: Number(mean(f.at, ones(len(f.at))))}
		confuse(p, &out[k], model, f.at)
	}
	return out
}

// confusion is the weights of the four outcomes.
type confusion struct{ tp, fp, fn, tn float64 }

func (c *column) confusion(from, w []float64) (k confusion) {
	for i, s := range c.score {
		pos, neg := w[i]*c.label[i], w[i]*(1-c.label[i])
		if s >= from[i] {
			k.tp, k.fp = k.tp+pos, k.fp+neg
		} else {
			k.fn, k.tn = k.fn+pos, k.tn+neg
		}
	}
	return k
}

func (k confusion) accuracy() float64  { return ratio(k.tp+k.tn, k.tp+k.fp+k.fn+k.tn) }
func (k confusion) precision() float64 { return ratio(k.tp, k.tp+k.fp) }
func (k confusion) recall() float64    { return ratio(k.tp, k.tp+k.fn) }
func (k confusion) f1() float64        { return ratio(2*k.tp, 2*k.tp+k.fp+k.fn) }
func (k confusion) selected() float64  { return ratio(k.tp+k.fp, k.tp+k.fp+k.fn+k.tn) }

func confuse(p *panel, out *Threshold, model *column, from []float64) {
	k := model.confusion(from, ones(len(from)))
	out.TP, out.FP, out.FN, out.TN = int(k.tp), int(k.fp), int(k.fn), int(k.tn)
	for _, m := range []struct {
		out *Figure
		f   func(confusion) float64
	}{
		{&out.Accuracy, confusion.accuracy}, {&out.Precision, confusion.precision}, {&out.Recall, confusion.recall},
		{&out.F1, confusion.f1}, {&out.Selected, confusion.selected},
	} {
		p.measure(m.out, func(w []float64) float64 { return m.f(model.confusion(from, w)) })
	}
}

// BestF1 is the threshold with the largest F1: a score such that calling it and
// all above it positive is best.
func BestF1(score, label []float64) float64 {
	r := rank(score)
	var hits, n, all float64
	for _, y := range label {
		all += y
	}
	best, at := math.Inf(-1), .5
	r.runs(func(rows []int) {
		for _, i := range rows {
			hits += label[i]
			n++
		}
		if f := ratio(2*hits, n+all); f > best {
			best, at = f, score[rows[0]]
		}
	})
	return at
}

// Band is one band of scores and what became of its rows.
type Band struct {
	Name string `json:"name"`
	From Number `json:"from"` // mean over the folds
	N    int    `json:"n"`
	// Rate is the share of rows that churned, for churn the band's precision; for
	// value the mean spend.
	Rate Figure `json:"observed"`
}

// bands counts the rows of each band. from holds the rising thresholds of every
// row; names has one more element.
func bands(p *panel, score, label []float64, from [][]float64, names []string) []Band {
	out := make([]Band, len(names))
	of := make([]int, len(score))
	for i, q := range score {
		for of[i] < len(from) && q >= from[of[i]][i] {
			of[i]++
		}
		out[of[i]].N++
	}
	for b, n := range names {
		out[b].Name = n
		if b > 0 {
			out[b].From = Number(mean(from[b-1], ones(len(score))))
		}
		p.measure(&out[b].Rate, meanWhere(label, of, b))
	}
	return out
}

// meanWhere is the mean of v over the rows whose class is k.
func meanWhere(v []float64, class []int, k int) statistic {
	return func(w []float64) float64 {
		var s, n float64
		for i, c := range class {
			if c == k {
				s += w[i] * v[i]
				n += w[i]
			}
		}
		return ratio(s, n)
	}
}

// reliability fills the bins of probability that hold rows.
func reliability(p *panel, c *column) []Bin {
	of := make([]int, len(c.score))
	var n [calibrationBins]int
	for i, q := range c.score {
		of[i] = bin(q)
		n[of[i]]++
	}
	out := make([]Bin, 0, calibrationBins)
	for k, count := range n {
		if count == 0 {
			continue
		}
		m := meanWhere(c.score, of, k)(ones(len(of)))
		out = append(out, Bin{N: count, Mean: Number(m)})
		p.measure(&out[len(out)-1].Rate, meanWhere(c.label, of, k))
	}
	return out
}

// Decile is a tenth of the rows: of churn by falling probability, of value by
// falling expected spend.
type Decile struct {
	Decile    int    `json:"decile"` // 1 has the highest scores
	N         int    `json:"n"`
	Churn     Number `json:"mean_probability"`
	ChurnRate Figure `json:"churn_rate"`
	ChurnLift Number `json:"churn_lift"`
	Expected  Number `json:"mean_expected"`
	Spent     Figure `json:"mean_spent"`
	SpendLift Number `json:"spend_lift"`
}

func deciles(p *panel, t *Test) []Decile {
	n := len(t.Users)
	one := ones(n)
	churn, value := tenths(t.Model.Score, t.Users), tenths(t.Value.Score, t.Users)
	out := make([]Decile, 10)
	for d := range out {
		o := &out[d]
		o.Decile, o.N = d+1, (d+1)*n/10-d*n/10
		o.Churn, o.Expected = Number(meanWhere(t.Model.Score, churn, d)(one)), Number(meanWhere(t.Value.Score, value, d)(one))
		p.measure(&o.ChurnRate, meanWhere(t.Churn, churn, d))
		p.measure(&o.Spent, meanWhere(t.Spend, value, d))
		o.ChurnLift = Number(ratio(meanWhere(t.Churn, churn, d)(one), mean(t.Churn, one)))
		o.SpendLift = Number(ratio(meanWhere(t.Spend, value, d)(one), mean(t.Spend, one)))
	}
	return out
}

// tenths gives each row the tenth of its score, from the highest down; rows of
// one score are told apart by their user.
func tenths(score []float64, users []string) []int {
	rows := make([]int, len(score))
	for i := range rows {
		rows[i] = i
	}
	slices.SortFunc(rows, func(a, b int) int {
		return cmp.Or(cmp.Compare(score[b], score[a]), cmp.Compare(users[a], users[b]), a-b)
	})
	out := make([]int, len(score))
	for d := range 10 {
		for _, i := range rows[d*len(rows)/10 : (d+1)*len(rows)/10] {
			out[i] = d
		}
	}
	return out
}
