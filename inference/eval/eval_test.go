package eval

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

func draw(t *rapid.T) (p, y []float64) {
	n := rapid.IntRange(1, 60).Draw(t, "rows")
	p, y = make([]float64, n), make([]float64, n)
	for i := range p {
		p[i] = float64(rapid.IntRange(0, 12).Draw(t, "score")) / 12 // many ties
		y[i] = float64(rapid.IntRange(0, 1).Draw(t, "label"))
	}
	return p, y
}

func same(a, b float64) bool {
	return math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) < 1e-9
}

func TestAUCAgainstPairs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, y := draw(t)
		var won, pairs float64
		for i := range p {
			for j := range p {
				if y[i] == 1 && y[j] == 0 {
					pairs++
					switch {
					case p[i] > p[j]:
						won++
					case p[i] == p[j]:
						won += .5
					}
				}
			}
		}
		if got, want := AUC(p, y), ratio(won, pairs); !same(got, want) {
			t.Fatalf("AUC %v, pairs say %v", got, want)
		}
	})
}

func TestAveragePrecisionAgainstThresholds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, y := draw(t)
		at := func(cut float64) (precision, recall float64) {
			var hit, n, pos float64
			for i := range p {
				pos += y[i]
				if p[i] >= cut {
					n++
					hit += y[i]
				}
			}
			return ratio(hit, n), ratio(hit, pos)
		}
		var want, before float64
		for k := 12; k >= 0; k-- {
			precision, recall := at(float64(k) / 12)
			if !math.IsNaN(precision) {
				want += (recall - before) * precision
				before = recall
			}
		}
		if got := AveragePrecision(p, y); !same(got, want) {
			t.Fatalf("average precision %v, thresholds say %v", got, want)
		}
	})
}

func TestKnownFigures(t *testing.T) {
	t.Parallel()
	p, y := []float64{.1, .4, .8, .9}, []float64{0, 1, 0, 1}
	amount := []float64{0, 10, 0, 30}
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"brier", Brier(p, y), (.01 + .36 + .64 + .01) / 4},
		{"log loss", LogLoss(p, y), -(math.Log(.9) + math.Log(.4) + math.Log(.2) + math.Log(.9)) / 4},
		{"ece", ECE(p, y), (.1 + .6 + .8 + .1) / 4},
		{"lift", Lift(p, y, .25), 2},
		{"lift of money", Lift(p, amount, .25), 3},
		{"spearman", Spearman([]float64{1, 2, 3, 4}, []float64{1, 3, 2, 4}), .8},
		{"spearman with ties", Spearman([]float64{1, 1, 2}, []float64{5, 5, 9}), 1},
		{"perfect gini", Gini(amount, amount), 1},
		{"backward gini", Gini([]float64{3, 2, 1, 0}, []float64{1, 2, 3, 4}), -1},
		{"constant gini", Gini([]float64{1, 1, 1, 1}, []float64{1, 2, 3, 4}), 0},
		{"mean absolute", MeanAbsolute(p, y), (.1 + .6 + .8 + .1) / 4},
		{"one class", AUC(p, []float64{1, 1, 1, 1}), math.NaN()},
	} {
		if !same(c.got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, c.got, c.want)
		}
	}
}

func TestBootstrapCoversAndRepeats(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 1))
	const n = 400
	p, y, noise, g := make([]float64, n), make([]float64, n), make([]float64, n), make([]string, n)
	for i := range p {
		p[i], noise[i], g[i] = rng.Float64(), rng.Float64(), string(rune('a'+i/2))
		if rng.Float64() < p[i] {
			y[i] = 1
		}
	}
	models := []Prediction{{Name: "noise", Score: noise, Probability: true}, {Name: "model", Score: p, Probability: true}}
	a, b := Classifiers(models, y, g, 5), Classifiers(models, y, g, 5)
	ja, errA := json.Marshal(a)
	jb, errB := json.Marshal(b)
	if errA != nil || errB != nil || !bytes.Equal(ja, jb) {
		t.Fatalf("one seed gave two intervals (%v, %v)", errA, errB)
	}
	m := a[1]
	if !(m.AUC.Low < m.AUC.Value && m.AUC.Value < m.AUC.High) || m.AUCAhead.Low <= 0 || a[0].AUCAhead.Value != 0 {
		t.Errorf("AUC %v, ahead %v", m.AUC, m.AUCAhead)
	}
}

func TestReportIsOnePageAndJSON(t *testing.T) {
	t.Parallel()
	r := &Report{Format: 1, Split: "customers", ChurnRate: Number(math.NaN()), Notes: map[string]string{"<k>": "<v>"},
		Churn:       []Classifier{{Name: "<script>", AUC: Figure{.7, .6, .8}, Brier: unknown()}},
		Reliability: []Bin{{N: 3, Mean: .2, Rate: .3}, {N: 5, Mean: .6, Rate: .5}}, Gains: Gains([]float64{2, 1}, []float64{3, 1}, 2)}
	b, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(b, &back); err != nil || !math.IsNaN(float64(back.ChurnRate)) || back.Churn[0].AUC.Value != .7 {
		t.Fatalf("read back %+v, %v", back, err)
	}
	page, err := r.HTML()
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<script>", "<k>", "NaN", "http"} {
		if bytes.Contains(page, []byte(bad)) {
			t.Errorf("the page holds %s", bad)
		}
	}
	if n := bytes.Count(page, []byte("<svg")); n != 2 {
		t.Errorf("%d plots, want 2", n)
	}
}
