package eval

import (
	"fmt"
	"math"
)

// Gate is the verdict on a model: it passes when every check does.
type Gate struct {
	Passed  bool    `json:"passed"`
	Samples int     `json:"samples"` // of the paired bootstrap
	Level   float64 `json:"level"`   // of the two-sided intervals of the differences
	Checks  []Check `json:"checks"`
}

// Check is one condition of the gate.
type Check struct {
	Name    string `json:"name"`    // in words
	Metric  string `json:"metric"`  // roc_auc or brier
	Against string `json:"against"` // the baseline's name
	// Difference is the model's metric less the baseline's, on the same rows and
	// samples.
	Difference Figure  `json:"difference"`
	Judged     string  `json:"judged"` // which number of Difference is compared: low or value
	Limit      float64 `json:"limit"`  // above it for roc_auc, at most it for brier
	Passed     bool    `json:"passed"`
}

// Reasons says what did not pass, a line a check; it is empty for a gate that
// passed. A report without a gate was not judged, which is a reason too.
func (g *Gate) Reasons() []string {
	if g == nil {
		return []string{"it was not judged: its evaluation holds no gate"}
	}
	var out []string
	for i := range g.Checks {
		if c := &g.Checks[i]; !c.Passed {
			out = append(out, c.reason())
		}
	}
	if len(out) == 0 && !g.Passed {
		out = append(out, "its gate holds no check that passed")
	}
	return out
}

func (c *Check) reason() string {
	say := func(n Number) string {
		if math.IsNaN(float64(n)) {
			return "not determined"
		}
		return fmt.Sprintf("%+.4f", float64(n))
	}
	d := &c.Difference
	return fmt.Sprintf("%s: the difference is %s (%s to %s), its %s has to be %s", c.Name, say(d.Value), say(d.Low), say(d.High), c.judged(), c.limit())
}

func (c *Check) judged() string {
	if c.Judged == judgedLow {
		return "lower bound"
	}
	return "value"
}

func (c *Check) limit() string {
	if c.Metric == metricBrier {
		return fmt.Sprintf("at most %g", c.Limit)
	}
	return fmt.Sprintf("above %g", c.Limit)
}

const (
	metricAUC   = "roc_auc"
	metricBrier = "brier"
	judgedLow   = "low"
	judgedValue = "value"
)

// What the gate asks for: issue by issue the model is ahead of recency in
// ROC-AUC, not inferior to any baseline by the margin, and its Brier score is
// not worse than that of any baseline which is a probability.
const (
	gateSamples  = 1000
	marginAUC    = -.01
	marginBrier  = .002
	gateInterval = .95
)

// Judge holds a model against baselines on the same rows by paired bootstrap
// over groups. The first baseline is recency, which the model has to be ahead of.
// The differences in ROC-AUC are judged by the lower bound of their two-sided
// 95 % interval, those in Brier score by their value.
func Judge(model Prediction, baselines []Prediction, label []float64, groups []string, seed uint64) *Gate {
	all := append([]Prediction{model}, baselines...)
	values, drawn := resample(all, label, groups, gateSamples, seed, []func(p, y []float64) float64{AUC, Brier})
	less := func(m, k int) Figure {
		d := make([]float64, gateSamples)
		for s := range d {
			d[s] = drawn[0][k][s] - drawn[m][k][s]
		}
		return interval(values[0][k]-values[m][k], d)
	}
	g := &Gate{Passed: true, Samples: gateSamples, Level: gateInterval}
	add := func(c Check, passed bool) {
		c.Passed = passed
		g.Checks = append(g.Checks, c)
		g.Passed = g.Passed && passed
	}
	for b, base := range baselines {
		auc := less(b+1, 0)
		name := "ROC-AUC not inferior to " + base.Name
		limit := marginAUC
		if b == 0 {
			name, limit = "ROC-AUC ahead of "+base.Name, 0
		}
		add(Check{Name: name, Metric: metricAUC, Against: base.Name, Difference: auc, Judged: judgedLow, Limit: limit}, float64(auc.Low) > limit)
	}
	for b, base := range baselines {
		if base.Probability {
			d := less(b+1, 1)
			add(Check{Name: "Brier score not worse than of " + base.Name, Metric: metricBrier, Against: base.Name, Difference: d, Judged: judgedValue, Limit: marginBrier}, float64(d.Value) <= marginBrier)
		}
	}
	return g
}
