package train

import (
	"context"
	"math"
	"testing"

	"profilestream/inference/eval"
	"profilestream/inference/heads"
)

// repeats is how often the customers are dealt out to folds anew.
const repeats = 3

// BenchmarkRetailSplits fits on real customers and judges on others at a later
// cut-off, one after the last of training and three months after it, by the
// numbers alone and with the defaults. Customers are dealt out to four folds,
// three times; its figures are means of the dealings, and standard errors over
// them. auc-ahead is of the pooled AUC over that of recency, frequency and money.
func BenchmarkRetailSplits(b *testing.B) {
	for name, cutoffs := range map[string][]string{
		"month after":   {"2011-03-01", "2011-04-01", "2011-05-01", "2011-06-01"},
		"quarter after": {"2011-02-01", "2011-03-01", "2011-06-01"},
	} {
		b.Run(name, func(b *testing.B) {
			d := retail(b, "online_retail_dev.csv.gz", cutoffs...)
			for b.Loop() {
				sums, squares := map[string]float64{}, map[string]float64{}
				for seed := range uint64(repeats) {
					for n, v := range figures(b, &d, seed+1) {
						sums[n] += v
						squares[n] += v * v
					}
				}
				for n, v := range sums {
					mean := v / repeats
					b.ReportMetric(mean, n)
					b.ReportMetric(math.Sqrt(max(0, squares[n]/repeats-mean*mean)/(repeats-1)), n+"-se")
				}
			}
		})
	}
}

// figures pools the predictions of four folds at the last cut-off.
func figures(b *testing.B, d *Dataset, seed uint64) map[string]float64 {
	b.Helper()
	o := Options{Seed: seed, horizon: d.Horizon}
	if err := o.setDefaults(); err != nil {
		b.Fatal(err)
	}
	s, err := open(d, nil)
	if err != nil {
		b.Fatal(err)
	}
	churn, value := map[string][]float64{}, map[string][]float64{}
	var y, spend []float64
	for k := range 4 {
		sp := s.dealt(k, seed)
		u, err := s.outcome(context.Background(), sp, &o, func() {})
		if err != nil {
			b.Fatal(err)
		}
		for n, v := range map[string][]float64{"model": u.full.churn, "line": u.full.parts[heads.PartLinear], "mlp": u.full.parts[heads.PartMLP],
			"trees": u.full.parts[heads.PartForest], "recency": u.base.recency, "rfm": u.base.rfm, "bgnbd": u.base.silent} {
			churn[n] = append(churn[n], v...)
		}
		for n, v := range map[string][]float64{"model": u.full.value, "spend90": u.base.spend90, "bgnbd": u.base.bought} {
			value[n] = append(value[n], v...)
		}
		y, spend = append(y, pick(s.churn, sp.test)...), append(spend, pick(s.spend, sp.test)...)
	}
	out := map[string]float64{}
	for n, p := range churn {
		out[n+"/auc"], out[n+"/brier"], out[n+"/ece"] = eval.AUC(p, y), eval.Brier(p, y), eval.ECE(p, y)
		out[n+"/auc-ahead"] = eval.AUC(p, y) - eval.AUC(churn["rfm"], y)
	}
	for n, v := range value {
		out[n+"/spearman"], out[n+"/gini"] = eval.Spearman(v, spend), eval.Gini(v, spend)
	}
	return out
}

// dealt tests a fold of the customers at the last cut-off and trains on the
// others before it.
func (s *sample) dealt(k int, seed uint64) *split {
	last := int64(0)
	for _, c := range s.cutoff {
		last = max(last, c)
	}
	sp := new(split)
	for i := range s.n {
		held := int(share(s.users[i], seed+76)*4) == k
		switch {
		case held && s.cutoff[i] == last:
			sp.test = append(sp.test, i)
		case !held && s.cutoff[i] < last:
			sp.train = append(sp.train, i)
		}
	}
	return sp
}
