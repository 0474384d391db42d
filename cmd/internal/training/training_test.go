package training

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"profilestream/cmd/internal/config"
)

func TestCutoffsThatTheHistoryCannotLabelAreRefused(t *testing.T) {
	t.Parallel()
	h, rows := shoppers(t) // the last event is on day 45
	for _, r := range rows {
		defer r.Release()
	}
	for _, c := range []struct {
		cutoffs []int // days
		horizon int
		fits    bool
	}{
		{[]int{10, 26}, 20, true},
		{[]int{10, 28}, 20, true}, // two days of twenty are missing
		{[]int{10, 29}, 20, false},
		{[]int{46}, 20, false},
		{[]int{90}, 20, false},
	} {
		o := Options{Horizon: time.Duration(c.horizon) * day}
		for _, n := range c.cutoffs {
			o.Cutoffs = append(o.Cutoffs, start.AddDate(0, 0, n))
		}
		err := o.plan(h)
		if (err == nil) != c.fits || err != nil && flagOf(err) != "--cutoffs" {
			t.Errorf("cut-offs %v, horizon %d days: %v", c.cutoffs, c.horizon, err)
		}
	}
	o := Options{Horizon: 20 * day}
	if err := o.plan(h); err != nil || o.reach(start.AddDate(0, 0, 45)) != nil {
		t.Errorf("the cut-offs chosen without any given do not fit: %v, %v", o.Cutoffs, err)
	}
}

// flagOf is the flag that an error blames.
func flagOf(err error) string {
	if wrong := new(OptionError); errors.As(err, &wrong) {
		return wrong.Flag
	}
	return ""
}

func TestWrongOptionsAreToldBeforeTheHistoryIsRead(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	for flag, o := range map[string]Options{
		"--folds":          {Folds: 1},
		"--rounds":         {Rounds: -1},
		"--finetune-share": {Windows: &Windows{Share: 1}},
	} {
		o.History, o.Progress = "no such file", func(string, int, int) {}
		if _, err := Train(context.Background(), &cfg, o); flagOf(err) != flag {
			t.Errorf("%s: %v", flag, err)
		}
	}
}

func TestRecordsThatAreNoEventsAreTold(t *testing.T) {
	t.Parallel()
	const good = `{"kafka_ts":1767225600000,"value":"{\"user_id\":\"u\",\"type\":\"purchase\",\"ts\":1767225600000,\"total\":5}"}` + "\n"
	const bad = `{"kafka_ts":1767225600000,"value":"nonsense"}` + "\n"
	path := filepath.Join(t.TempDir(), "purchases.jsonl")
	cfg := config.Default()
	for _, c := range []struct{ file, words string }{
		{good, ""},
		{bad + good + bad, "2 records are no events: "},
	} {
		if err := os.WriteFile(path, []byte(c.file), 0o600); err != nil {
			t.Fatal(err)
		}
		h, err := Load(context.Background(), &cfg, path, func(string, int, int) {})
		if err != nil {
			t.Fatal(err)
		}
		if got := h.RejectedWords(); !strings.HasPrefix(got, c.words) || c.words == "" && got != "" {
			t.Errorf("of a file of %d bytes is said %q", len(c.file), got)
		}
	}
	if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(context.Background(), &cfg, path, func(string, int, int) {}); err == nil || !strings.Contains(err.Error(), "1 records are no events") {
		t.Errorf("no event at all: %v", err)
	}
}
