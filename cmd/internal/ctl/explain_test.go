package ctl

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"profilestream/cmd/internal/history"
	"profilestream/inference/explain"
	"profilestream/inference/heads"
	"profilestream/inference/score"
)

func TestExplainTurnsDownWhatItCannotDo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "purchases.jsonl")
	value := `{"kafka_ts":1772323200000,"value":"{\"user_id\":\"ann\",\"type\":\"purchase\",\"ts\":1772323200000,\"total\":3}"}` + "\n"
	if err := os.WriteFile(file, []byte(value), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"as of no date":     {[]string{"ann", "--history", file, "--as-of", "yesterday"}, 2, "--as-of"},
		"known at no place": {[]string{"ann", "--as-known-at", "-1"}, 2, "--as-known-at"},
		"no log order":      {[]string{"ann", "--history", file, "--as-known-at", "3"}, 2, "--as-known-at"},
		"not stored":        {[]string{"ann", "--history", file, "--stored"}, 2, "--stored"},
		"no day":            {[]string{"ann", "--as-of", "2026-03-01T12:00:00Z", "--stored"}, 2, "--stored"},
		"no events":         {[]string{"ann", "--history", file, "--events", "0"}, 2, "--events"},
		"nobody":            {[]string{"bob", "--history", file}, 1, "no such customer"},
		"not yet":           {[]string{"ann", "--history", file, "--as-of", "2026-03-01"}, 1, "no such customer"},
		"no bundle":         {[]string{"ann", "--history", file, "--model", t.TempDir()}, 2, "model.dir"},
		"no user":           {nil, 2, "accepts 1 arg"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs bytes.Buffer
			code := Main(append([]string{"explain"}, c.args...), &out, &errs)
			if code != c.code || !strings.Contains(errs.String(), c.says) || out.Len() > 0 {
				t.Errorf("code %d, want %d; %s%s", code, c.code, errs.String(), out.String())
			}
			if c.code == 1 && len(c.args) > 0 && strings.Contains(errs.String(), "customer "+c.args[0]) {
				t.Errorf("the error names the customer: %s", errs.String())
			}
		})
	}
}

func TestExplainMoments(t *testing.T) {
	end := time.Date(2026, 2, 28, 23, 59, 59, 999e6, time.UTC).UnixMilli()
	noon := time.Date(2026, 2, 28, 12, 0, 0, 0, time.UTC).UnixMilli()
	for asOf, want := range map[string]history.Moment{
		"2026-03-01":               {Until: end},
		"2026-02-28T23:59:59.999Z": {Until: end},
		"2026-02-28T12:00:00Z":     {Until: noon, Live: true, Watermark: noon},
	} {
		m, err := (&explainFlags{asOf: asOf, events: 1}).moment()
		if err != nil || *m != want {
			t.Errorf("%s: %+v, %v; want %+v", asOf, m, err, want)
		}
	}
}

func TestExplainedIsPrinted(t *testing.T) {
	partition, offset, mood := int32(3), int64(41), .25
	x := &explained{User: "ann", LogPartition: &partition, LogOffset: &offset, KnownOffset: &offset, Currency: "GBP", Explanation: &explain.Explanation{
		Digest: "17", ModelVersion: "m/1", Churn: .25, ChurnBand: "low", Value: 12.5, ValueBand: "mid", Sentiment: &mood, Flags: []string{"hot"},
		ValueInterval: &score.Interval{Coverage: .9, Low: 1, High: 30},
		Returns:       []explain.Return{{Days: 7, Probability: .125}},
		Features:      map[string]any{"orders_30d": int64(7), "days_since_last_order": nil}, Text: "one small order",
		Base: -.5, LogOdds: -1.1, Methods: []heads.Method{{Part: "linear", Weight: 1, Method: "exact"}},
		Events: explain.Attribution{Total: 9, Tried: 9, Top: []explain.EventEffect{{Event: explain.Event{Type: "purchase", What: "GBP 3.00"}, Churn: -.2, Value: 4}}},
		Flips:  []explain.Flip{{Words: "3 more days of silence", Cost: 3, Churn: .6, Band: "high"}},
	}}
	for i := range shownReasons + 2 {
		x.Reasons = append(x.Reasons, explain.Reason{Effect: score.Effect{Feature: fmt.Sprint("f", i), Effect: -.05}, Share: .1})
	}
	var out bytes.Buffer
	if err := x.print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"ann as of", "digest 17", "known up to offset 41, row caused by offset 41", "Churn 0.250 (low)", "GBP 12.50 (mid)", "90 % between 1.00 and 30.00", "buys within 7 days 0.125", "sentiment +0.25", "flags hot",
		"one small order", "-1.10 = base -0.50", "-0.050  10 %  f0", "-0.100        2 others", "linear (weight 1.00) exact", "9 of 9 tried", "-0.200  +4.00", "out of the band low: 3 more days of silence: churn 0.600 (high)",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not printed:\n%s", want, out.String())
		}
	}
	x.Flips, x.Events.Top = nil, nil
	x.Known, x.KnownEvents = map[string]int{"search": 2, "purchase": 1}, []explain.Event{{Type: "search", What: "a lamp"}}
	x.Stored = &storedRow{LogOffset: 41, Digest: "17", ModelVersion: "m/1", Churn: .25005, Value: 12.5}
	if err := x.check(); err != nil {
		t.Errorf("the same row: %v", err)
	}
	out.Reset()
	if err := x.print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"No single event", "leads out of the band low", "3 events known: 1 purchase, 2 search", "search  a lamp", "stored row of offset 41: the same digest, the same scores within 0.0001"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not printed:\n%s", want, out.String())
		}
	}
}

func TestStoredRowsAreCompared(t *testing.T) {
	x := &explained{Explanation: &explain.Explanation{Digest: "17", ModelVersion: "m/1", Churn: .25, Value: 1000}}
	for says, row := range map[string]storedRow{
		"the same digest, the same scores within 0.0001":          {Digest: "17", ModelVersion: "m/1", Churn: .25009, Value: 1000.09},
		"another digest, 18":                                      {Digest: "18", ModelVersion: "m/1", Churn: .25, Value: 1000},
		"other scores: churn 0.25020":                             {Digest: "17", ModelVersion: "m/1", Churn: .2502, Value: 1000},
		"other scores: churn 0.25000, value 1000.20":              {Digest: "17", ModelVersion: "m/1", Churn: .25, Value: 1000.2},
		"the scores not compared: they are of m/2":                {Digest: "17", ModelVersion: "m/2", Churn: .9},
		"the scores not compared: they are of numbers alone":      {Digest: "17", ModelVersion: "m/numeric", Degraded: true},
		"another digest, 17 as of 2026-01-01T00:00:00Z, the same": {Digest: "17", ModelVersion: "m/1", Churn: .25, Value: 1000, AsOf: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		x.Stored = &row
		fails := strings.Contains(says, "another") || strings.Contains(says, "other scores")
		var out bytes.Buffer
		if err := x.check(); (err != nil) != fails {
			t.Errorf("%s: %v", says, err)
		}
		if row.print(&out); !strings.Contains(out.String(), says) {
			t.Errorf("printed %q, want %q", out.String(), says)
		}
	}
}
