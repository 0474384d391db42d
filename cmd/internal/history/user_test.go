package history

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/simulate"
	"profilestream/inference/explain"
	"profilestream/profile"
	"profilestream/schemas"
)

// shop is a small simulated history, with duplicates and disorder.
func shop(t *testing.T) *History {
	t.Helper()
	o := simulate.DefaultOptions()
	o.Seed, o.Users, o.Days, o.Events, o.Poison = 4, 25, 40, 2500, 0
	dir := t.TempDir()
	if _, err := simulate.WriteDir(context.Background(), o, dir, func(int64, int64) {}); err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	h, err := New(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Load(context.Background(), dir); err != nil {
		t.Fatal(err)
	}
	return h
}

// content is what a row says but for its user: features, lists and feedback.
func content(rec arrow.Record, i int) []string {
	var out []string
	for c := schemas.ColFlags; c < int(rec.NumCols()); c++ {
		out = append(out, rec.Column(c).ValueStr(i))
	}
	return append(out, rec.Column(schemas.ColAsOf).ValueStr(i))
}

func equal(t *testing.T, what string, got arrow.Record, i int, want arrow.Record, k int) {
	t.Helper()
	a, b := content(got, i), content(want, k)
	for c := range b {
		if a[c] != b[c] {
			t.Fatalf("%s: column %d is %s, want %s", what, schemas.ColFlags+c, a[c], b[c])
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestUserIsARowOfTheHistory: one customer's replay gives the row that the
// replay of all customers has, now and after days of silence.
func TestUserIsARowOfTheHistory(t *testing.T) {
	h, ctx := shop(t), context.Background()
	_, last := h.Span()
	mid := last.Truncate(24*time.Hour).AddDate(0, 0, -15)
	rows := must(h.RowsAsOf([]time.Time{mid, last.Truncate(24*time.Hour).AddDate(0, 0, 1), last.Truncate(24*time.Hour).AddDate(0, 0, 8)}))
	for n, m := range []Moment{EndOfDay(mid.Add(-time.Millisecond)), EndOfDay(last)} {
		ids := rows[n].Column(schemas.ColUserID).(*array.String)
		for i := range int(rows[n].NumRows()) {
			u := must(h.User(ids.Value(i), m))
			row := must(u.Row(ctx))
			if got, want := row.Column(schemas.ColDigest).ValueStr(0), rows[n].Column(schemas.ColDigest).ValueStr(i); got != want {
				t.Fatalf("moment %d user %d: digest %s, want %s", n, i, got, want)
			}
			if n == 1 {
				silent := must(u.Silent(ctx, 7))
				equal(t, "silence", silent, 6, rows[2], i)
			}
		}
	}
	if _, err := h.User("nobody", EndOfDay(last)); !errors.Is(err, ErrNoUser) {
		t.Errorf("an unknown customer: %v", err)
	}
}

// without is the history less one event of a user, and its duplicates.
func (h *History) without(user string, gone explain.Event) *History {
	cfg := config.Default()
	out := must(New(&cfg))
	for t := range h.offsets {
		out.offsets[t] = 0
	}
	out.text = h.text
	dropped := false
	for _, e := range h.events {
		if e.user == user && e.millis == gone.At.UnixMilli() && e.kind.String() == gone.Type && (!dropped || e.id != "") {
			dropped = true
			continue
		}
		out.events = append(out.events, e)
	}
	return out
}

// TestChangedIsTheChangedHistory: rows of changes equal those of histories that
// were changed in their files.
func TestChangedIsTheChangedHistory(t *testing.T) {
	h, ctx := shop(t), context.Background()
	_, last := h.Span()
	cut := last.Truncate(24*time.Hour).AddDate(0, 0, 1)
	m := EndOfDay(last)
	tried := 0
	for _, id := range []string{h.events[0].user, h.events[100].user, h.events[700].user} {
		u := must(h.User(id, m))
		events := u.Events()
		var changes []explain.Change
		for i := range events {
			changes = append(changes, explain.Change{Without: []int{i}})
		}
		rec, at, err := u.Changed(ctx, changes)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(events); i += 1 + len(events)/6 {
			other := must(h.without(id, events[i]).RowsAsOf([]time.Time{cut}))[0]
			ids := other.Column(schemas.ColUserID).(*array.String)
			for k := range int(other.NumRows()) {
				if ids.Value(k) == id {
					equal(t, "without", rec, at[i], other, k)
					tried++
				}
			}
		}
	}
	if tried < 8 {
		t.Fatalf("only %d changes were compared", tried)
	}
}

// TestAdditions: a purchase more counts once more, a moved one at its new time,
// and a history without its only event is none.
func TestAdditions(t *testing.T) {
	ctx := context.Background()
	h := build(t, purchase("1", "ann", day0, 10), purchase("2", "ann", day0.AddDate(0, 0, 2), 30), purchase("3", "bob", day0, 5))
	m := EndOfDay(day0.AddDate(0, 0, 9))
	u := must(h.User("ann", m))
	end := time.UnixMilli(m.Until).UTC()
	rec, at, err := u.Changed(ctx, []explain.Change{
		{Add: []explain.Addition{{Like: 1, Type: "purchase", At: end, Amount: 12.5}}},
		{Without: []int{1}, Add: []explain.Addition{{Like: 1, Type: "purchase", At: day0.AddDate(0, 0, 8)}}},
		{Add: []explain.Addition{{Like: explain.NoEvent, Type: "page_view", At: end}}},
		{Add: []explain.Addition{{Like: explain.NoEvent, Type: "purchase", At: end, Amount: 7}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	feature := func(i, f int) int64 { return rec.Column(schemas.ColFeatures + f).(*array.Int64).Value(at[i]) }
	for i, want := range [][4]int64{{3, 52_500_000, 0, 0}, {2, 40_000_000, 1, 0}, {2, 40_000_000, 7, 1}, {3, 47_000_000, 0, 0}} {
		got := [4]int64{feature(i, schemas.Life(schemas.OrdersTotal)), feature(i, schemas.Life(schemas.RevenueTotal)),
			feature(i, schemas.Life(schemas.DaysSinceLastOrder)), feature(i, schemas.At(schemas.Window7d, schemas.PageViews))}
		if got != want {
			t.Errorf("change %d: %v, want %v", i, got, want)
		}
	}
	bob := must(h.User("bob", m))
	if _, at, err := bob.Changed(ctx, []explain.Change{{Without: []int{0}}}); err != nil || at[0] != -1 {
		t.Errorf("a history of no event: row %v, %v", at, err)
	}
	if what := u.Events()[1].What; what != "GBP 30.00: p" {
		t.Errorf("the purchase is described as %q", what)
	}
}

func TestDescribeKeepsTheTerminalClean(t *testing.T) {
	e := &profile.Event{Type: profile.TypeFeedback, Text: []byte("a\x1b[31mred\x07 \u009b2J text that goes on and on for much longer than anybody wants to read")}
	got := describe(e, "GBP")
	for _, r := range got {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			t.Errorf("%q holds a control character", got)
		}
	}
	if n := len([]rune(got)); n != shownRunes {
		t.Errorf("%d characters", n)
	}
}
