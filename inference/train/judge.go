package train

import (
	"context"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"profilestream/inference/eval"
	"profilestream/inference/features"
	"profilestream/inference/heads"
)

// outcome is what a model fitted on one split says about its test rows, beside
// the baselines fitted on the same rows.
type outcome struct {
	split
	model            *learnt
	full, bare, read *scores
	base             *baselines
	tasks            *taskOutcome
}

// test fits a model on every split, some at once, and predicts the test rows.
// The outcomes are in the order of the splits.
func (s *sample) test(ctx context.Context, p *plan, o *Options) ([]*outcome, error) {
	out := make([]*outcome, len(p.splits))
	var mu sync.Mutex
	n, total := 0, len(p.splits)*(fitSteps(o)+s.tasks.steps())
	step := func() {
		mu.Lock()
		defer mu.Unlock()
		n++
		o.Progress("fitting for the test", n, total)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for k := range p.splits {
		g.Go(func() (err error) {
			out[k], err = s.outcome(ctx, &p.splits[k], o, step)
			return err
		})
	}
	return out, g.Wait()
}

func (s *sample) outcome(ctx context.Context, sp *split, o *Options, step func()) (*outcome, error) {
	m, err := s.fit(ctx, sp.train, o, step)
	if err != nil {
		return nil, err
	}
	x, err := s.inputs(m.Model, sp.test)
	if err != nil {
		return nil, err
	}
	base, err := s.baselines(ctx, sp, o)
	if err != nil {
		return nil, err
	}
	done, err := s.tasks.outcome(ctx, m, sp, step)
	if err != nil {
		return nil, err
	}
	return &outcome{
		split: *sp, model: m, base: base, tasks: done,
		full: newScores(&m.Full, x), bare: newScores(&m.Numeric, x.Narrow(len(features.Inputs))), read: newScores(&m.withText, x),
	}, nil
}

// pool joins a column of all outcomes.
func pool(outs []*outcome, f func(*outcome) []float64) []float64 {
	var all []float64
	for _, u := range outs {
		all = append(all, f(u)...)
	}
	return all
}

// each repeats a number of every outcome for its test rows.
func each(outs []*outcome, f func(*outcome) float64) []float64 {
	return pool(outs, func(u *outcome) []float64 { return slices.Repeat([]float64{f(u)}, len(u.test)) })
}

// judge measures the pooled outcomes: the model, the heads with and without
// text, its parts and the baselines.
func (s *sample) judge(outs []*outcome, p *plan, o *Options) *eval.Report {
	var rows []int
	timed := true // whether every split has its lifetime model
	for _, u := range outs {
		rows = append(rows, u.test...)
		timed = timed && u.base.silent != nil
	}
	churn := func(name string, f func(*outcome) []float64) eval.Prediction {
		return eval.Prediction{Name: name, Score: pool(outs, f), Probability: true}
	}
	t := &eval.Test{
		Users: pick(s.users, rows), Churn: pick(s.churn, rows), Spend: pick(s.spend, rows), Seed: o.Seed,
		Model: churn("model", func(u *outcome) []float64 { return u.full.churn }),
		Value: churn("model", func(u *outcome) []float64 { return u.full.value }),
		Baselines: []eval.Prediction{
			churn("recency", func(u *outcome) []float64 { return u.base.recency }),
			churn("rfm logistic", func(u *outcome) []float64 { return u.base.rfm }),
			{Name: "spend of the last 90 days", Score: pool(outs, func(u *outcome) []float64 { return negated(u.base.spend90) })},
		},
		ValueBaselines: []eval.Prediction{{Name: "spend of the last 90 days", Score: pool(outs, func(u *outcome) []float64 { return u.base.spend90 })}},
		Variants: []eval.Prediction{
			churn("numbers alone", func(u *outcome) []float64 { return u.bare.churn }),
			churn("numbers and text", func(u *outcome) []float64 { return u.read.churn }),
			churn("part: linear", func(u *outcome) []float64 { return u.full.parts[heads.PartLinear] }),
			churn("part: mlp", func(u *outcome) []float64 { return u.full.parts[heads.PartMLP] }),
			churn("part: trees", func(u *outcome) []float64 { return u.full.parts[heads.PartForest] }),
		},
		ValueVariants: []eval.Prediction{
			churn("numbers alone", func(u *outcome) []float64 { return u.bare.value }),
			churn("numbers and text", func(u *outcome) []float64 { return u.read.value }),
		},
		Medium:     each(outs, func(u *outcome) float64 { return u.model.Bands.ChurnMedium }),
		High:       each(outs, func(u *outcome) float64 { return u.model.Bands.ChurnHigh }),
		ValueMid:   each(outs, func(u *outcome) float64 { return u.model.Bands.ValueMid }),
		ValueHigh:  each(outs, func(u *outcome) float64 { return u.model.Bands.ValueHigh }),
		BestF1:     each(outs, func(u *outcome) float64 { return u.model.bestF1 }),
		Dimensions: s.dimensions(rows),
		Ranges:     ranges(outs),
	}
	if timed {
		t.Baselines = append(t.Baselines, churn("BG/NBD", func(u *outcome) []float64 { return u.base.silent }))
		t.ValueBaselines = append(t.ValueBaselines, churn("BG/NBD and Gamma-Gamma", func(u *outcome) []float64 { return u.base.bought }))
	}
	if s.embeddings != nil {
		t.WithText, t.WithoutText, t.ValueWithText, t.ValueNoText = t.Variants[1], t.Variants[0], t.ValueVariants[1], t.ValueVariants[0]
	}
	r := t.Report()
	r.Tasks = s.tasks.report(outs, rows, t)
	r.Split, r.TrainRows = p.words, s.n
	r.Notes = map[string]string{
		"model":     "each test row is predicted by a model fitted without its customer; the bundle's own is fitted on all rows in the same way",
		"intervals": "two-sided 95 %, percentile bootstrap over customers, the same samples for every figure",
	}
	return r
}

// ranges are the intervals of value that every model has.
func ranges(outs []*outcome) []eval.Range {
	var out []eval.Range
	for k, level := range heads.Coverages {
		if slices.ContainsFunc(outs, func(u *outcome) bool { return u.full.low[k] == nil }) {
			continue
		}
		out = append(out, eval.Range{
			Level: level,
			Low:   pool(outs, func(u *outcome) []float64 { return u.full.low[k] }), High: pool(outs, func(u *outcome) []float64 { return u.full.high[k] }),
		})
	}
	return out
}

func negated(v []float64) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = -x
	}
	return out
}

