package eval

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// planted is rows of a world with known probabilities, two rows a customer, and
// predictions of them: the model's with some noise, the baselines' with more.
func planted(rows int, seed uint64, noise float64) *Test {
	rng := rand.New(rand.NewPCG(seed, 1))
	t := &Test{Seed: 5, Dimensions: map[string][]string{"side": nil, "all": nil, "rare": nil}}
	near := func(q, noise float64) float64 {
		z := math.Log(q/(1-q)) + noise*rng.NormFloat64()
		return 1 / (1 + math.Exp(-z))
	}
	var model, recency, rfm, spend, value []float64
	for i := range rows {
		q := .05 + .9*rng.Float64()
		y, paid := 0.0, math.Exp(3+rng.NormFloat64())
		if rng.Float64() < q {
			y, paid = 1, 0
		}
		t.Users, t.Churn, t.Spend = append(t.Users, fmt.Sprint("u", i/2)), append(t.Churn, y), append(t.Spend, paid)
		model, recency, rfm = append(model, near(q, noise)), append(recency, near(q, 2)), append(rfm, near(q, .4))
		spend, value = append(spend, 7*near(q, 1)), append(value, 30*(1-q))
		t.Dimensions["side"] = append(t.Dimensions["side"], []string{"left", "right"}[i%2])
		t.Dimensions["all"] = append(t.Dimensions["all"], "same")
		t.Dimensions["rare"] = append(t.Dimensions["rare"], []string{"common", "a", "b"}[max(0, i-rows+3)])
	}
	all := func(v float64) []float64 { return slices.Repeat([]float64{v}, rows) }
	t.Model, t.Value = Prediction{"model", model, true}, Prediction{"model", value, true}
	t.Baselines = []Prediction{{"recency", recency, true}, {"rfm", rfm, true}, {"spend", spend, false}}
	t.ValueBaselines = []Prediction{{"spend", value, false}}
	t.WithText, t.WithoutText, t.ValueWithText, t.ValueNoText = t.Model, t.Baselines[0], t.Value, t.Value
	t.Medium, t.High, t.BestF1, t.ValueMid, t.ValueHigh = all(.4), all(.7), all(.5), all(10), all(20)
	t.Ranges = []Range{{.8, all(0), all(25)}, {.9, all(-1), all(1e9)}}
	return t
}

func TestGateTellsBetterFromWorse(t *testing.T) {
	t.Parallel()
	corrupt := planted(800, 2, .1)
	rng := rand.New(rand.NewPCG(3, 3))
	for i := range corrupt.Model.Score {
		if rng.Float64() < .4 {
			corrupt.Model.Score[i] = rng.Float64()
		}
	}
	shifted := planted(800, 2, .1) // ranks as well, and is not calibrated
	for i, p := range shifted.Model.Score {
		shifted.Model.Score[i] = .4 + .6*p
	}
	oneClass := planted(300, 2, .1)
	clear(oneClass.Churn)
	oneClass.Model.Score = oneClass.Baselines[1].Score
	for name, c := range map[string]struct {
		test *Test
		want []string // what the checks that fail begin with
	}{
		"better than all":      {planted(800, 2, .1), nil},
		"scores corrupted":     {corrupt, []string{"ROC-AUC not inferior to rfm", "ROC-AUC not inferior to spend", "Brier score not worse than of rfm"}},
		"no better than noise": {planted(800, 2, 5), []string{"ROC-AUC ahead of recency", "ROC-AUC not inferior to rfm", "ROC-AUC not inferior to spend", "Brier score not worse than of recency", "Brier score not worse than of rfm"}},
		"not calibrated":       {shifted, []string{"Brier score not worse than of rfm"}},
		"too few rows":         {planted(40, 2, .1), []string{"ROC-AUC not inferior to rfm"}},
		"one class":            {oneClass, []string{"ROC-AUC ahead of recency", "ROC-AUC not inferior to rfm", "ROC-AUC not inferior to spend"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := c.test.Report().Gate
			got := g.Reasons()
			for i, r := range got {
				t.Log(r)
				if i < len(c.want) && !strings.HasPrefix(r, c.want[i]) {
					t.Errorf("want %q", c.want[i])
				}
			}
			if len(got) != len(c.want) || g.Passed != (len(c.want) == 0) {
				t.Errorf("passed %v, %d checks failed, want %d", g.Passed, len(got), len(c.want))
			}
			if g.Samples < 1000 || len(g.Checks) != 5 {
				t.Errorf("%d samples, %d checks", g.Samples, len(g.Checks))
			}
		})
	}
}

