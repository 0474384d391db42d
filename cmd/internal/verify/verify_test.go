package verify

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"profilestream/stream/clickhouse"
	"profilestream/stream/clickhouse/clickhousetest"
)

var engine *clickhousetest.Engine

func TestMain(m *testing.M) {
	os.Exit(clickhousetest.Main(m, func(e *clickhousetest.Engine) error { engine = e; return nil }))
}

func client(t *testing.T, run string) *clickhouse.Client {
	t.Helper()
	c, err := clickhouse.Open(clickhouse.Config{Addr: []string{engine.Addr}, Database: "base", Run: run, BatchRows: 1, BatchInterval: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// database is a client on a fresh, migrated database of a run.
func database(t *testing.T, run string) *clickhouse.Client {
	t.Helper()
	c := client(t, run)
	exec(t, c, "DROP DATABASE IF EXISTS "+c.Database())
	if _, err := clickhouse.Migrate(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	return c
}

func exec(t *testing.T, c *clickhouse.Client, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if err := c.Conn().Exec(context.Background(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

const (
	users = 50
	days  = 70 // from 2026-01-01: three months
)

// filled makes run a: a row a user and day, in two versions of which the newer
// counts, and a latest row a user. Every second user has an order.
func filled(t *testing.T) *clickhouse.Client {
	t.Helper()
	c := database(t, "a")
	const columns = `(user_id, as_of, row_version, trigger, digest, page_views_30d, revenue_30d, last_order_at, churn_probability, churn_band, value_expected, value_band, interests, reasons, model_version, config_version, log_offset)`
	content := `'day', cityHash64(number), %s, toDecimal64(modulo(number, 97), 6) + 0.5, if(modulo(number, 2), toDateTime64('2025-12-01 00:00:00', 3, 'UTC'), NULL), modulo(number, 100) / 100, 'low', modulo(number, 300),
		'mid', map('toys', 0.75, 'garden', 0.25), [('orders_total', 0.5)], 'm1/words', 'c1', number`
	fill := func(table, views, version, as string, rows int) {
		exec(t, c, fmt.Sprintf("INSERT INTO base_a.%s %s SELECT concat('u', leftPad(toString(number %% %d), 4, '0')), %s, %s, %s FROM numbers(%d)",
			table, columns, users, as, version, fmt.Sprintf(content, views), rows))
	}
	day := fmt.Sprintf("toDateTime64('2026-01-01 23:59:59.999', 3, 'UTC') + toIntervalDay(intDiv(number, %d))", users)
	fill("profile_history", "number + 9", "1", day, users*days)
	fill("profile_history", "number", "2", day, users*days)
	fill("profiles", "number", "2", "toDateTime64('2026-03-11 23:59:59.999', 3, 'UTC')", users)
	if err := clickhouse.WriteConfiguration(context.Background(), c, "c1", [][2]string{{"profile.lateness", "168h0m0s"}, {"feature list", "f1"}}); err != nil {
		t.Fatal(err)
	}
	return c
}

// copied makes run b, which has its tables: what a reader sees of a, with other
// versions and places.
func copied(t *testing.T) *clickhouse.Client {
	t.Helper()
	c := client(t, "b")
	for _, table := range []string{"profile_history", "profiles"} {
		exec(t, c, "TRUNCATE TABLE base_b."+table, fmt.Sprintf("INSERT INTO base_b.%[1]s SELECT * REPLACE (row_version + 100 AS row_version, log_offset + 7 AS log_offset, 'correction' AS trigger) FROM base_a.%[1]s FINAL", table))
	}
	exec(t, c, "TRUNCATE TABLE base_b.configurations", "INSERT INTO base_b.configurations SELECT * FROM base_a.configurations")
	return c
}

// altered replaces rows of b by newer versions with some columns changed.
func altered(t *testing.T, c *clickhouse.Client, table, change, where string) {
	t.Helper()
	exec(t, c, fmt.Sprintf("INSERT INTO base_b.%[1]s SELECT * REPLACE (row_version + 1 AS row_version, %[2]s) FROM base_b.%[1]s FINAL WHERE %[3]s", table, change, where))
}

func compare(t *testing.T, c *clickhouse.Client, o Options) *Report {
	t.Helper()
	o.A, o.B = Run{"a", "base_a"}, Run{"b", "base_b"}
	r, err := Compare(context.Background(), c.Conn(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const (
	oneRow = "user_id = 'u0007' AND toDate(as_of) = '2026-02-03'"
	late   = `INSERT INTO base_a.late_event_rows (source_topic, source_partition, source_offset, value) VALUES ('clickstream', 3, 41, '{"user_id":"u0007","type":"search","ts":"2026-02-02T10:00:00+01:00","query":"x"}')`
)

// TestDifferencesAreFoundAndNamed plants one difference at a time in a faithful
// copy of a run.
func TestDifferencesAreFoundAndNamed(t *testing.T) {
	filled(t)
	database(t, "b")
	for _, c := range []struct {
		name        string
		plant       func(t *testing.T, c *clickhouse.Client)
		cause       Cause // "": equal
		rows        uint64
		first, says string // of the first difference: user and day, detail
		table       string // profile_history if empty
		otherModel  uint64
	}{
		{name: "nothing", plant: func(*testing.T, *clickhouse.Client) {}},
		{name: "a count", plant: func(t *testing.T, c *clickhouse.Client) {
			altered(t, c, history, "page_views_30d + 1 AS page_views_30d", oneRow)
		}, cause: Content, rows: 1, first: "u0007 2026-02-03", says: "page_views_30d 1657 -> 1658"},
		{name: "a NULL", plant: func(t *testing.T, c *clickhouse.Client) {
			altered(t, c, history, "NULL AS last_order_at", oneRow)
		}, cause: Content, rows: 1, first: "u0007 2026-02-03", says: "last_order_at 2025-12-01 00:00:00.000 -> NULL"},
		{name: "a digest alone", plant: func(t *testing.T, c *clickhouse.Client) {
			altered(t, c, history, "digest + 1 AS digest", oneRow)
		}, cause: Content, rows: 1, first: "u0007 2026-02-03", says: "all features equal"},
		{name: "a count of a latest row", plant: func(t *testing.T, c *clickhouse.Client) {
			altered(t, c, profiles, "revenue_30d + 0.000001 AS revenue_30d", "user_id = 'u0012'")
		}, cause: Content, rows: 1, first: "u0012 2026-03-11", says: "revenue_30d 12.5 -> 12.500001", table: profiles},
		{name: "a late event", plant: func(t *testing.T, c *clickhouse.Client) {
			exec(t, c, late)
			altered(t, c, history, "digest + 1 AS digest, page_views_30d + 1 AS page_views_30d", "user_id = 'u0007' AND toDate(as_of) >= '2026-02-02'")
		}, cause: Late, rows: 38, first: "u0007 2026-02-02", says: "the event of 2026-02-02T09:00:00Z at clickstream[3]@41 is late in run a, not in run b; page_views_30d"},
		{name: "a late event of a later day", plant: func(t *testing.T, c *clickhouse.Client) {
			exec(t, c, late)
			altered(t, c, history, "digest + 1 AS digest", "user_id = 'u0007' AND toDate(as_of) = '2026-02-01'")
		}, cause: Content, rows: 1, first: "u0007 2026-02-01", says: "digest"},
		{name: "a configuration", plant: func(t *testing.T, c *clickhouse.Client) {
			exec(t, c, "TRUNCATE TABLE base_b.configurations", "INSERT INTO base_b.configurations VALUES ('c2', 'profile.lateness', '720h0m0s'), ('c2', 'feature list', 'f1')")
			altered(t, c, history, "digest + 1 AS digest, 'c2' AS config_version", "user_id < 'u0010'")
		}, cause: Configuration, rows: 10 * days, first: "u0000 2026-01-01", says: "profile.lateness 168h0m0s -> 720h0m0s"},
		{name: "the code", plant: func(t *testing.T, c *clickhouse.Client) {
			exec(t, c, "TRUNCATE TABLE base_b.configurations", "INSERT INTO base_b.configurations VALUES ('c3', 'profile.lateness', '168h0m0s'), ('c3', 'feature list', 'f2')")
			altered(t, c, history, "digest + 1 AS digest, 'c3' AS config_version", "user_id < 'u0010'")
		}, cause: Code, rows: 10 * days, first: "u0000 2026-01-01", says: "feature list f1 -> f2"},
		{name: "a model", plant: func(t *testing.T, c *clickhouse.Client) {
			altered(t, c, history, "churn_probability + 0.01 AS churn_probability, 'm2/words' AS model_version", "toDate(as_of) >= '2026-03-01'")
		}, cause: Model, rows: 11 * users, first: "u0000 2026-03-01", says: "model_version m1/words -> m2/words: churn"},
		{name: "a model with the same scores", plant: func(t *testing.T, c *clickhouse.Client) {
			altered(t, c, history, "'m2/words' AS model_version", oneRow)
		}, otherModel: 1},
		{name: "scores within the tolerance", plant: func(t *testing.T, c *clickhouse.Client) {
			altered(t, c, history, "churn_probability + 0.00005 AS churn_probability, value_expected * 1.00005 AS value_expected, map('toys', 0.75002, 'garden', 0.24998) AS interests", "1")
		}},
		{name: "a score", plant: func(t *testing.T, c *clickhouse.Client) {
			altered(t, c, history, "churn_probability + 0.0003 AS churn_probability", oneRow)
		}, cause: Score, rows: 1, first: "u0007 2026-02-03", says: "at an equal model_version"},
		{name: "a band", plant: func(t *testing.T, c *clickhouse.Client) {
			altered(t, c, history, "'high' AS churn_band", oneRow)
		}, cause: Score, rows: 1, first: "u0007 2026-02-03", says: "bands"},
		{name: "a weight", plant: func(t *testing.T, c *clickhouse.Client) {
			altered(t, c, history, "map('toys', 0.7, 'garden', 0.3) AS interests", oneRow)
		}, cause: Score, rows: 1, first: "u0007 2026-02-03", says: "interests"},
		{name: "a degraded row", plant: func(t *testing.T, c *clickhouse.Client) {
			altered(t, c, history, "true AS degraded, 'm1/numeric' AS model_version", oneRow)
		}, cause: Degraded, rows: 1, first: "u0007 2026-02-03", says: "numbers alone in run b"},
		{name: "a missing row", plant: func(t *testing.T, c *clickhouse.Client) {
			exec(t, c, "DELETE FROM base_b.profile_history WHERE "+oneRow)
		}, cause: Missing, rows: 1, first: "u0007 2026-02-03", says: "not in run b"},
		{name: "the last days", plant: func(t *testing.T, c *clickhouse.Client) {
			exec(t, c, "DELETE FROM base_b.profile_history WHERE toDate(as_of) >= '2026-03-10'")
		}, cause: Lagging, rows: 2 * users, first: "u0000 2026-03-10", says: "run b has day rows up to 2026-03-09T23:59:59.999Z"},
		{name: "an older latest row", plant: func(t *testing.T, c *clickhouse.Client) {
			altered(t, c, profiles, "as_of - toIntervalDay(1) AS as_of", "user_id = 'u0012'")
		}, cause: Lagging, rows: 1, first: "u0012 2026-03-11", says: "of 2026-03-10T23:59:59.999Z in run b", table: profiles},
		{name: "a column", plant: func(t *testing.T, c *clickhouse.Client) {
			exec(t, c, "ALTER TABLE base_b.profile_history DROP COLUMN sessions_7d", "ALTER TABLE base_b.profiles DROP COLUMN sessions_7d")
			altered(t, c, history, "digest + 1 AS digest", oneRow)
		}, cause: Code, rows: 1, first: "u0007 2026-02-03", says: "sessions_7d is in run a only"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := copied(t)
			exec(t, b, "TRUNCATE TABLE base_a.late_event_rows")
			c.plant(t, b)
			r := compare(t, b, Options{Shown: 3})
			if c.cause == "" {
				if !r.Equal() || r.OtherModel != c.otherModel {
					t.Fatalf("not equal: %+v", r)
				}
				checkParts(t, r)
				return
			}
			if len(r.Rows) != 1 || r.Rows[c.cause] != c.rows {
				t.Fatalf("differing rows %v, want %s %d: %+v", r.Rows, c.cause, c.rows, r.First)
			}
			d := r.First[0]
			if got := d.User + " " + d.AsOf.Format(time.DateOnly); got != c.first || d.Cause != c.cause || !strings.Contains(d.Detail, c.says) {
				t.Errorf("the first difference is %s: %s: %s; want %s: %s: ...%s...", got, d.Cause, d.Detail, c.first, c.cause, c.says)
			}
			if want := cmp.Or(c.table, history); d.Table != want {
				t.Errorf("found in %s, want %s", d.Table, want)
			}
			if len(r.First) > 3 {
				t.Errorf("%d differences are shown, want at most 3", len(r.First))
			}
		})
	}
}

func checkParts(t *testing.T, r *Report) {
	t.Helper()
	want := []Part{{history, users * days, users * days, users, users, days, days}, {profiles, users, users, users, users, 1, 1}}
	if fmt.Sprint(r.Parts) != fmt.Sprint(want) || r.Features != 87 {
		t.Errorf("compared %+v of %d features, want %+v", r.Parts, r.Features, want)
	}
}

// TestPeriodBoundsWhatIsCompared: a difference outside of it is not seen.
func TestPeriodBoundsWhatIsCompared(t *testing.T) {
	filled(t)
	database(t, "b")
	b := copied(t)
	altered(t, b, history, "digest + 1 AS digest", oneRow)
	altered(t, b, profiles, "digest + 1 AS digest", "user_id = 'u0001'")
	at := func(s string) time.Time {
		d, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	r := compare(t, b, Options{From: at("2026-02-03T23:59:59.999Z"), To: at("2026-02-03T23:59:59.999Z")})
	if len(r.Parts) != 1 || r.Parts[0].RowsA != users || r.Rows[Content] != 1 {
		t.Errorf("one day: %+v", r)
	}
	r = compare(t, b, Options{To: at("2026-02-03T12:00:00Z")})
	if !r.Equal() || r.Parts[0].DaysB != 33 {
		t.Errorf("the days before: %+v", r)
	}
	if r = compare(t, b, Options{From: at("2026-02-04T00:00:00Z")}); r.Rows[Content] != 1 || r.First[0].Table != profiles {
		t.Errorf("the days after, and the latest rows: %+v", r)
	}
}

// TestOneOfEachCauseIsShown: many differences of one cause do not hide another.
func TestOneOfEachCauseIsShown(t *testing.T) {
	filled(t)
	database(t, "b")
	b := copied(t)
	altered(t, b, history, "churn_probability + 0.01 AS churn_probability, 'm2/words' AS model_version", "1")
	altered(t, b, history, "digest + 1 AS digest", "user_id = 'u0049' AND toDate(as_of) = '2026-03-11'")
	r := compare(t, b, Options{Shown: 4})
	if len(r.First) != 4 || r.First[3].Cause != Content || r.First[2].User != "u0002" || r.Rows[Model] != users*days-1 {
		t.Errorf("%d rows by model, shown: %+v", r.Rows[Model], r.First)
	}
}

func TestNoTablesIsAnError(t *testing.T) {
	c := database(t, "a")
	_, err := Compare(context.Background(), c.Conn(), Options{A: Run{"a", "base_a"}, B: Run{"nobody", "base_nobody"}})
	if err == nil || !strings.Contains(err.Error(), "run nobody: database base_nobody has no tables") {
		t.Errorf("comparing with no run: %v", err)
	}
}
