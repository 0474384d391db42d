package heads

import (
	"bytes"
	"math"
	"testing"

	"profilestream/inference/features"
)

// whole is a model with every part, small weights drawn from the fits of other
// tests.
func whole(t testing.TB) *Model {
	t.Helper()
	n := len(features.Inputs)
	e := func(cols int) Ensemble {
		m := &MLP{Hidden: 2, W1: make([]float32, 2*cols), B1: []float32{.1, -.2}, W2: []float32{1, -1}}
		for i := range m.W1 {
			m.W1[i] = float32(i%7)/100 - .03
		}
		w := make([]float32, cols)
		for i := range w {
			w[i] = float32(i%5)/50 - .04
		}
		tree := Tree{Feature: []int32{1}, Threshold: []float32{.5}, Value: []float32{.1, 0, .3}}
		return Ensemble{Linear: Linear{Weights: w, Bias: .1}, MLP: m, Forest: Forest{Depth: 1, Trees: []Tree{tree}}, Mix: [NumParts]float64{.5, .2, .3}}
	}
	set := func(cols int) Set {
		return Set{Cols: cols, Churn: Classifier{Ensemble: e(cols), Calibration: Calibration{A: 1.1, B: -.2}},
			Spend: Spend{Any: Calibration{A: .9}, Amount: e(cols), Factor: 1.2, MinLog: -1, MaxLog: 8}}
	}
	return &Model{
		Format: FormatVersion, FeatureHash: features.Hash(), Inputs: features.Names(), Rendering: "text/1", Dim: 3, Seed: 7,
		Standard: &features.Standard{Mean: make([]float64, n), Inverse: make([]float64, n)},
		Text:     &Projection{Dim: 3, Weights: []float32{.1, .2, .3, .4, .5, .6}, Bias: []float32{0, .1}},
		Full:     set(n + 2), Numeric: set(n),
		Sentiment: &Sentiment{Linear: Linear{Weights: []float32{1, 2, 3}}, Calibration: Calibration{A: 1, X: []float64{-1, 2}, P: []float64{.2, .9}}},
		Interests: Interests{Categories: []string{"a"}, Embeddings: []float32{1, 0, 0}, Sharpness: 3, HalfLifeDays: 9, Kinds: []float64{0, 1}},
		Bands:     Bands{ChurnMedium: .3, ChurnHigh: .6, ValueMid: 10, ValueHigh: 50},
	}
}

func TestModelSurvivesItsFile(t *testing.T) {
	t.Parallel()
	m := whole(t)
	b, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	again, err := back.Encode()
	if err != nil || !bytes.Equal(b, again) {
		t.Fatalf("a model changed in its file: %v", err)
	}
	x, _ := random(50, m.Full.Cols, 3, Squared)
	p, q := make([]float64, 50), make([]float64, 50)
	m.Full.Churn.Ensemble.Score(x, &Scratch{}, p)
	back.Full.Churn.Ensemble.Score(x, &Scratch{}, q)
	for i := range p {
		if p[i] != q[i] {
			t.Fatalf("row %d scores %v before and %v after", i, p[i], q[i])
		}
	}
}

// TestWidenedHeadsIgnoreTheRest: heads on numbers give the same score with text
// components beside them.
func TestWidenedHeadsIgnoreTheRest(t *testing.T) {
	t.Parallel()
	s := whole(t).Numeric
	w := s.Widened(s.Cols + 5)
	x, _ := random(40, w.Cols, 4, Squared)
	p, q := make([]float64, 40), make([]float64, 40)
	s.Churn.Ensemble.Score(x.Narrow(s.Cols), &Scratch{}, p)
	w.Churn.Ensemble.Score(x, &Scratch{}, q)
	for i := range p {
		if math.Abs(p[i]-q[i]) > 1e-6 {
			t.Fatalf("row %d scores %v narrow and %v wide", i, p[i], q[i])
		}
	}
	if err := w.validate(); err != nil {
		t.Error(err)
	}
}

// FuzzDecode: what is accepted can be scored and gives finite numbers.
func FuzzDecode(f *testing.F) {
	b, err := whole(f).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"format":1}`))
	f.Add(bytes.Replace(b, []byte(`"depth":1`), []byte(`"depth":2`), 1))
	f.Add(bytes.Replace(b, []byte(`"feature":[1]`), []byte(`"feature":[-1]`), 1))
	f.Add(bytes.Replace(b, []byte(`"factor":1.2`), []byte(`"factor":1e300`), 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Decode(b)
		if err != nil {
			return
		}
		x, _ := random(3, m.Full.Cols, 1, Squared)
		z, a := make([]float64, 3), make([]float64, 3)
		effects := NewMatrix(3, m.Full.Cols)
		NewExplainer(&m.Full.Churn.Ensemble).Explain(x, &Scratch{}, z, effects)
		m.Full.Spend.Amount.Score(x, &Scratch{}, a)
		for i := range z {
			if p := m.Full.Churn.Calibration.Probability(z[i]); !(p > 0 && p < 1) && !math.IsNaN(z[i]) {
				t.Fatalf("probability %v of %v", p, z[i])
			}
		}
	})
}