func TestReportRepeatsAndHolds(t *testing.T) {
	t.Parallel()
	test := planted(800, 7, .1)
	r := test.Report()
	a, errA := r.Encode()
	b, errB := planted(800, 7, .1).Report().Encode()
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Fatalf("one seed gave two reports (%v, %v)", errA, errB)
	}
	m := r.Churn[3]
	if m.Name != "model" || m.Kind != KindModel || !(m.AUC.Low < m.AUC.Value && m.AUC.Value < m.AUC.High) {
		t.Errorf("the model's figures %+v", m)
	}
	if s := r.Churn[2]; !math.IsNaN(float64(s.Brier.Value)) || math.IsNaN(float64(s.AUC.Value)) {
		t.Errorf("a baseline that only ranks has the figures %+v", s)
	}
	half := r.Thresholds[0]
	if half.TP+half.FP+half.FN+half.TN != 800 || math.Abs(float64(half.Precision.Value)-float64(half.TP)/float64(half.TP+half.FP)) > 1e-12 {
		t.Errorf("confusion %+v", half)
	}
	bands := 0
	for _, x := range r.Bands {
		bands += x.N
	}
	if bands != 800 || float64(r.Bands[2].Rate.Value) != float64(r.Thresholds[3].Precision.Value) {
		t.Errorf("bands %+v, precision from there %+v", r.Bands, r.Thresholds[3].Precision)
	}
	var names []string
	for _, g := range r.Groups {
		names = append(names, g.Dimension+"/"+g.Name)
	}
	if want := []string{"rare/common", "rare/others", "side/left", "side/right"}; !slices.Equal(names, want) {
		t.Errorf("groups %q, want %q", names, want)
	}
	if len(r.Fairness) != 4 || r.Fairness[0].Difference.Value < 0 || r.Fairness[0].Dimension != "side" {
		t.Errorf("fairness %+v", r.Fairness)
	}
	if d := r.Text; d == nil || d.AUC.Low <= 0 || d.Spearman.Value != 0 {
		t.Errorf("the better of two is ahead by %+v", d)
	}
	in := 0
	for _, v := range test.Spend {
		if v <= 25 {
			in++
		}
	}
	if got := float64(r.Ranges[0].Coverage.Value); math.Abs(got-float64(in)/800) > 1e-12 || r.Ranges[0].Width.Value != 25 || r.Ranges[1].Coverage.Value != 1 {
		t.Errorf("%+v, want a coverage of %d/800", r.Ranges, in)
	}
}

// TestIntervalsCover draws many worlds: the 95 % interval of a known AUC has to
// hold it in most of them.
func TestIntervalsCover(t *testing.T) {
	t.Parallel()
	truth := planted(20000, 99, .1)
	want := AUC(truth.Model.Score, truth.Churn)
	held := 0
	const worlds = 40
	for k := range uint64(worlds) {
		w := planted(200, 100+k, .1)
		c := Classifiers([]Prediction{w.Model}, w.Churn, w.Users, k)[0]
		if float64(c.AUC.Low) <= want && want <= float64(c.AUC.High) {
			held++
		}
	}
	if held < worlds*8/10 {
		t.Errorf("%d of %d intervals hold %.3f", held, worlds, want)
	}
}

func TestReportIsOnePageAndJSON(t *testing.T) {
	t.Parallel()
	test := planted(300, 1, .1)
	test.Baselines[0].Name = "<script>"
	r := test.Report()
	r.Notes = map[string]string{"<k>": "<v>"}
	r.ChurnRate = Number(math.NaN())
	r.Split = Split{Words: "customers", Origins: []Origin{{At: "2011-06-01"}}}
	b, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(b, &back); err != nil || !math.IsNaN(float64(back.ChurnRate)) || back.Churn[0].AUC != r.Churn[0].AUC {
		t.Fatalf("read back %+v, %v", back, err)
	}
	for _, cost := range []*Cost{nil, {Seconds: 3, Stages: []Stage{{Name: "<stage>", Seconds: 2}}}} {
		page, err := r.HTML(cost)
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"<script>", "<k>", "<stage>", "NaN", "http", "src="} {
			if bytes.Contains(page, []byte(bad)) {
				t.Errorf("the page holds %s", bad)
			}
		}
		if bytes.Contains(page, []byte("Cost of training")) != (cost != nil) {
			t.Error("the cost is shown where there is none, or not where there is")
		}
		if n := bytes.Count(page, []byte("<figure>")); n != 7 {
			t.Errorf("%d plots, want 7", n)
		}
	}
}
