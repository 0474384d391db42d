package clickhouse

import (
	"testing"

	"profilestream/schemas"
	"profilestream/stream/clickhouse/clickhousetest"
)

// TestServerKilledUnderLoad kills the engine with SIGKILL while blocks are in
// flight, three times. Every row must be there afterwards, once.
func TestServerKilledUnderLoad(t *testing.T) {
	own, err := clickhousetest.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = own.Kill() }()
	cfg := testConfig(t, "crash")
	cfg.Addr, cfg.BatchRows = []string{own.Addr}, 500
	c := testClient(t, cfg)
	w := startWriter(t, c, Deps{})
	const rounds, perRound = 3, 4000
	for round := range rounds {
		var first Ticket
		for n := 0; n < perRound; n += 250 {
			rec := scoredRows(rowSpec{users: 250, first: round*perRound + n, version: 1, asOf: noon, trigger: schemas.TriggerLive})
			ticket, err := w.AddScored(t.Context(), rec, Meta{})
			if err != nil {
				t.Fatal(err)
			}
			rec.Release()
			if n == 0 {
				first = ticket
			}
		}
		<-first.Done() // one block is stored, others are on their way
		if err := own.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := own.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := uint64(rounds * perRound)
	if got := scalar[uint64](t, c, "SELECT uniqExact(user_id) FROM crash.profiles"); got != want {
		t.Errorf("%d users stored after %d crashes, want %d", got, rounds, want)
	}
	if got := scalar[uint64](t, c, "SELECT count() FROM crash.profiles_latest"); got != want {
		t.Errorf("the view counts %d rows, want %d", got, want)
	}
}
