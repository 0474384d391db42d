package train

import (
	"math/rand/v2"
	"testing"

	"profilestream/inference/heads"
)

// TestDriftHoldsBackWhatMoved: an input whose mean rises from cut-off to
// cut-off counts less, one that stays counts in full.
func TestDriftHoldsBackWhatMoved(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	x, cutoff := heads.NewMatrix(3000, 3), make([]int64, 3000)
	for i := range cutoff {
		cutoff[i] = int64(i % 3)
		x.Row(i)[0] = float32(rng.NormFloat64())
		x.Row(i)[1] = float32(rng.NormFloat64()) + float32(cutoff[i])
	}
	by := drift(x, cutoff)
	if by[0] < .5 || by[1] > .1 || by[2] != 1 {
		t.Errorf("a steady, a moving and a constant input count %v", by)
	}
	if got := drift(x, make([]int64, 3000)); got != nil {
		t.Errorf("one cut-off shows the drift %v", got)
	}
	if got := drift(x.Select([]int{0, 1, 2, 3}), cutoff[:4]); got != nil {
		t.Errorf("four rows show the drift %v", got)
	}
}

// TestShrunkInputsAreScoredAsTheyAre: what was fitted on shrunk inputs gives,
// on the inputs themselves, the scores that the folds saw.
func TestShrunkInputsAreScoredAsTheyAre(t *testing.T) {
	t.Parallel()
	d := dataset(300, 1)
	s := opened(t, &d)
	o := quick()
	o.Embedder = nil
	o.horizon = d.Horizon
	if err := o.setDefaults(); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 3))
	x := heads.NewMatrix(s.n, 6)
	for i := range x.Data {
		x.Data[i] = float32(rng.NormFloat64())
	}
	rows := make([]int, s.n)
	for i := range rows {
		rows[i] = i
	}
	p := &problem{x: x, y: s.churn, fold: s.folds(rows, o.Folds, 1), loss: heads.Logistic, mlp: true, compact: []int{0, 3}, shrink: []float32{1, .1, .5, 1, .2, .9}}
	f, err := crossfit(t.Context(), p, &o, func() {})
	if err != nil {
		t.Fatal(err)
	}
	z, shrunk := make([]float64, s.n), make([]float64, s.n)
	f.ensemble.MLP.Score(x, new(heads.Matrix), z)
	m := *f.ensemble.MLP
	m.W1 = append([]float32(nil), m.W1...)
	for i := range m.W1 {
		m.W1[i] /= p.shrink[i%6]
	}
	m.Score(p.even, new(heads.Matrix), shrunk)
	for i := range z {
		if d := z[i] - shrunk[i]; d > 1e-5 || d < -1e-5 {
			t.Fatalf("row %d: %v on the inputs, %v on shrunk ones", i, z[i], shrunk[i])
		}
	}
	var mix float64
	for _, w := range f.ensemble.Mix {
		mix += w
	}
	if mix < 1-1e-9 || mix > 1+1e-9 {
		t.Errorf("the mix sums to %v", mix)
	}
}