// scores are the predictions of one set of heads.
type scores struct {
	churn, value []float64
	parts        [heads.NumParts][]float64
	low, high    [][]float64 // of value, a slice each of heads.Coverages; nil where the set has no intervals
}

func newScores(set *heads.Set, x *heads.Matrix) *scores {
	n := x.Rows
	s := &scores{churn: make([]float64, n), value: make([]float64, n)}
	z, a := make([]float64, n), make([]float64, n)
	var scratch heads.Scratch
	e := &set.Churn.Ensemble
	e.Score(x, &scratch, z)
	set.Spend.Amount.Score(x, &scratch, a)
	for k := range s.parts {
		alone := *e
		alone.Mix = [heads.NumParts]float64{}
		alone.Mix[k] = 1
		s.parts[k] = make([]float64, n)
		alone.Score(x, &scratch, s.parts[k])
		for i, v := range s.parts[k] {
			s.parts[k][i] = heads.Sigmoid(v)
		}
	}
	for i := range z {
		s.churn[i] = set.Churn.Calibration.Probability(z[i])
		s.value[i] = set.Spend.Value(z[i], a[i])
	}
	s.low, s.high = make([][]float64, len(heads.Coverages)), make([][]float64, len(heads.Coverages))
	for k, level := range heads.Coverages {
		for i := range z {
			low, high, ok := set.Interval(z[i], a[i], level)
			if !ok {
				break
			}
			s.low[k], s.high[k] = append(s.low[k], low), append(s.high[k], high)
		}
	}
	return s
}
