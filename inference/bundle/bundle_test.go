package bundle

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"profilestream/inference/features"
	"profilestream/inference/heads"
	"profilestream/inference/stability"
	"profilestream/inference/text"
)

// model is the smallest one that fits.
func model() *heads.Model {
	n := len(features.Inputs)
	set := func(cols int) heads.Set {
		e := heads.Ensemble{Linear: heads.Linear{Weights: make([]float32, cols)}, Forest: heads.Forest{Depth: 1}, Mix: [heads.NumParts]float64{1}}
		return heads.Set{Cols: cols, Churn: heads.Classifier{Ensemble: e, Calibration: heads.Calibration{A: 1}}, Spend: heads.Spend{Any: heads.Calibration{A: 1}, Amount: e, Factor: 1}}
	}
	return &heads.Model{
		Format: heads.FormatVersion, FeatureHash: features.Hash(), Inputs: features.Names(), Rendering: text.Version, Dim: 4,
		Standard: &features.Standard{Mean: make([]float64, n), Inverse: make([]float64, n)},
		Text:     &heads.Projection{Dim: 4, Weights: make([]float32, 8), Bias: make([]float32, 2)},
		Full:     set(n + 2), Numeric: set(n),
	}
}

// TestReference: a bundle keeps the reference of drift, is another bundle with it,
// and a reference that does not fit is refused.
func TestReference(t *testing.T) {
	t.Parallel()
	plain := write(t, filepath.Join(t.TempDir(), "b"))
	if plain.Reference != nil {
		t.Error("a bundle without a reference has one")
	}
	raw, err := stability.New(nil, nil, nil, 90).Encode()
	if err != nil {
		t.Fatal(err)
	}
	c := Contents{Heads: model(), Evaluation: []byte("{}"), Reference: raw, Files: map[string]string{EncoderFile: plain.Path(EncoderFile), TokenizerFile: plain.Path(TokenizerFile)}}
	b, err := Write(filepath.Join(t.TempDir(), "b"), c)
	if err != nil {
		t.Fatal(err)
	}
	if b.Reference == nil || b.Reference.HorizonDays != 90 || b.ID() == plain.ID() {
		t.Errorf("bundle %s has the reference %v; without it is %s", b.ID(), b.Reference, plain.ID())
	}
	c.Reference = bytes.Replace(raw, []byte(`"format":1`), []byte(`"format":2`), 1)
	if _, err := Write(filepath.Join(t.TempDir(), "b"), c); err == nil || !strings.Contains(err.Error(), ReferenceFile) {
		t.Errorf("a reference of another format gave %v", err)
	}
}

