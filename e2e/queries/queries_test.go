package queries

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"profilestream/schemas"
	"profilestream/stream/clickhouse"
	"profilestream/stream/clickhouse/clickhousetest"
)

const profiles = 2000

// shop starts an engine with a small shop and its summaries.
func shop(t *testing.T) (DB, *clickhouse.Client) {
	t.Helper()
	e, err := clickhousetest.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Kill() })
	db := DB{Addr: e.Addr, Name: "shop"}
	c, err := clickhouse.Open(clickhouse.Config{Addr: []string{e.Addr}, Database: db.Name, Run: "live", BatchRows: 1, BatchInterval: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := clickhouse.Migrate(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := Fill(t.Context(), db, profiles, func(float64) {}); err != nil {
		t.Fatal(err)
	}
	if err := clickhouse.RefreshSummaries(t.Context(), c, db.Name); err != nil {
		t.Fatal(err)
	}
	return db, c
}

// ask returns the one row of a statement as text.
func ask(t *testing.T, db DB, sql string) string {
	t.Helper()
	a, err := db.Ask(t.Context(), schemas.Query{Name: "check", SQL: sql}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(a.Rows)
}

// TestQueriesAndSummaries asks every named query, and compares the summaries
// with plain statements over the history.
func TestQueriesAndSummaries(t *testing.T) {
	db, c := shop(t)
	queries, err := schemas.Queries()
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range queries {
		a, err := db.Ask(t.Context(), q, map[string]string{"user": "customer-0000007"})
		if err != nil {
			t.Error(err)
		}
		if len(a.Rows) == 0 && !strings.Contains(q.SQL, "notEmpty(embedding)") { // the shop has no embeddings
			t.Errorf("%s has no answer over a shop with data", q.Name)
		}
	}
	const newest = "(SELECT user_id, argMax(tuple(churn_band, value_band, value_expected, churn_probability), as_of) AS s FROM profile_days WHERE toDate(as_of) <= "
	for _, c := range []struct{ name, got, want string }{
		{"the newest row of each profile counts, once", "SELECT count(), uniqExact(user_id) FROM profiles_latest", fmt.Sprintf("SELECT %d, %d", profiles, profiles)},
		{"a day in the middle, by band",
			"SELECT churn_band, value_band, customers, round(at_risk, 1) FROM revenue_at_risk WHERE day = '2025-08-20' ORDER BY ALL",
			"SELECT s.1 AS c, s.2 AS v, count(), round(sum(toFloat64(s.3) * s.4), 1) FROM " + newest + "'2025-08-20' GROUP BY user_id) GROUP BY c, v ORDER BY ALL"},
		{"the last day, all customers", "SELECT sum(customers) FROM revenue_at_risk WHERE day = (SELECT max(day) FROM revenue_at_risk)", "SELECT uniqExact(user_id) FROM profile_days"},
		{"movements of a week",
			"SELECT was_churn, churn_band, sum(customers) FROM band_movements WHERE week = '2026-01-12' GROUP BY ALL ORDER BY ALL",
			"SELECT a.s.1 AS was, b.s.1 AS became, count() FROM " + newest + "'2026-01-18' GROUP BY user_id) AS b INNER JOIN " + newest + "'2026-01-11' GROUP BY user_id) AS a ON a.user_id = b.user_id GROUP BY was, became ORDER BY ALL"},
		{"cohorts",
			"SELECT cohort, months_after, active, toFloat64(revenue) FROM cohort_retention WHERE active > 0 ORDER BY ALL",
			"SELECT toStartOfMonth(first_seen) AS cohort, dateDiff('month', cohort, toStartOfMonth(as_of)) AS after, uniqExact(user_id), toFloat64(sum(revenue_24h)) FROM profile_days WHERE toStartOfMonth(last_seen) = toStartOfMonth(as_of) GROUP BY ALL ORDER BY ALL"},
		{"funnel of a day",
			"SELECT viewers, carters, buyers, orders FROM funnel_days WHERE day = '2025-12-03'",
			"SELECT countIf(product_views_24h > 0), countIf(product_views_24h * cart_adds_24h > 0), countIf(product_views_24h * cart_adds_24h * orders_24h > 0), sum(orders_24h) FROM profile_days WHERE toDate(as_of) = '2025-12-03'"},
		{"scores of a week",
			"SELECT model_version, rows, mean_churn FROM model_quality_weeks WHERE week = '2026-02-02' ORDER BY ALL",
			"SELECT model_version, count(), round(avg(toFloat64(churn_probability)), 4) FROM profile_days WHERE toMonday(as_of) = '2026-02-02' GROUP BY ALL ORDER BY ALL"},
	} {
		got, want := ask(t, db, c.got), ask(t, db, c.want)
		if got != want || strings.TrimSpace(got) == "[]" {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, want)
		}
	}
	refreshWhileReading(t, db, c)
}

// refreshWhileReading looks at a summary while it is filled anew from more rows:
// each answer is the one before or the one after.
func refreshWhileReading(t *testing.T, db DB, c *clickhouse.Client) {
	if err := db.Do(t.Context(), "INSERT INTO profile_history (user_id, as_of, row_version, churn_band) SELECT 'late-' || toString(number), '2025-06-30 23:59:59.999', 1, 'low' FROM numbers(50)"); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		var err error
		for range 5 {
			if err == nil {
				err = clickhouse.RefreshSummaries(t.Context(), c, db.Name)
			}
		}
		done <- err
	}()
	sum := "SELECT sum(customers) FROM revenue_at_risk WHERE day = (SELECT max(day) FROM revenue_at_risk)"
	before, after := fmt.Sprintf("[[%d]]", profiles), fmt.Sprintf("[[%d]]", profiles+50)
	for reads := 0; ; reads++ {
		got := ask(t, db, sum)
		if got != before && got != after {
			t.Fatalf("after %d reads the summary shows %s, want %s or %s", reads, got, before, after)
		}
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			if got := ask(t, db, sum); got != after || reads < 5 {
				t.Errorf("after %d reads and the last refresh: %s, want %s", reads, got, after)
			}
			return
		default:
		}
	}
}
