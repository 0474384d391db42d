package ctl

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"profilestream/cmd/internal/process"
)

func TestWrongArgumentsAreErrorsOfUsage(t *testing.T) {
	out := filepath.Join(t.TempDir(), "scores.csv")
	for _, c := range []struct{ args, said string }{
		{"nonsense", `unknown command "nonsense"`},
		{"model nonsense", `unknown command "nonsense" for "profilectl model"`},
		{"score", "accepts 1 arg"},
		{"score a b", "accepts 1 arg"},
		{"model show", "accepts 1 arg"},
		{"train", "one HISTORY is needed"},
		{"train a --nonsense", "unknown flag"},
		{"train a --cutoffs 2011-03-01,2011-03-01", "--cutoffs: "},
		{"train a --cutoffs 2011-04-01,2011-03-01", "--cutoffs: "},
		{"train a --cutoffs soon", "--cutoffs: "},
		{"train a --folds 1", "--folds: "},
		{"train a --finetune-windows --finetune-share 3", "--finetune-share: "},
		{"score a --out " + out, "--as-of"},
		{"score a --as-of 2011-09-01,2011-10-01 --out " + out, "--as-of: "},
	} {
		var stdout, stderr bytes.Buffer
		if code := Main(strings.Fields(c.args), &stdout, &stderr); code != process.ExitConfig || !strings.Contains(stderr.String(), c.said) {
			t.Errorf("profilectl %s: exit code %d, want %d and %q: %s", c.args, code, process.ExitConfig, c.said, &stderr)
		}
	}
	for _, args := range []string{"", "model", "model --help"} {
		var stdout, stderr bytes.Buffer
		if code := Main(strings.Fields(args), &stdout, &stderr); code != process.ExitOK || !strings.Contains(stdout.String(), "Available Commands") {
			t.Errorf("profilectl %s: exit code %d, no help: %s%s", args, code, &stdout, &stderr)
		}
	}
}
