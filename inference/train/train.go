package train

import (
	"context"
	"errors"
	"fmt"
	"time"

	"profilestream/inference/eval"
	"profilestream/inference/features"
	"profilestream/inference/heads"
)

// Result is a trained model and its evaluation.
type Result struct {
	Model  *heads.Model
	Report *eval.Report
	// JSON and HTML are the files of the bundle.
	JSON, HTML []byte
}

// defaultHorizon is the horizon of the contract's value.
const defaultHorizon = 90 * 24 * time.Hour

// Train fits a model twice: once without the test rows, to evaluate it and the
// baselines on them, and once on all rows, which is the model returned. Errors
// say what the data lack.
func Train(ctx context.Context, d Dataset, o Options) (*Result, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	o.horizon = d.Horizon
	if o.horizon == 0 {
		o.horizon = defaultHorizon
	}
	s, err := open(&d, o.Texts)
	if err != nil {
		return nil, err
	}
	if o.Embedder != nil {
		s.embeddings, err = embed(ctx, &o, s.texts, func(n int) { o.Progress("embedding windows", n, s.n) })
		if err != nil {
			return nil, err
		}
	}
	sp := s.hold(o.TestShare, o.horizon, o.Seed)
	if len(sp.test) == 0 {
		return nil, errors.New("training: no rows are left for the test: more customers or a larger test share are needed")
	}
	judged, err := s.fit(ctx, sp.train, &o, counter(&o, "fitting for the test"))
	if err != nil {
		return nil, err
	}
	report, err := s.judge(ctx, judged, &sp, &o)
	if err != nil {
		return nil, err
	}
	all := make([]int, s.n)
	for i := range all {
		all[i] = i
	}
	m, err := s.fit(ctx, all, &o, counter(&o, "fitting on all rows"))
	if err != nil {
		return nil, err
	}
	report.Notes["text"] = "left out of the bundle's model: it does not lower the held-out loss"
	if m.textUsed {
		report.Notes["text"] = "used by the bundle's model: it lowers the held-out loss"
	}
	if o.Embedder == nil {
		report.Notes["text"] = "not read: trained without an encoder"
	}
	if err := texts(ctx, m.Model, report, &d, &o); err != nil {
		return nil, err
	}
	if err := m.Validate(); err != nil {
		return nil, fmt.Errorf("training: %w", err)
	}
	return finish(m.Model, report)
}

func counter(o *Options, stage string) func() {
	n, total := 0, fitSteps(o)
	return func() { n++; o.Progress(stage, n, total) }
}

// texts adds what reads short texts.
func texts(ctx context.Context, m *heads.Model, r *eval.Report, d *Dataset, o *Options) (err error) {
	if o.Embedder == nil {
		m.Interests = heads.Interests{HalfLifeDays: o.HalfLifeDays}
		return nil
	}
	o.Progress("reading feedback and catalogue", 0, 1)
	if m.Sentiment, r.Sentiment, err = sentiment(ctx, d.Feedback, o); err != nil {
		return err
	}
	if m.Interests, err = interests(ctx, d.Catalogue, o); err != nil {
		return err
	}
	o.Progress("reading feedback and catalogue", 1, 1)
	return nil
}

func finish(m *heads.Model, r *eval.Report) (*Result, error) {
	out := &Result{Model: m, Report: r}
	var err error
	if out.JSON, err = r.Encode(); err != nil {
		return nil, err
	}
	out.HTML, err = r.HTML()
	return out, err
}

// judge measures the model, the heads with and without text, its parts and the baselines
// on the test rows.
func (s *sample) judge(ctx context.Context, m *learnt, sp *split, o *Options) (*eval.Report, error) {
	x, err := s.inputs(m.Model, sp.test)
	if err != nil {
		return nil, err
	}
	n := len(sp.test)
	full, bare := newScores(&m.Full, x), newScores(&m.Numeric, x.Narrow(len(features.Inputs)))
	read := newScores(&m.withText, x)
	base, err := s.baselines(ctx, sp, o)
	if err != nil {
		return nil, err
	}
	churn := []eval.Prediction{
		{Name: "recency", Score: base.recency, Probability: true},
		{Name: "rfm logistic", Score: base.rfm, Probability: true},
		{Name: "model", Score: full.churn, Probability: true},
		{Name: "numbers alone", Score: bare.churn, Probability: true},
		{Name: "numbers and text", Score: read.churn, Probability: true},
		{Name: "part: linear", Score: full.parts[heads.PartLinear], Probability: true},
		{Name: "part: mlp", Score: full.parts[heads.PartMLP], Probability: true},
		{Name: "part: trees", Score: full.parts[heads.PartForest], Probability: true},
	}
	value := []eval.Prediction{
		{Name: "spend of the last 90 days", Score: base.spend90},
		{Name: "model", Score: full.value, Probability: true},
		{Name: "numbers alone", Score: bare.value, Probability: true},
		{Name: "numbers and text", Score: read.value, Probability: true},
	}
	if base.silent != nil {
		churn = append(churn, eval.Prediction{Name: "BG/NBD", Score: base.silent, Probability: true})
		value = append(value, eval.Prediction{Name: "BG/NBD and Gamma-Gamma", Score: base.bought, Probability: true})
	}
	y, spend, users := pick(s.churn, sp.test), pick(s.spend, sp.test), pick(s.users, sp.test)
	var churned float64
	distinct := map[string]bool{}
	for i, v := range y {
		churned += v
		distinct[users[i]] = true
	}
	b := &m.Bands
	return &eval.Report{
		Format: 1, Split: sp.words, TrainRows: len(sp.train), TestRows: n, TestUsers: len(distinct),
		ChurnRate:   eval.Number(churned / float64(n)),
		Churn:       eval.Classifiers(churn, y, users, o.Seed),
		Value:       eval.Spenders(value, spend, users, o.Seed),
		Bands:       eval.Bands(full.churn, y, []float64{b.ChurnMedium, b.ChurnHigh}, []string{"low", "medium", "high"}),
		Reliability: eval.Reliability(full.churn, y, 10),
		Gains:       eval.Gains(full.value, spend, 20),
		Notes: map[string]string{
			"model":     "fitted without the test's customers; the bundle's own is fitted on all rows in the same way",
			"intervals": "95 %, percentile bootstrap over customers",
			"effects":   "reasons are exact for the linear part, integrated gradients in closed form for the hidden layer, path-dependent for the trees",
		},
	}, nil
}

// scores are the predictions of one set of heads.
type scores struct {
	churn, value []float64
	parts        [heads.NumParts][]float64
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
	return s
}
