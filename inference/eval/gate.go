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
	if len(out) == 0 && (!g.Passed || len(g.Checks) == 0) {
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
	return fmt.Sprintf("%s: the difference is %s (%s to %s), its %s has to be %s", c.Name, say(d.Value), say(d.Low), say(d.High), c.JudgedWords(), c.LimitWords())
}

// JudgedWords names the number that is compared.
func (c *Check) JudgedWords() string {
	if c.Judged == judgedLow {
		return "lower bound"
	}
	return "value"
}

// LimitWords says what it has to be.
func (c *Check) LimitWords() string {
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

// What the gate asks for: that the model is ahead of recency in ROC-AUC, not
// inferior to any baseline by the margin, and in Brier score not worse by more
// than the margin than any baseline that is a probability.
const (
	marginAUC   = -.01
	marginBrier = .002
	gateLevel   = .95
)

// newGate has the differences of the model and each baseline measured. auc and
// brier are the numbers of the figures: the baselines in order, then the model.
// The first baseline is the one to be ahead of. Differences in ROC-AUC are judged
// by the lower bound of their interval, those in Brier score by their value.
func newGate(p *panel, baselines []Prediction, auc, brier []int) *Gate {
	g := &Gate{Samples: samples, Level: gateLevel}
	for b, base := range baselines {
		c := Check{Name: "ROC-AUC not inferior to " + base.Name, Metric: metricAUC, Against: base.Name, Judged: judgedLow, Limit: marginAUC}
		if b == 0 {
			c.Name, c.Limit = "ROC-AUC ahead of "+base.Name, 0
		}
		g.Checks = append(g.Checks, c)
	}
	for _, base := range baselines {
		if base.Probability {
			g.Checks = append(g.Checks, Check{Name: "Brier score not worse than of " + base.Name, Metric: metricBrier, Against: base.Name, Judged: judgedValue, Limit: marginBrier})
		}
	}
	model, k := len(baselines), len(baselines)
	for b, base := range baselines {
		p.less(&g.Checks[b].Difference, auc[model], auc[b])
		if base.Probability {
			p.less(&g.Checks[k].Difference, brier[model], brier[b])
			k++
		}
	}
	return g
}

// decide compares the differences with their limits. What is not determined
// does not pass.
func (g *Gate) decide() {
	g.Passed = len(g.Checks) > 0
	for k := range g.Checks {
		c := &g.Checks[k]
		if c.Metric == metricAUC {
			c.Passed = float64(c.Difference.Low) > c.Limit
		} else {
			c.Passed = float64(c.Difference.Value) <= c.Limit
		}
		g.Passed = g.Passed && c.Passed
	}
}
