package train

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestGateRefusesPlantedModels judges four models on the same customers: the one
// that Train fits, one fitted on shuffled labels, one whose probabilities were
// corrupted, and one that says the rate of churn to everybody. Only the first may
// pass.
func TestGateRefusesPlantedModels(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	d := dataset(700, 2)
	o := quick()
	o.TestFolds, o.horizon = 2, d.Horizon
	if err := o.setDefaults(); err != nil {
		t.Fatal(err)
	}
	s, err := open(&d, o.Texts)
	if err != nil {
		t.Fatal(err)
	}
	if s.embeddings, err = embed(ctx, &o, s.texts, nil); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	shuffled := *s
	shuffled.churn, shuffled.spend = append([]float64(nil), s.churn...), append([]float64(nil), s.spend...)
	rng.Shuffle(s.n, func(i, j int) {
		shuffled.churn[i], shuffled.churn[j] = shuffled.churn[j], shuffled.churn[i]
		shuffled.spend[i], shuffled.spend[j] = shuffled.spend[j], shuffled.spend[i]
	})
	p := s.rolling(o.TestFolds, o.horizon, o.Seed)
	good, err := s.test(ctx, &p, &o)
	if err != nil {
		t.Fatal(err)
	}
	blind, err := shuffled.test(ctx, &p, &o)
	if err != nil {
		t.Fatal(err)
	}
	// spoilt is the good model with other probabilities of churn.
	spoilt := func(f func(k int, u *outcome) []float64) []*outcome {
		out := make([]*outcome, len(good))
		for k, u := range good {
			c, full := *u, *u.full
			full.churn = f(k, u)
			c.full = &full
			out[k] = &c
		}
		return out
	}
	for name, c := range map[string]struct {
		outs []*outcome
		want string // part of a reason; "" passes
	}{
		"as trained":         {good, ""},
		"on shuffled labels": {spoilt(func(k int, _ *outcome) []float64 { return blind[k].full.churn }), "ROC-AUC ahead of recency"},
		"corrupted scores": {spoilt(func(_ int, u *outcome) []float64 {
			z := append([]float64(nil), u.full.churn...)
			for i := range z {
				if i%3 == 0 {
					z[i] = rng.Float64()
				}
			}
			return z
		}), "ROC-AUC not inferior to rfm logistic"},
		"one number for all": {spoilt(func(_ int, u *outcome) []float64 {
			z := make([]float64, len(u.full.churn))
			for i := range z {
				z[i] = .5
			}
			return z
		}), "Brier score not worse than of recency"},
	} {
		g := s.judge(c.outs, &p, &o).Gate
		reasons := strings.Join(g.Reasons(), "\n")
		t.Logf("%s: passed %v\n%s", name, g.Passed, reasons)
		if g.Passed != (c.want == "") || !strings.Contains(reasons, c.want) {
			t.Errorf("%s: passed %v, want a reason with %q", name, g.Passed, c.want)
		}
	}
}