func write(t *testing.T, dir string) *Bundle {
	t.Helper()
	graph := filepath.Join(t.TempDir(), "graph")
	if err := os.WriteFile(graph, []byte("weights"), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := Write(dir, Contents{Heads: model(), Evaluation: []byte("{}"), Report: []byte("<html>"), Files: map[string]string{EncoderFile: graph, TokenizerFile: graph}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWriteThenLoad(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	dir := filepath.Join(parent, "current")
	a := write(t, dir)
	b, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if a.ID() != b.ID() || len(b.ID()) != 16 {
		t.Errorf("ids %q and %q", a.ID(), b.ID())
	}
	if again := write(t, dir); again.ID() != a.ID() {
		t.Errorf("the same contents have the ids %q and %q", a.ID(), again.ID())
	}
	cost := Contents{Heads: model(), Evaluation: []byte("{}"), Report: []byte("<html>"), Cost: []byte(`{"seconds":3}`),
		Files: map[string]string{EncoderFile: a.Path(EncoderFile), TokenizerFile: a.Path(TokenizerFile)}}
	if timed, err := Write(filepath.Join(t.TempDir(), "b"), cost); err != nil || timed.ID() != a.ID() {
		t.Errorf("with its cost beside it the id is %q, %v", timed.ID(), err)
	} else if raw, err := os.ReadFile(timed.Path(CostFile)); err != nil || !bytes.Equal(raw, cost.Cost) {
		t.Errorf("the cost is %q, %v", raw, err)
	}
	cost.Cost = []byte("3 s")
	if _, err := Write(filepath.Join(t.TempDir(), "b"), cost); err == nil {
		t.Error("a cost that is not JSON was written")
	}
	left, err := os.ReadDir(parent)
	if err != nil || len(left) != 1 {
		t.Errorf("%d entries beside the bundle, %v", len(left)-1, err)
	}
	if v := b.Version("enc/bf16"); v != b.ID()+"/enc/bf16" {
		t.Errorf("version %q", v)
	}
}

// TestTamperedFileIsRefused changes, cuts and removes one file at a time; the
// error names it.
func TestTamperedFileIsRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{EncoderFile, TokenizerFile, HeadsFile, EvaluationFile, ManifestFile} {
		for kind, change := range map[string]func(b []byte) []byte{
			"flipped": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
			"cut":     func(b []byte) []byte { return b[:len(b)-1-len(b)/3] },
			"longer":  func(b []byte) []byte { return append(b, "{}"...) },
			"gone":    nil,
		} {
			t.Run(name+" "+kind, func(t *testing.T) {
				t.Parallel()
				b := write(t, filepath.Join(t.TempDir(), "b"))
				path := b.Path(name)
				raw, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.Remove(path); err != nil { // never write through a link
					t.Fatal(err)
				}
				if change != nil {
					if err := os.WriteFile(path, change(raw), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := Load(b.Dir); err == nil || !strings.Contains(err.Error(), name) {
					t.Errorf("got %v, want an error that names %s", err, name)
				}
			})
		}
	}
}

// TestMisfitIsRefused writes bundles whose hashes are right and whose content is
// not.
func TestMisfitIsRefused(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(m *heads.Model){
		"another format":   func(m *heads.Model) { m.Format = heads.FormatVersion + 1 },
		"other features":   func(m *heads.Model) { m.FeatureHash = "x" },
		"too few weights":  func(m *heads.Model) { m.Full.Churn.Ensemble.Linear.Weights = nil },
		"falling bands":    func(m *heads.Model) { m.Bands.ChurnMedium = 2 },
		"no projection":    func(m *heads.Model) { m.Text = nil },
		"bad tree":         func(m *heads.Model) { m.Numeric.Churn.Ensemble.Forest.Trees = []heads.Tree{{}} },
		"falling curve":    func(m *heads.Model) { m.Full.Churn.Calibration.A = -1 },
		"another length":   func(m *heads.Model) { m.Dim = 5 },
		"other rendering":  func(m *heads.Model) { m.Rendering = "text/0" },
		"unlisted hidden":  func(m *heads.Model) { m.Full.Churn.Ensemble.Mix[heads.PartMLP] = 1 },
		"short categories": func(m *heads.Model) { m.Interests.Categories = []string{"a"} },
	} {
		m := model()
		spoil(m)
		dir := filepath.Join(t.TempDir(), "b")
		graph := filepath.Join(t.TempDir(), "g")
		if err := os.WriteFile(graph, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Write(dir, Contents{Heads: m, Evaluation: []byte("{}"), Files: map[string]string{EncoderFile: graph, TokenizerFile: graph}}); err == nil {
			t.Errorf("%s: was written", name)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s: left a folder", name)
		}
	}
}

func TestFailedWriteKeepsTheOld(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "b")
	old := write(t, dir)
	if _, err := Write(dir, Contents{Heads: model(), Evaluation: []byte("{}"), Files: map[string]string{EncoderFile: filepath.Join(dir, "absent")}}); err == nil {
		t.Fatal("a bundle without its encoder was written")
	}
	b, err := Load(dir)
	if err != nil || b.ID() != old.ID() {
		t.Fatalf("the old bundle: %v", err)
	}
}

func FuzzManifest(f *testing.F) {
	m := &Manifest{Format: 1, FeatureHash: "f", Dim: 4, Files: map[string]File{}}
	for _, n := range required {
		m.Files[n] = File{SHA256: strings.Repeat("ab", 32), Bytes: 3}
	}
	m.ID = m.identity()
	good, err := json.Marshal(m)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(bytes.Replace(good, []byte("heads.json"), []byte("../heads.j"), 1))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseManifest(b)
		if err != nil {
			return
		}
		if m.ID != m.identity() || m.Format != FormatVersion {
			t.Fatalf("accepted %+v", m)
		}
		for n := range m.Files {
			if strings.ContainsAny(n, "/") || n == ".." {
				t.Fatalf("accepted the name %q", n)
			}
		}
	})
}
