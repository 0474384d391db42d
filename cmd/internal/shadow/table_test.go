package shadow

import (
	"testing"
	"time"

	"profilestream/stream/clickhouse"
	"profilestream/stream/clickhouse/clickhousetest"
)

// TestKeep writes a run's moves twice: the view shows each once, the newest.
func TestKeep(t *testing.T) {
	t.Parallel()
	engine, err := clickhousetest.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := engine.Stop(); err != nil {
			t.Error(err)
		}
	}()
	c, err := clickhouse.Open(clickhouse.Config{Addr: []string{engine.Addr}, Database: "shadows", Run: "live", BatchRows: 1000, BatchInterval: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := clickhouse.Migrate(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	r := &Report{Candidate: "b", Current: "a", Moves: []Move{
		{Day: "2026-03-01", Kind: KindChurn, From: "low", To: "high", Users: 1, ChurnCurrent: .1},
		{Day: "2026-03-01", Kind: KindChurn, From: "low", To: "low", Users: 5},
	}}
	for n := range uint64(2) {
		r.Moves[0].Users = 2 + n
		if err := Keep(t.Context(), c, r); err != nil {
			t.Fatal(err)
		}
	}
	var rows, moved uint64
	if err := c.Conn().QueryRow(t.Context(), "SELECT count(), sumIf(users, from_band != to_band) FROM shadows.shadow_moves WHERE candidate = 'b' AND current = 'a' AND day = '2026-03-01'").Scan(&rows, &moved); err != nil {
		t.Fatal(err)
	}
	if rows != 2 || moved != 3 {
		t.Errorf("%d rows, %d customers moved", rows, moved)
	}
}
