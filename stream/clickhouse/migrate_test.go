package clickhouse

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"profilestream/schemas"
)

func TestManyProcessesMigrateAtOnce(t *testing.T) {
	cfg := testConfig(t, "rush")
	clean, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = clean.Close() }()
	exec(t, clean, "DROP DATABASE IF EXISTS rush")
	g, ctx := errgroup.WithContext(t.Context())
	for range 6 {
		g.Go(func() error { // a client each, as in processes of their own
			c, err := Open(cfg)
			if err != nil {
				return err
			}
			defer func() { _ = c.Close() }()
			_, err = Migrate(ctx, c)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	m, err := Migrate(t.Context(), clean)
	if err != nil {
		t.Fatal(err)
	}
	if want := newestMigration(t); m.Applied != 0 || m.Version != want || m.NewerSchema {
		t.Errorf("after six migrations at once: %+v, want version %d and nothing to do", m, want)
	}
	for _, name := range []string{"profiles_latest", "profile_days", "accounting", "bad_events", "late_events", "drift", "model_quality", "shadow_moves"} {
		if n := scalar[uint64](t, clean, "SELECT count() FROM rush."+name); n != 0 {
			t.Errorf("%s has %d rows, want 0", name, n)
		}
	}
}

// newestMigration is the number of the last migration file.
func newestMigration(t *testing.T) int64 {
	t.Helper()
	files, err := schemas.Migrations()
	if err != nil {
		t.Fatal(err)
	}
	names, err := fs.Glob(files, "*.sql")
	if err != nil || len(names) == 0 {
		t.Fatalf("%d migrations, %v", len(names), err)
	}
	var n int64
	if _, err := fmt.Sscanf(slices.Max(names), "%d_", &n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestTablesHaveTheColumnsOfTheFeatureListAndTheWriter(t *testing.T) {
	c := testClient(t, testConfig(t, "shape"))
	for _, tab := range append(newTables("shape", true), newTable("shape", TableRestatements, schemas.ScoredRows, restatementColumns(), -1)) {
		var want []string
		for _, col := range tab.columns {
			want = append(want, col.name+" "+col.typ)
		}
		got := scalar[[]string](t, c, fmt.Sprintf("SELECT groupArray(concat(name, ' ', type)) FROM (SELECT name, type FROM system.columns WHERE database = 'shape' AND table = '%s' ORDER BY position)", tab.name))
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("table %s has the columns\n%s\nthe writer sends\n%s", tab.name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	if got, want := scalar[uint64](t, c, "SELECT count() FROM system.columns WHERE database = 'shape' AND table NOT LIKE 'goose%' AND comment = '' AND table IN (SELECT name FROM system.tables WHERE database = 'shape' AND engine LIKE '%MergeTree')"), uint64(0); got != want {
		t.Errorf("%d columns of tables have no comment", got)
	}
	for _, f := range schemas.Features {
		got := scalar[string](t, c, "SELECT comment FROM system.columns WHERE database = 'shape' AND table = 'profiles' AND name = '"+f.Name+"'")
		if got != f.Doc {
			t.Errorf("comment of %s is %q, want %q", f.Name, got, f.Doc)
		}
	}
}

func TestAFeatureOfALaterVersionIsAdded(t *testing.T) {
	c := testClient(t, testConfig(t, "later"))
	last := schemas.Features[len(schemas.Features)-1].Name
	exec(t, c, "ALTER TABLE later.profiles DROP COLUMN "+last+", DROP COLUMN orders_30d")
	statement := schemas.AddFeatureColumns("later.profiles")
	exec(t, c, statement)
	exec(t, c, statement) // by a second process
	want := strings.Join(schemas.RowColumns(), ",")
	if got := strings.Join(scalar[[]string](t, c, "SELECT groupArray(name) FROM (SELECT name FROM system.columns WHERE database = 'later' AND table = 'profiles' ORDER BY position)"), ","); got != want {
		t.Errorf("columns are %s, want %s", got, want)
	}
}

func TestPromotionMovesTheViewsOfTheBase(t *testing.T) {
	cfg := testConfig(t, "base")
	c := testClient(t, cfg)
	cfg.Run = "june"
	june := testClient(t, cfg)
	exec(t, june, "INSERT INTO base_june.profiles (user_id, row_version) VALUES ('a', 1), ('a', 2), ('b', 1)")
	exec(t, june, "INSERT INTO base_june.profile_history (user_id, as_of, row_version, churn_band) VALUES ('a', '2026-02-01 23:59:59', 1, 'low')")
	summed := func() uint64 { return scalar[uint64](t, c, "SELECT count() FROM base.revenue_at_risk") }
	if n := summed(); n != 0 {
		t.Fatalf("before the promotion the base sums up %d bands, want its own 0", n)
	}
	shown := func() uint64 { return scalar[uint64](t, c, "SELECT count() FROM base.profiles_latest") }
	if n := shown(); n != 0 {
		t.Fatalf("before the promotion the base shows %d rows, want its own 0", n)
	}
	if err := Serve(t.Context(), c, "june"); err != nil {
		t.Fatal(err)
	}
	if n := shown(); n != 2 {
		t.Fatalf("after the promotion the base shows %d rows, want 2", n)
	}
	if n := summed(); n != 1 {
		t.Fatalf("after the promotion the base sums up %d bands, want the run's 1", n)
	}
	m, err := Migrate(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if m.ServingSource != "base_june" || shown() != 2 {
		t.Fatalf("a restart of the live sink has taken the promotion back: %+v", m)
	}
	if err := Serve(t.Context(), c, "live"); err != nil {
		t.Fatal(err)
	}
	if n := shown(); n != 0 {
		t.Fatalf("after going back the base shows %d rows, want 0", n)
	}
}
