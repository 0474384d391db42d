package watch

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"profilestream/cmd/internal/config"
	"profilestream/inference/eval"
	"profilestream/inference/stability"
	"profilestream/schemas"
	"profilestream/stream/clickhouse"
	"profilestream/stream/clickhouse/clickhousetest"
)

var engine *clickhousetest.Engine

func TestMain(m *testing.M) {
	os.Exit(clickhousetest.Main(m, func(e *clickhousetest.Engine) error { engine = e; return nil }))
}

// newWatcher is one over a fresh database.
func newWatcher(t *testing.T, database string) *Watcher {
	t.Helper()
	cfg := config.Default()
	cfg.ClickHouse.Addr, cfg.ClickHouse.Database = []string{engine.Addr}, database
	cfg.Model.Dir = t.TempDir()
	c, err := clickhouse.Open(clickhouse.Config{Addr: cfg.ClickHouse.Addr, Database: database, Run: "day", BatchRows: 1000, BatchInterval: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := clickhouse.Migrate(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return New(&cfg, c, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
}

func (w *Watcher) insert(t *testing.T, table, columns string, rows [][]any) {
	t.Helper()
	batch, err := w.conn.PrepareBatch(context.Background(), "INSERT INTO "+w.table(table)+" ("+columns+")")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if err := batch.Append(r...); err != nil {
			t.Fatal(err)
		}
	}
	if err := batch.Send(); err != nil {
		t.Fatal(err)
	}
}

// customer has a history of purchases and refunds, in days since start, and what
// was said of it each day.
type customer struct {
	buys, refunds map[int]int64 // amount by day
}

var start = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC) // a Monday

func dayEnd(d int) time.Time { return start.AddDate(0, 0, d+1).Add(-time.Millisecond) }

func draw(rng *rand.Rand, days int) customer {
	c := customer{map[int]int64{}, map[int]int64{}}
	rate := rng.Float64() * .08
	for d := range days {
		if rng.Float64() < rate {
			c.buys[d] = 5 + rng.Int64N(100)
			if back := d + 1 + rng.IntN(20); rng.Float64() < .3 && back < days {
				c.refunds[back] = c.buys[d]
			}
		}
	}
	return c
}

// due are the days on which the pipeline sends the customer's day row: those with
// an event, the 15 after it, and each seventh after it.
func (c *customer) due(days int) (out []int) {
	last := -1
	for d := range days {
		if c.buys[d] > 0 || c.refunds[d] > 0 {
			last = d
		}
		if k := d - last; last >= 0 && (k <= 15 || k%7 == 0) {
			out = append(out, d)
		}
	}
	return out
}

func (c *customer) totals(d int) (orders, revenue int64) {
	for day, v := range c.buys {
		if day <= d {
			orders, revenue = orders+1, revenue+v
		}
	}
	for day, v := range c.refunds {
		if day <= d {
			revenue -= v
		}
	}
	return orders, revenue
}

// TestQualityIsThatOfTheEvents: over simulated customers with refunds and silence,
// the judged weeks, labels and figures are those found by brute force in the events,
// and no week is judged whose horizon or lateness has not passed.
func TestQualityIsThatOfTheEvents(t *testing.T) {
	t.Parallel()
	w := newWatcher(t, "quality")
	const days, horizon = 150, 90
	rng := rand.New(rand.NewPCG(7, 7))
	type key struct {
		week    int
		version string
	}
	said := map[key]map[int][3]float64{} // customer to day, probability, value
	var customers []customer
	var rows [][]any
	for u := range 300 {
		c := draw(rng, days)
		customers = append(customers, c)
		for _, d := range c.due(days) {
			orders, revenue := c.totals(d)
			p := float32(math.Round(rng.Float64()*50) / 50) // ties
			if rng.IntN(3) > 0 && orders > 3 {
				p /= 4
			}
			version := "a/f32"
			if d >= 17 { // changed in the middle of a week
				version = "b/f32"
			}
			v := float32(rng.Float64() * 100)
			k := key{d / 7, version}
			if said[k] == nil {
				said[k] = map[int][3]float64{}
			}
			said[k][u] = [3]float64{float64(d), float64(p), float64(v)}
			rows = append(rows, []any{fmt.Sprint("u", u), dayEnd(d), uint64(1), "day", uint64(orders), fmt.Sprint(revenue), p, v, version, int32(u % 4)})
		}
	}
	w.insert(t, "profile_history", "user_id, as_of, row_version, trigger, orders_total, revenue_total, churn_probability, value_expected, model_version, log_partition", typed(rows))
	for range 2 { // the second time there is nothing left to judge
		if err := w.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	got := w.qualities(t)
	want := 0
	for _, k := range slices.SortedFunc(maps.Keys(said), func(a, b key) int { return a.week - b.week }) {
		if (k.week+1)*7+horizon+7 > days {
			continue
		}
		want++
		q, ok := got[fmt.Sprint(start.AddDate(0, 0, 7*k.week).Format(time.DateOnly), " ", k.version)]
		if !ok {
			t.Fatalf("week %d of %s is not judged; judged are %v", k.week, k.version, slices.Collect(maps.Keys(got)))
		}
		var p, churned, value, spent []float64
		for u, s := range said[k] {
			d := int(s[0])
			o1, r1 := customers[u].totals(d)
			o2, r2 := customers[u].totals(d + horizon)
			label := 0.
			if o1 == o2 {
				label = 1
			}
			p, churned, value, spent = append(p, s[1]), append(churned, label), append(value, s[2]), append(spent, float64(max(0, r2-r1)))
		}
		for name, c := range map[string][2]float64{
			"rows": {float64(q.Rows), float64(len(p))}, "churned": {float64(q.Churned), sum(churned)}, "AUC": {q.AUC, eval.AUC(p, churned)},
			"Brier": {q.Brier, eval.Brier(p, churned)}, "ECE": {q.ECE, eval.ECE(p, churned)}, "mean probability": {q.MeanProbability, sum(p) / float64(len(p))},
			"mean value": {q.MeanValue, sum(value) / float64(len(p))}, "mean spent": {q.MeanSpent, sum(spent) / float64(len(p))},
		} {
			if math.Abs(c[0]-c[1]) > 1e-9*math.Max(1, math.Abs(c[1])) {
				t.Errorf("week %d of %s: %s is %v, in the events %v", k.week, k.version, name, c[0], c[1])
			}
		}
	}
	if want < 6 || len(got) != want {
		t.Errorf("%d weeks are judged, want %d", len(got), want)
	}
	if n := collected(w.metrics.auc); n != 0 {
		t.Errorf("%d metrics before they are exported", n)
	}
	w.Try(t.Context(), true)
	if n := collected(w.metrics.auc); n != 2 {
		t.Errorf("%d metrics of AUC, want 2", n)
	}
}

func typed(rows [][]any) [][]any {
	for _, r := range rows {
		r[4] = int64(r[4].(uint64))
	}
	return rows
}

// collected is how many metrics a collector gives.
func collected(c prometheus.Collector) (n int) {
	ch := make(chan prometheus.Metric, 1000)
	c.Collect(ch)
	return len(ch)
}

func sum(x []float64) (s float64) {
	for _, v := range x {
		s += v
	}
	return s
}

func (w *Watcher) qualities(t *testing.T) map[string]Quality {
	t.Helper()
	rows, err := w.conn.Query(t.Context(), "SELECT week, model_version, rows, churned, mean_probability, roc_auc, brier, ece, mean_value, mean_spent FROM "+w.table("model_quality"))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	out := map[string]Quality{}
	for rows.Next() {
		var q Quality
		var auc *float64
		if err := rows.Scan(&q.Week, &q.Version, &q.Rows, &q.Churned, &q.MeanProbability, &auc, &q.Brier, &q.ECE, &q.MeanValue, &q.MeanSpent); err != nil {
			t.Fatal(err)
		}
		if q.AUC = math.NaN(); auc != nil {
			q.AUC = *auc
		}
		out[q.Week.Format(time.DateOnly)+" "+q.Version] = q
	}
	return out
}

// TestDrift plants a drift in three columns of some kinds: they alone are found, with
// the index that Go computes from the same values.
func TestDrift(t *testing.T) {
	t.Parallel()
	w := newWatcher(t, "drifting")
	rng := rand.New(rand.NewPCG(5, 5))
	const n = 3000
	planted := map[string]bool{"page_views_7d": true, "revenue_90d": true, "last_order_at": true, stability.Churn: true}
	asOf := dayEnd(100)
	values := func(name string, moved bool) []float64 {
		out := make([]float64, n)
		for i := range out {
			x := math.Floor(math.Exp(1 + rng.NormFloat64()))
			if moved && planted[name] {
				x = 3*x + 2
			}
			switch name {
			case "revenue_90d":
				x += math.Floor(100*rng.Float64()) / 100
			case stability.Churn:
				x = float64(float32(1 - 1/(1+x)))
			case "last_order_at":
				if rng.IntN(5) == 0 {
					x = math.NaN()
				}
			}
			out[i] = x
		}
		return out
	}
	tried := []string{"page_views_7d", "orders_30d", "revenue_90d", "last_order_at", "mean_order_gap_days", stability.Churn}
	ref, now := &stability.Reference{Format: stability.FormatVersion, Rows: n, HorizonDays: 90}, map[string][]float64{}
	for _, name := range stability.Names() {
		h := stability.Fit(name, make([]float64, n))
		if slices.Contains(tried, name) {
			h, now[name] = stability.Fit(name, values(name, false)), values(name, true)
		}
		ref.Columns = append(ref.Columns, h)
	}
	w.refs["a"] = ref
	rows := make([][]any, 0, n+1)
	for i := range n {
		at := asOf.AddDate(0, 0, -(i % 7)) // silent ones have a row now and then
		var last *time.Time
		if x := now["last_order_at"][i]; !math.IsNaN(x) {
			when := at.Add(-time.Duration(x * 24 * float64(time.Hour)))
			last = &when
		}
		gap := now["mean_order_gap_days"][i]
		rows = append(rows, []any{fmt.Sprint("u", i), at, uint64(1), "day", int64(now["page_views_7d"][i]), int64(now["orders_30d"][i]),
			fmt.Sprintf("%.2f", now["revenue_90d"][i]), last, &gap, float32(now[stability.Churn][i]), "a/f32"})
	}
	for i := range n { // older rows, which are not looked at
		rows = append(rows, []any{fmt.Sprint("u", i), asOf.AddDate(0, 0, -(i%7)-1-i%9), uint64(1), "day", int64(1e6), int64(1e6), "1", (*time.Time)(nil), (*float64)(nil), float32(.1), "a/f32"})
	}
	rows = append(rows, []any{"other", asOf, uint64(1), "day", int64(1), int64(1), "1", (*time.Time)(nil), (*float64)(nil), float32(.5), "old/f32"})
	w.insert(t, "profile_history", "user_id, as_of, row_version, trigger, page_views_7d, orders_30d, revenue_90d, last_order_at, mean_order_gap_days, churn_probability, model_version", rows)
	ds, err := w.drifts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(ds) != 2 || ds[0].Version != "a/f32" || ds[0].Rows != n || ds[1].Version != "old/f32" || !ds[0].Day.Equal(asOf.Truncate(24*time.Hour)) {
		t.Fatalf("drifts of %d versions, the first %s of %d rows on %s", len(ds), ds[0].Version, ds[0].Rows, ds[0].Day)
	}
	for i, c := range ds[0].Columns {
		h := &ref.Columns[i]
		if now[h.Name] == nil {
			continue
		}
		want := h.PSI(h.Count(now[h.Name]))
		if math.Abs(c.PSI-want) > 1e-12 {
			t.Errorf("%s: PSI %v in SQL, %v in Go", h.Name, c.PSI, want)
		}
		if planted[h.Name] != (c.PSI > stability.Shifted) || !planted[h.Name] && c.PSI >= stability.Moved {
			t.Errorf("%s: PSI %.3f, planted %v", h.Name, c.PSI, planted[h.Name])
		}
	}
	for _, c := range ds[1].Columns {
		if !math.IsNaN(c.PSI) {
			t.Errorf("a model without a reference has a PSI %v of %s", c.PSI, c.Name)
		}
	}
	w.kept(t, len(planted))
}

// kept writes drift twice, as two processes would, and looks at table and metrics.
func (w *Watcher) kept(t *testing.T, shifted int) {
	t.Helper()
	for range 2 {
		if err := w.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var all, unknown, moved uint64
	err := w.conn.QueryRow(t.Context(), "SELECT count(), countIf(state = 'unknown'), countIf(state = 'shifted' AND name IN ('page_views_7d', 'revenue_90d', 'last_order_at', 'churn_probability')) FROM "+w.table("drift")).Scan(&all, &unknown, &moved)
	if err != nil || int(all) != 2*(schemas.NumFeatures+2) || int(unknown) != schemas.NumFeatures+2 || int(moved) != shifted {
		t.Errorf("drift has %d rows, %d unknown, %d shifted; %v", all, unknown, moved, err)
	}
	w.Try(t.Context(), true)
	if n := collected(w.metrics.features); n != schemas.NumFeatures {
		t.Errorf("%d metrics of features, want %d", n, schemas.NumFeatures)
	}
	if n := collected(w.metrics.scores); n != 2 {
		t.Errorf("%d metrics of scores, want 2", n)
	}
}
