package bundle

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"profilestream/inference/eval"
)

// judged writes a bundle with the given gate.
func judged(t *testing.T, g *eval.Gate) *Bundle {
	t.Helper()
	graph := filepath.Join(t.TempDir(), "graph")
	if err := os.WriteFile(graph, []byte("weights"), 0o600); err != nil {
		t.Fatal(err)
	}
	evaluation, err := (&eval.Report{Gate: g}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	b, err := Write(filepath.Join(t.TempDir(), "b"), Contents{Heads: model(), Evaluation: evaluation, Files: map[string]string{EncoderFile: graph, TokenizerFile: graph}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRefused(t *testing.T) {
	t.Parallel()
	good := eval.Check{Name: "good", Passed: true}
	bad := eval.Check{Name: "bad"}
	for name, c := range map[string]struct {
		gate *eval.Gate
		want []string // what each reason begins with
	}{
		"passed":                {&eval.Gate{Passed: true, Checks: []eval.Check{good}}, nil},
		"one check":             {&eval.Gate{Checks: []eval.Check{good, bad}}, []string{"bad"}},
		"a false word":          {&eval.Gate{Passed: true, Checks: []eval.Check{bad, good}}, []string{"bad"}},
		"no checks":             {&eval.Gate{}, []string{"its gate holds no check"}},
		"a pass without checks": {&eval.Gate{Passed: true}, []string{"its gate holds no check"}},
		"not judged":            {nil, []string{"it was not judged"}},
	} {
		got := judged(t, c.gate).Refused()
		if len(got) != len(c.want) {
			t.Errorf("%s: refused because of %q, want %q", name, got, c.want)
			continue
		}
		for i := range got {
			if !strings.HasPrefix(got[i], c.want[i]) {
				t.Errorf("%s: refused because of %q, want %q", name, got, c.want)
			}
		}
	}
}

func TestForcedShowsInTheVersion(t *testing.T) {
	t.Parallel()
	b := judged(t, nil)
	f := b.Forced()
	for _, enc := range []string{"enc/bf16", ""} {
		if got, want := f.Version(enc), b.Version(enc)+"/forced"; got != want {
			t.Errorf("version %q, want %q", got, want)
		}
	}
	if strings.Contains(b.Version(""), "forced") || f.ID() != b.ID() || len(f.Refused()) != 1 {
		t.Error("forcing changed the bundle or its verdict")
	}
}

// TestEditedVerdictIsRefused turns the verdict in evaluation.json to passed, and
// then mends the manifest's hash too: neither makes the bundle load.
func TestEditedVerdictIsRefused(t *testing.T) {
	t.Parallel()
	b := judged(t, &eval.Gate{Checks: []eval.Check{{Name: "bad"}}})
	edit(t, b.Path(EvaluationFile), func(raw []byte) []byte {
		return bytes.ReplaceAll(raw, []byte(`"passed": false`), []byte(`"passed": true`))
	})
	if _, err := Load(b.Dir); err == nil || !strings.Contains(err.Error(), EvaluationFile) {
		t.Fatalf("got %v, want an error that names %s", err, EvaluationFile)
	}
	edit(t, b.Path(ManifestFile), func(raw []byte) []byte {
		var m Manifest
		if err := json.Unmarshal(raw, &m); err != nil {
			t.Fatal(err)
		}
		var err error
		if m.Files[EvaluationFile], err = hashFile(b.Path(EvaluationFile)); err != nil {
			t.Fatal(err)
		}
		out, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return out
	})
	if _, err := Load(b.Dir); err == nil || !strings.Contains(err.Error(), "its id is") {
		t.Fatalf("got %v, want an error about the id", err)
	}
}

func edit(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := change(raw)
	if bytes.Equal(raw, changed) {
		t.Fatalf("%s was not changed", path)
	}
	if err := os.WriteFile(path, changed, 0o600); err != nil {
		t.Fatal(err)
	}
}
