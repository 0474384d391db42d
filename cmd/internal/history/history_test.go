package history

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/google/go-cmp/cmp"

	"profilestream/cmd/internal/config"
	"profilestream/inference/train"
	"profilestream/schemas"
)

var day0 = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func purchase(id, user string, at time.Time, total float64) string {
	return fmt.Sprintf(`{"event_id":%q,"user_id":%q,"type":"purchase","ts":%q,"total":%g,"items":[{"product_id":"p","category":"garden","price":%g}]}`,
		id, user, at.Format(time.RFC3339), total, total)
}

func build(t *testing.T, values ...string) *History {
	t.Helper()
	cfg := config.Default()
	h, err := New(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range values {
		if err := h.Add("purchases", day0.AddDate(1, 0, 0).UnixMilli(), []byte(v)); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// table shows what the tests look at: user, orders_365d, revenue_365d.
func table(recs []arrow.Record) (out [][]string) {
	for _, rec := range recs {
		var rows []string
		ids := rec.Column(schemas.ColUserID).(*array.String)
		orders := rec.Column(schemas.ColFeatures + schemas.At(schemas.Window365d, schemas.Orders)).(*array.Int64)
		revenue := rec.Column(schemas.ColFeatures + schemas.At(schemas.Window365d, schemas.Revenue)).(*array.Int64)
		for i := range int(rec.NumRows()) {
			rows = append(rows, fmt.Sprintf("%s %d %d", ids.Value(i), orders.Value(i), revenue.Value(i)))
		}
		out = append(out, rows)
	}
	return out
}

func TestRowsAndLabelsAroundACutoff(t *testing.T) {
	events := []string{ // out of order, with a duplicate
		purchase("4", "ann", day0.AddDate(0, 0, 20), 5),
		purchase("1", "ann", day0.Add(time.Hour), 10),
		purchase("1", "ann", day0.Add(time.Hour), 10),
		purchase("2", "bob", day0.AddDate(0, 0, 9).Add(23*time.Hour), 7),
		purchase("3", "eve", day0.AddDate(0, 0, 10), 9), // at the cut-off itself: not before it
		purchase("5", "ann", day0.AddDate(0, 0, 41), 99),
	}
	h := build(t, events...)
	cut := []time.Time{day0.AddDate(0, 0, 10), day0.AddDate(0, 0, 30)}
	rows, err := h.RowsAsOf(cut)
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{{"ann 1 10000000", "bob 1 7000000"}, {"ann 2 15000000", "bob 1 7000000", "eve 1 9000000"}}
	if d := cmp.Diff(want, table(rows)); d != "" {
		t.Fatal(d)
	}
	got := h.Labels(rows, 30*24*time.Hour)
	once := []train.Count{{Category: "garden", N: 1}}
	if d := cmp.Diff(Labels{
		Churn: []bool{false, true, false, true, true}, Spend: []float64{5, 0, 99, 0, 0}, Category: []string{"garden", "", "garden", "", ""},
		Returns: []train.Return{
			{Days: 7, Came: []bool{false, false, false, false, false}},
			{Days: 30, Came: []bool{true, false, true, false, false}},
		},
		Bought: [][]train.Count{once, once, {{Category: "garden", N: 2}}, once, once},
	}, got); d != "" {
		t.Fatal(d)
	}
	if short := h.Labels(rows, 11*24*time.Hour); len(short.Returns) != 1 || !cmp.Equal(short.Returns[0].Came, got.Returns[0].Came) {
		t.Errorf("a horizon of 11 days labels %v", short.Returns)
	}
	// Law L4: another future changes labels, and no row.
	changed := build(t, append(events[:5:5], purchase("5", "bob", day0.AddDate(0, 0, 35), 1))...)
	again, err := changed.RowsAsOf(cut)
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		if !array.RecordEqual(rows[i], again[i]) {
			t.Fatalf("rows of cut-off %d depend on the future", i)
		}
	}
	if cmp.Equal(got, changed.Labels(again, 30*24*time.Hour)) {
		t.Fatal("labels do not depend on the future")
	}
}

func TestCutoffsAreMidnightsThatRise(t *testing.T) {
	h := build(t)
	for _, cut := range [][]time.Time{nil, {day0.Add(time.Hour)}, {day0, day0}} {
		if _, err := h.RowsAsOf(cut); err == nil {
			t.Errorf("cut-offs %v are taken", cut)
		}
	}
}

func TestLatentIsAsOfTheRow(t *testing.T) {
	h := build(t, purchase("1", "ann", day0.Add(time.Hour), 10), purchase("2", "bob", day0, 7), purchase("3", "eve", day0, 7), purchase("4", "rob", day0, 7))
	rows, err := h.RowsAsOf([]time.Time{day0.AddDate(0, 0, 5), day0.AddDate(0, 0, 9)})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "truth.jsonl")
	if got, err := Latent(path, rows); got != nil || err != nil {
		t.Fatalf("without a file: %v, %v", got, err)
	}
	truth := `{"user_id":"ann","bot":false,"dropped_out_at":"2026-03-07T00:00:00.000Z","expected_spend_90d":50.5}
{"user_id":"bob","bot":false,"dropped_out_at":null,"expected_spend_90d":8}
{"user_id":"rob","bot":true,"dropped_out_at":null,"expected_spend_90d":0}
`
	if err := os.WriteFile(path, []byte(truth), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Latent(path, rows)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(&train.Latent{
		Known: []bool{true, true, false, false, true, true, false, false},
		Gone:  []bool{false, false, false, false, true, false, false, false},
		Spend: []float64{50.5, 8, 0, 0, 0, 8, 0, 0},
	}, got); d != "" {
		t.Error(d)
	}
	if err := os.WriteFile(path, []byte("{\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Latent(path, rows); err == nil {
		t.Error("a broken file is taken")
	}
}
