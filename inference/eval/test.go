package eval

// Prediction is what one model says about the test rows.
type Prediction struct {
	Name  string
	Score []float64
	// Probability is false where the scores only rank, so that calibration, or
	// the amount, is not judged.
	Probability bool
}

// Range is an interval of value for each row, made to hold a share of the spends.
type Range struct {
	Level     float64
	Low, High []float64
}

// Test is rows of customers whom the models were not fitted on, what was
// predicted for them and what came. All slices have an element a row.
type Test struct {
	Users        []string
	Churn, Spend []float64 // labels: 0 or 1, and an amount

	// Model is judged against Baselines, of which the first is recency. Variants
	// are shown beside them.
	Model, Value               Prediction
	Baselines, ValueBaselines  []Prediction
	Variants, ValueVariants    []Prediction
	WithText, WithoutText      Prediction // of churn; compared where WithText has scores
	ValueWithText, ValueNoText Prediction
	Medium, High, BestF1       []float64 // thresholds of churn, each chosen without the row's customer
	ValueMid, ValueHigh        []float64 // thresholds of value
	Ranges                     []Range   // of value
	// Dimensions cut the rows into groups: name of the dimension to the group of
	// each row.
	Dimensions map[string][]string
	Seed       uint64
}

// samples is the number of bootstrap samples behind each interval and each
// verdict.
const samples = 1000

// Report measures everything on one set of bootstrap samples. Split, TrainRows,
// Tasks and Notes are the caller's.
func (t *Test) Report() *Report {
	r := &Report{Format: FormatVersion, TestRows: len(t.Users), TestUsers: distinct(t.Users), ChurnRate: Number(mean(t.Churn, ones(len(t.Churn))))}
	p := new(panel)
	model := newColumn(t.Model.Score, t.Churn)
	t.classify(p, r, model)
	t.spend(p, r)
	t.ablate(p, r)
	r.Thresholds = thresholds(p, t, model)
	r.Bands = bands(p, t.Model.Score, t.Churn, [][]float64{t.Medium, t.High}, []string{"low", "medium", "high"})
	r.ValueBands = bands(p, t.Value.Score, t.Spend, [][]float64{t.ValueMid, t.ValueHigh}, []string{"low", "mid", "high"})
	r.Reliability = reliability(p, model)
	r.Deciles = deciles(p, t)
	r.Curves = t.curves(model)
	t.split(p, r)
	r.Ranges = make([]Ranges, len(t.Ranges))
	for k := range t.Ranges {
		t.cover(p, &t.Ranges[k], &r.Ranges[k])
	}
	p.run(t.Users, samples, t.Seed)
	r.Gate.decide()
	return r
}

func distinct(users []string) int {
	seen := map[string]bool{}
	for _, u := range users {
		seen[u] = true
	}
	return len(seen)
}

// The kinds of models in a report.
const (
	KindModel    = "model"
	KindBaseline = "baseline"
	KindVariant  = "variant"
)

// entry is a model with its place among the others.
type entry struct {
	Prediction
	kind string
}

func entries(baselines []Prediction, model Prediction, variants []Prediction) []entry {
	var out []entry
	for _, b := range baselines {
		out = append(out, entry{b, KindBaseline})
	}
	out = append(out, entry{model, KindModel})
	for _, v := range variants {
		out = append(out, entry{v, KindVariant})
	}
	return out
}

// classify measures the models of churn and compares the model with the
// baselines.
func (t *Test) classify(p *panel, r *Report, model *column) {
	all := entries(t.Baselines, t.Model, t.Variants)
	r.Churn = make([]Classifier, len(all))
	auc, brier := make([]int, len(all)), make([]int, len(all))
	for m, e := range all {
		col := model
		if e.kind != KindModel {
			col = newColumn(e.Score, t.Churn)
		}
		c := &r.Churn[m]
		auc[m], brier[m] = p.classifier(c, e.Prediction, col)
		c.Kind = e.kind
		p.less(&c.AUCAhead, auc[m], auc[0])
	}
	r.Gate = newGate(p, t.Baselines, auc, brier)
}

// classifier measures one model and gives the numbers of its AUC and its Brier
// score.
func (p *panel) classifier(c *Classifier, e Prediction, col *column) (auc, brier int) {
	*c = Classifier{Name: e.Name, Kind: KindModel, Brier: unknown(), LogLoss: unknown(), ECE: unknown()}
	auc = p.measure(&c.AUC, col.auc)
	p.measure(&c.AP, col.ap)
	p.measure(&c.Lift, func(w []float64) float64 { return col.lift(w, .1) })
	if e.Probability {
		brier = p.measure(&c.Brier, col.brier)
		p.measure(&c.LogLoss, col.meanLogLoss)
		p.measure(&c.ECE, col.ece)
	}
	return auc, brier
}

func (t *Test) spend(p *panel, r *Report) {
	all := entries(t.ValueBaselines, t.Value, t.ValueVariants)
	r.Value = make([]Spender, len(all))
	for m, e := range all {
		col, v := newColumn(e.Score, t.Spend), &r.Value[m]
		*v = Spender{Name: e.Name, Kind: e.kind, Absolute: unknown(), Ratio: unknown()}
		p.measure(&v.Spearman, col.spearman)
		p.measure(&v.Gini, col.gini)
		p.measure(&v.Lift, func(w []float64) float64 { return col.lift(w, .1) })
		if e.Probability {
			p.measure(&v.Absolute, col.meanAbsolute)
			p.measure(&v.Ratio, col.sumRatio)
		}
	}
}

// ablate compares the model with and without the components of the text.
func (t *Test) ablate(p *panel, r *Report) {
	if t.WithText.Score == nil {
		return
	}
	a := new(Ablation)
	with, without := newColumn(t.WithText.Score, t.Churn), newColumn(t.WithoutText.Score, t.Churn)
	worth, bare := newColumn(t.ValueWithText.Score, t.Spend), newColumn(t.ValueNoText.Score, t.Spend)
	for _, d := range []struct {
		out           *Figure
		with, without statistic
	}{
		{&a.AUC, with.auc, without.auc}, {&a.AP, with.ap, without.ap}, {&a.Brier, with.brier, without.brier},
		{&a.LogLoss, with.meanLogLoss, without.meanLogLoss},
		{&a.Spearman, worth.spearman, bare.spearman}, {&a.Gini, worth.gini, bare.gini},
	} {
		p.measure(d.out, func(w []float64) float64 { return d.with(w) - d.without(w) })
	}
	r.Text = a
}

// cover measures how often the spend lies in its interval, and how wide that is.
func (t *Test) cover(p *panel, of *Range, out *Ranges) {
	out.Level = Number(of.Level)
	in, wide := make([]float64, len(t.Spend)), make([]float64, len(t.Spend))
	for i, v := range t.Spend {
		if v >= of.Low[i] && v <= of.High[i] {
			in[i] = 1
		}
		wide[i] = of.High[i] - of.Low[i]
	}
	p.measure(&out.Coverage, func(w []float64) float64 { return mean(in, w) })
	p.measure(&out.Width, func(w []float64) float64 { return mean(wide, w) })
}

// Classifiers measures models on the same rows and samples. The first is the one
// the others are compared with.
func Classifiers(models []Prediction, label []float64, groups []string, seed uint64) []Classifier {
	out, p, first := make([]Classifier, len(models)), new(panel), 0
	for m, e := range models {
		auc, _ := p.classifier(&out[m], e, newColumn(e.Score, label))
		if m == 0 {
			first = auc
		}
		p.less(&out[m].AUCAhead, auc, first)
	}
	p.run(groups, samples, seed)
	return out
}
