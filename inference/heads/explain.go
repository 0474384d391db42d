package heads

import (
	"fmt"
	"strings"
)

// Explainer tells what each input adds to an ensemble's score. It is safe for
// concurrent use, and follows no later change of the ensemble.
type Explainer struct {
	e     *Ensemble
	trees *shapley
}

// NewExplainer prepares the tables of the forest's effects.
func NewExplainer(e *Ensemble) *Explainer { return &Explainer{e: e, trees: newShapley(&e.Forest)} }

// Method says how a part's effects are found.
type Method struct {
	Part   string  `json:"part"`
	Weight float64 `json:"weight"` // of the part in the mix
	Method string  `json:"method"`
}

// Methods lists the parts that the ensemble mixes and how each is explained.
func (e *Ensemble) Methods() []Method {
	all := [NumParts]Method{
		PartLinear: {Part: "linear", Method: "exact, weight times input"},
		PartMLP:    {Part: "mlp", Method: "gradient-based, integrated gradients from the mean input in closed form"},
		PartForest: {Part: "trees", Method: "exact, path-dependent Shapley values"},
	}
	var out []Method
	for k, m := range all {
		if m.Weight = e.Mix[k]; m.Weight != 0 {
			out = append(out, m)
		}
	}
	return out
}

// MethodWords puts methods into one line.
func MethodWords(ms []Method) string {
	words := make([]string, len(ms))
	for i, m := range ms {
		words[i] = fmt.Sprintf("%s (weight %.2f) %s", m.Part, m.Weight, m.Method)
	}
	return strings.Join(words, "; ")
}

// Base is the score that the effects of a row are counted from: that of the
// mean input for the linear part and the MLP, of the mean row for the forest.
func (x *Explainer) Base() float64 {
	e := x.e
	b := e.Mix[PartLinear]*float64(e.Linear.Bias) + e.Mix[PartForest]*e.Forest.base()
	if e.MLP != nil {
		b += e.Mix[PartMLP] * e.MLP.zero()
	}
	return b
}

// Explain is Ensemble.Score, and writes to effects (in.Rows by in.Cols) what each
// input adds to the score: Base() plus the effects of a row is its score up to
// rounding. See Methods.
func (x *Explainer) Explain(in *Matrix, s *Scratch, dst []float64, effects *Matrix) {
	e := x.e
	s.sized(in.Rows, in.Cols)
	e.Linear.Score(in, dst)
	if e.MLP != nil {
		e.MLP.Score(in, &s.hidden, s.part)
	}
	lin, mlp := float32(e.Mix[PartLinear]), float32(e.Mix[PartMLP])
	w := e.Linear.Weights
	for i := range in.Rows {
		dst[i] *= e.Mix[PartLinear]
		row, out := in.Row(i), effects.Row(i)
		if e.MLP == nil {
			for j, v := range row {
				out[j] = lin * w[j] * v
			}
			continue
		}
		e.MLP.slopes(s.hidden.Row(i), s.slopes)
		for j, v := range row {
			out[j] = (lin*w[j] + mlp*s.slopes[j]) * v
		}
	}
	if e.MLP != nil {
		addScaled(dst, s.part, e.Mix[PartMLP])
	}
	x.trees.explain(in, s.part, float32(e.Mix[PartForest]), effects)
	addScaled(dst, s.part, e.Mix[PartForest])
}
