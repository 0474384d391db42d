package ctl

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParsePairs(t *testing.T) {
	t.Parallel()
	got, err := parsePairs("--positive", "domain=banking,intent=order,domain=credit_cards")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string][]string{"domain": {"banking", "credit_cards"}, "intent": {"order"}}, got); d != "" {
		t.Error(d)
	}
	if _, err := parsePairs("--positive", "banking"); !errors.Is(err, errUsage) || !strings.Contains(err.Error(), "--positive") {
		t.Errorf("a value without a column: %v", err)
	}
}

// TestFinetuneNamesWhatIsWrong runs the command up to its mistakes.
func TestFinetuneNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	labels := filepath.Join(dir, "labels.csv")
	if err := os.WriteFile(labels, []byte("text,label\nred scarf,yes\nblue coat,no\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no history", nil, 2, "HISTORY"},
		{"both sources", []string{"--finetune", labels, "--finetune-windows"}, 2, "exclude"},
		{"a history beside the file", []string{"shop", "--finetune", labels}, 2, "HISTORY"},
		{"no such column", []string{"--finetune", labels, "--text-column", "body"}, 1, `no column "body"`},
		{"a rate out of range", []string{"--finetune", labels, "--lr", "7", "--out", filepath.Join(dir, "out")}, 1, "learning rate: 7"},
		{"unknown kernels", []string{"--finetune", labels, "--kernels", "mmx", "--out", filepath.Join(dir, "out")}, 1, "mmx"},
		{"a folder of other files", []string{"--finetune", labels, "--out", dir}, 1, dir},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var out, errs bytes.Buffer
			if code := Main(append([]string{"train"}, c.args...), &out, &errs); code != c.code || !strings.Contains(errs.String(), c.want) {
				t.Errorf("exit %d, want %d; %q, want %q", code, c.code, errs.String(), c.want)
			}
		})
	}
}
