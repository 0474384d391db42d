package train

import (
	"context"

	"profilestream/inference/eval"
	"profilestream/inference/features"
	"profilestream/inference/heads"
)

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
	baselines := []eval.Prediction{churn[0], churn[1]}
	if base.silent != nil {
		baselines = append(baselines, churn[len(churn)-1])
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
		Gate:        eval.Judge(churn[2], baselines, y, users, o.Seed),
		Churn:       eval.Classifiers(churn, y, users, o.Seed),
		Value:       eval.Spenders(value, spend, users, o.Seed),
		Bands:       eval.Bands(full.churn, y, []float64{b.ChurnMedium, b.ChurnHigh}, []string{"low", "medium", "high"}),
		Reliability: eval.Reliability(full.churn, y, 10),
		Gains:       eval.Gains(full.value, spend, 20),
		Notes: map[string]string{
			"model":     "fitted without the test's customers; the bundle's own is fitted on all rows in the same way",
			"intervals": "95 %, percentile bootstrap over customers",
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
