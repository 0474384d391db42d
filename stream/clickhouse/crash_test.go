package clickhouse

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
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
		refused, back := make(chan error, 1000), make(chan error, 1)
		go func() { back <- c.Wait(t.Context(), func(err error) { refused <- err }) }()
		<-refused
		if err := own.Restart(); err != nil {
			t.Fatal(err)
		}
		if err := <-back; err != nil {
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

// TestAnswerLostAfterTheServerStored cuts the connection after ClickHouse has
// stored a block, before its answer is through: the block is sent again and
// stored twice, and no view may count it twice.
func TestAnswerLostAfterTheServerStored(t *testing.T) {
	direct := testClient(t, testConfig(t, "lost"))
	for _, table := range []string{TableProfiles, TableHistory, TableAccounting} {
		exec(t, direct, "SYSTEM STOP MERGES lost."+table)
	}
	target, err := url.Parse("http://" + engine.Addr)
	if err != nil {
		t.Fatal(err)
	}
	var cut atomic.Int64
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = func(r *http.Response) error {
		if strings.HasPrefix(r.Request.URL.Query().Get("query"), "INSERT") && cut.Add(1) <= 3 {
			return errors.New("cut")
		}
		return nil
	}
	proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	server := httptest.NewServer(proxy)
	defer server.Close()
	cfg := testConfig(t, "lost")
	cfg.Addr = []string{strings.TrimPrefix(server.URL, "http://")}
	c, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	w := startWriter(t, c, Deps{})
	rec := scoredRows(rowSpec{users: 100, version: 5, asOf: noon, trigger: schemas.TriggerLive})
	defer rec.Release()
	books := accountingRows(accountingRow{topic: "clickstream", version: 5, records: 10, applied: 10})
	defer books.Release()
	if _, err := w.AddScored(t.Context(), rec, Meta{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.AddScored(t.Context(), rec, Meta{History: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.AddAccounting(t.Context(), books); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := cut.Load(); n < 6 {
		t.Fatalf("%d inserts seen, want three answers lost and three through", n)
	}
	stored := scalar[uint64](t, direct, "SELECT (SELECT count() FROM lost.profiles) + (SELECT count() FROM lost.profile_history) + (SELECT count() FROM lost.accounting_rows)")
	if stored <= 201 {
		t.Fatalf("the tables hold %d rows: no block was stored twice, so the test shows nothing", stored)
	}
	for query, want := range map[string]uint64{
		"SELECT count() FROM lost.profiles_latest":                       100,
		"SELECT count() FROM lost.profile_days":                          100,
		"SELECT toUInt64(sum(applied)) FROM lost.accounting":             10,
		"SELECT toUInt64(sum(orders_30d > 0)) FROM lost.profiles_latest": 100,
	} {
		if got := scalar[uint64](t, direct, query); got != want {
			t.Errorf("%s is %d, want %d", query, got, want)
		}
	}
}
