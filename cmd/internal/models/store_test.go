package models

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"profilestream/inference/bundle"
	"profilestream/inference/features"
	"profilestream/inference/heads"
	"profilestream/inference/text"
)

// written is the smallest bundle that verifies.
func written(t *testing.T) *bundle.Bundle {
	t.Helper()
	n := len(features.Inputs)
	set := func(cols int) heads.Set {
		e := heads.Ensemble{Linear: heads.Linear{Weights: make([]float32, cols)}, Forest: heads.Forest{Depth: 1}, Mix: [heads.NumParts]float64{1}}
		return heads.Set{Cols: cols, Churn: heads.Classifier{Ensemble: e, Calibration: heads.Calibration{A: 1}}, Spend: heads.Spend{Any: heads.Calibration{A: 1}, Amount: e, Factor: 1}}
	}
	m := &heads.Model{
		Format: heads.FormatVersion, FeatureHash: features.Hash(), Inputs: features.Names(), Rendering: text.Version, Dim: 4,
		Standard: &features.Standard{Mean: make([]float64, n), Inverse: make([]float64, n)},
		Text:     &heads.Projection{Dim: 4, Weights: make([]float32, 8), Bias: make([]float32, 2)},
		Full:     set(n + 2), Numeric: set(n),
	}
	graph := filepath.Join(t.TempDir(), "graph")
	if err := os.WriteFile(graph, []byte("weights"), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Write(filepath.Join(t.TempDir(), "b"), bundle.Contents{Heads: m, Evaluation: []byte("{}"), Report: []byte("<html>"), Files: map[string]string{bundle.EncoderFile: graph, bundle.TokenizerFile: graph}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestStoreKeepsWhatWasPut(t *testing.T) {
	t.Parallel()
	s, b := Store{filepath.Join(t.TempDir(), "models", "store")}, written(t)
	kept, manifest, err := s.Put(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	p := Promotion{Number: 1, Bundle: b.ID(), Manifest: manifest}
	if kept.ID() != b.ID() || kept.Dir != s.Path(b.ID()) || !s.Has(b.ID()) {
		t.Errorf("kept %s in %s", kept.ID(), kept.Dir)
	}
	// Writing into the source does not reach the store.
	if err := os.WriteFile(b.Path(bundle.HeadsFile), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(p); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(kept.Path(bundle.ReportFile)); err != nil {
		t.Errorf("the page of the evaluation stays behind: %v", err)
	}
	if left, err := os.ReadDir(s.Dir); err != nil || len(left) != 1 {
		t.Errorf("%d entries in the store, %v", len(left), err)
	}
}

// TestStoreRefusesWhatWasNotPromoted: a bundle that is gone, damaged, or another
// one under its name is an error that says so; putting it again mends it.
func TestStoreRefusesWhatWasNotPromoted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(t *testing.T, dir string)
		says  string
	}{
		"gone":          {func(t *testing.T, dir string) { check(t, os.RemoveAll(dir)) }, "not in the store"},
		"damaged":       {func(t *testing.T, dir string) { flip(t, filepath.Join(dir, bundle.EncoderFile)) }, bundle.EncoderFile},
		"other content": {func(t *testing.T, dir string) { flip(t, filepath.Join(dir, bundle.ManifestFile)) }, "was promoted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, b := Store{t.TempDir()}, written(t)
			_, manifest, err := s.Put(t.Context(), b)
			check(t, err)
			p := Promotion{Number: 7, Bundle: b.ID(), Manifest: manifest}
			c.spoil(t, s.Path(b.ID()))
			_, err = s.Load(p)
			if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "promotion 7") {
				t.Errorf("got %v, want an error that says %q", err, c.says)
			}
			_, _, err = s.Put(t.Context(), b)
			check(t, err)
			_, err = s.Load(p)
			check(t, err)
		})
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func flip(t *testing.T, path string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	check(t, err)
	raw[len(raw)/2] ^= 1
	check(t, os.WriteFile(path, raw, 0o600))
}
