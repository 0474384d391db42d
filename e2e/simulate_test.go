package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSimulateRepeats runs the simulator as a process: one seed gives the same
// bytes in every file, another seed differs in every file.
func TestSimulateRepeats(t *testing.T) {
	hashes := func(seed string) map[string]string {
		dir := filepath.Join(t.TempDir(), "shop")
		profilectl(t, "simulate", "--quiet", "--out", dir, "--seed", seed, "--users", "500", "--events", "50000", "--days", "60",
			"--foreign", "0.05", "--poison", "0.01", "--poison-huge")
		return fileHashes(t, dir)
	}
	first, again, other := hashes("7"), hashes("7"), hashes("8")
	if d := cmp.Diff(first, again); d != "" {
		t.Fatalf("the same seed gives other bytes (-first +again):\n%s", d)
	}
	for _, name := range []string{"clickstream.jsonl", "purchases.jsonl", "truth.jsonl", "feedback_truth.jsonl", "summary.json"} {
		if first[name] == "" || first[name] == other[name] {
			t.Errorf("%s: %q with one seed, %q with another", name, first[name], other[name])
		}
	}
	if len(first) != 5 {
		t.Errorf("the simulator wrote other files than expected: %v", first)
	}
}

func fileHashes(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if len(b) == 0 {
			t.Errorf("%s is empty", e.Name())
		}
		sum := sha256.Sum256(b)
		out[e.Name()] = hex.EncodeToString(sum[:])
	}
	return out
}
