package eval

import (
	"math"
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

// TestWeightsAreRepeats: a metric of weighted rows is that of rows written out as
// often as they weigh.
func TestWeightsAreRepeats(t *testing.T) {
	t.Parallel()
	metrics := map[string]func(c *column, w []float64) float64{
		"auc": (*column).auc, "ap": (*column).ap, "brier": (*column).brier, "log loss": (*column).meanLogLoss,
		"ece": (*column).ece, "gap": (*column).gap, "spearman": (*column).spearman, "gini": (*column).gini,
		"absolute": (*column).meanAbsolute, "ratio": (*column).sumRatio,
		"lift": func(c *column, w []float64) float64 { return c.lift(w, .3) },
		"f1": func(c *column, w []float64) float64 {
			from := make([]float64, len(w))
			for i := range from {
				from[i] = .4
			}
			return c.confusion(from, w).f1()
		},
	}
	rapid.Check(t, func(t *rapid.T) {
		p, y := draw(t)
		w := make([]float64, len(p))
		var ps, ys []float64
		for i := range w {
			w[i] = float64(rapid.IntRange(0, 3).Draw(t, "times"))
			for range int(w[i]) {
				ps, ys = append(ps, p[i]), append(ys, y[i])
			}
		}
		weighted, repeated := newColumn(p, y), newColumn(ps, ys)
		for name, f := range metrics {
			if got, want := f(weighted, w), f(repeated, ones(len(ps))); !same(got, want) {
				t.Fatalf("%s: %v weighted, %v repeated", name, got, want)
			}
		}
	})
}

func TestBestF1AgainstAllThresholds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, y := draw(t)
		c := newColumn(p, y)
		f1 := func(cut float64) float64 {
			from := make([]float64, len(p))
			for i := range from {
				from[i] = cut
			}
			return c.confusion(from, ones(len(p))).f1()
		}
		if sum(y) == 0 {
			return
		}
		got := f1(BestF1(p, y))
		for k := range 13 {
			if other := f1(float64(k) / 12); other > got+1e-12 {
				t.Fatalf("F1 %v at %v, %v at %v", got, BestF1(p, y), other, float64(k)/12)
			}
		}
	})
}
