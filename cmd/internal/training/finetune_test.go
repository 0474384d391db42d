package training

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/google/go-cmp/cmp"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/history"
	"profilestream/inference/finetune"
	"profilestream/inference/onnx"
	"profilestream/inference/text"
	"profilestream/schemas"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// shoppers is a history of 60 users, of whom every other one comes back, cut twice.
func shoppers(t *testing.T) (*history.History, []arrow.Record) {
	t.Helper()
	cfg := config.Default()
	h, err := history.New(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	buy := func(user, day int) {
		at := start.AddDate(0, 0, day)
		e := fmt.Sprintf(`{"event_id":"%d-%d","user_id":"u%02d","type":"purchase","ts":%q,"items":[{"product_id":"p%d","name":"Kettle","category":"kitchen","price":%d}]}`,
			user, day, user, at.Format(time.RFC3339), user%7, 5+user)
		if err := h.Add("purchases", at.UnixMilli(), []byte(e)); err != nil {
			t.Fatal(err)
		}
	}
	for u := range 60 {
		buy(u, 2+u%5)
		if u%2 == 0 {
			buy(u, 25)
			buy(u, 45)
		}
	}
	rows, err := h.RowsAsOf([]time.Time{start.AddDate(0, 0, 20), start.AddDate(0, 0, 40)})
	if err != nil {
		t.Fatal(err)
	}
	return h, rows
}

// lines shows rows by user and text.
func lines(t *testing.T, rows []arrow.Record) (out []string) {
	t.Helper()
	r := text.NewRows()
	for _, rec := range rows {
		if err := r.Bind(rec); err != nil {
			t.Fatal(err)
		}
		users := rec.Column(schemas.ColUserID).(*array.String)
		for i := range int(rec.NumRows()) {
			out = append(out, users.Value(i)+": "+r.User(i))
		}
	}
	return out
}

// TestTunedEncoderAndHeadsShareNoCustomer runs the tuning on the real weights for an
// epoch: teachers are gone from the rows of the heads, and nobody else is.
func TestTunedEncoderAndHeadsShareNoCustomer(t *testing.T) {
	h, rows := shoppers(t)
	before := lines(t, rows)
	var last string
	o := &Options{Out: filepath.Join(t.TempDir(), "bundle"), Horizon: 10 * day, Seed: 1,
		Windows:  &Windows{Share: .3, Tune: finetune.Options{Epochs: 1, Seed: 1}},
		Progress: func(stage string, _, _ int) { last = stage }}
	rows, note, err := o.tuneOnWindows(context.Background(), h, rows)
	defer func() {
		for _, r := range rows {
			r.Release()
		}
	}()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := onnx.ReadFacts(o.Encoder); err != nil || last == "" {
		t.Errorf("encoder %s: %v; last stage %q", o.Encoder, err, last)
	}
	after, kept := lines(t, rows), map[string]bool{}
	for _, l := range after {
		kept[l[:3]] = true
	}
	var want []string
	for _, l := range before {
		if kept[l[:3]] {
			want = append(want, l)
		}
	}
	if d := cmp.Diff(want, after); d != "" {
		t.Error(d)
	}
	if n := 60 - len(kept); n < 8 || n > 30 || !strings.Contains(note, fmt.Sprintf("%d texts", 2*n)) {
		t.Errorf("%d customers taught the encoder: %s", n, note)
	}
}

func TestWindowExamplesCarryTheirLabels(t *testing.T) {
	h, rows := shoppers(t)
	defer func() {
		for _, r := range rows {
			r.Release()
		}
	}()
	got, err := windowExamples(rows, h.Labels(rows, 10*day).Churn, func(string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 120 {
		t.Fatalf("%d examples, want 120", len(got))
	}
	for _, e := range got {
		var u int
		if _, err := fmt.Sscanf(e.Group, "u%d", &u); err != nil {
			t.Fatal(err)
		}
		want := labelChurned
		if u%2 == 0 { // bought on day 25 and on day 45
			want = labelStayed
		}
		if e.Label != want || e.Text == "" {
			t.Errorf("%s: label %s, want %s; text %q", e.Group, e.Label, want, e.Text)
		}
	}
}

func TestTuningNeedsAShare(t *testing.T) {
	for _, share := range []float64{0, 1, -1} {
		o := &Options{Windows: &Windows{Share: share}}
		if err := o.check(); flagOf(err) != "--finetune-share" {
			t.Errorf("a share of %v was taken", share)
		}
	}
}
