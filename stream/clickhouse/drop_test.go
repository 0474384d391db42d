package clickhouse

import (
	"fmt"
	"testing"
)

// TestDropLeavesNoRow: of the base database every table is emptied, whichever
// migration made it, but for what the serving views need; a run's own is gone.
func TestDropLeavesNoRow(t *testing.T) {
	cfg := testConfig(t, "dropped")
	c := testClient(t, cfg)
	cfg.Run = "june"
	june := testClient(t, cfg)
	if err := Serve(t.Context(), c, "june"); err != nil {
		t.Fatal(err)
	}
	tables := scalar[[]string](t, c, "SELECT groupArray(name) FROM system.tables WHERE database = 'dropped' AND engine LIKE '%MergeTree' AND NOT startsWith(name, '.') AND name NOT IN ('serving', 'goose_db_version')")
	if len(tables) < 8 {
		t.Fatalf("the base has only the tables %v", tables)
	}
	for _, name := range tables {
		column := scalar[string](t, c, fmt.Sprintf("SELECT name FROM system.columns WHERE database = 'dropped' AND table = '%s' ORDER BY position LIMIT 1", name))
		exec(t, c, fmt.Sprintf("INSERT INTO dropped.%s (%s) SELECT defaultValueOfTypeName(toTypeName(%[2]s)) FROM (SELECT any(%[2]s) AS %[2]s FROM dropped.%[1]s)", name, column))
	}
	exec(t, c, "INSERT INTO dropped.profile_history (user_id, as_of, row_version, churn_band) VALUES ('a', '2026-02-01 23:59:59', 1, 'low')")
	if err := RefreshSummaries(t.Context(), c, "dropped"); err != nil {
		t.Fatal(err)
	}
	rows := func(name string) uint64 { return scalar[uint64](t, c, "SELECT count() FROM dropped."+name) }
	tables = append(tables, "band_days")
	for _, name := range tables {
		if rows(name) == 0 {
			t.Fatalf("table %s was not filled", name)
		}
	}
	for _, x := range []*Client{c, june} {
		if err := Drop(t.Context(), x); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range tables {
		if n := rows(name); n != 0 {
			t.Errorf("table %s still has %d rows", name, n)
		}
	}
	if n := rows("serving"); n != 1 {
		t.Errorf("%d promotions are written down, want 1", n)
	}
	if n := scalar[uint64](t, c, "SELECT count() FROM system.databases WHERE name = 'dropped_june'"); n != 0 {
		t.Error("the run's database is there")
	}
}
