package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sony/gobreaker/v2"

	"profilestream/schemas"
)

// fakeSender answers as told and remembers the rows that it acknowledged.
type fakeSender struct {
	mu     sync.Mutex
	answer func(t *table, e *encoded) error // nil acknowledges
	away   bool
	pings  int
	tries  int
	blocks map[string][]int // rows of each acknowledged block, by table
}

func (f *fakeSender) ping(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pings++
	if f.away {
		return errors.New("connection refused")
	}
	return nil
}

func (f *fakeSender) exec(context.Context, string) error { return nil }

func (f *fakeSender) send(_ context.Context, t *table, e *encoded) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tries++
	if f.away {
		return errors.New("connection refused")
	}
	if f.answer != nil {
		if err := f.answer(t, e); err != nil {
			return err
		}
	}
	if f.blocks == nil {
		f.blocks = map[string][]int{}
	}
	f.blocks[t.name] = append(f.blocks[t.name], e.rows)
	return nil
}

func (f *fakeSender) setAway(away bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away = away
}

func (f *fakeSender) stored(table string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return fmt.Sprint(f.blocks[table])
}

// withFake runs body with a writer to a fake server, on a fake clock.
func withFake(t *testing.T, f *fakeSender, change func(*Config, *Deps), body func(t *testing.T, w *Writer)) {
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{Addr: []string{"fake"}, Database: "d", Run: "live", BatchRows: 100, BatchInterval: time.Second}.withDefaults()
		var deps Deps
		if change != nil {
			change(&cfg, &deps)
		}
		w := newWriter(cfg, f, deps)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.Run(ctx) }()
		body(t, w)
		cancel()
		<-ended
	})
}

func addUsers(t *testing.T, w *Writer, ctx context.Context, n int) (Ticket, error) {
	t.Helper()
	rec := scoredRows(rowSpec{users: n, version: 1, asOf: noon, trigger: schemas.TriggerLive})
	defer rec.Release()
	return w.AddScored(ctx, rec, Meta{})
}

func TestLatencyIsOfRowsThatAnEventCaused(t *testing.T) {
	reg := prometheus.NewRegistry()
	withFake(t, &fakeSender{}, func(_ *Config, d *Deps) { d.Metrics = NewMetrics(reg) }, func(t *testing.T, w *Writer) {
		for trigger := schemas.TriggerLive; trigger <= schemas.TriggerCorrection; trigger++ {
			rec := scoredRows(rowSpec{users: int(trigger), version: 1, asOf: noon, trigger: trigger, kafka: noon})
			if _, err := w.AddScored(t.Context(), rec, Meta{}); err != nil {
				t.Fatal(err)
			}
			rec.Release()
		}
		if err := w.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "profilestream_sink_event_to_row_seconds" {
			if n := f.GetMetric()[0].GetHistogram().GetSampleCount(); n != uint64(schemas.TriggerLive+schemas.TriggerCorrection) {
				t.Fatalf("%d rows are timed", n)
			}
			return
		}
	}
	t.Fatal("the metric is gone")
}

func TestABlockClosesByRowsOrByTime(t *testing.T) {
	f := &fakeSender{}
	withFake(t, f, nil, func(t *testing.T, w *Writer) {
		begin := time.Now()
		for range 3 { // 150 rows: the limit is passed by a whole record
			if _, err := addUsers(t, w, t.Context(), 50); err != nil {
				t.Fatal(err)
			}
		}
		ticket, err := addUsers(t, w, t.Context(), 10)
		if err != nil {
			t.Fatal(err)
		}
		<-ticket.Done()
		if ticket.Err() != nil {
			t.Fatal(ticket.Err())
		}
		if got := f.stored(TableProfiles); got != "[100 60]" {
			t.Errorf("blocks %s, want [100 60]", got)
		}
		if took := time.Since(begin); took != time.Second {
			t.Errorf("the second block left after %v, want the interval of 1s", took)
		}
	})
}

func TestFlushDoesNotWaitForTheInterval(t *testing.T) {
	f := &fakeSender{}
	withFake(t, f, func(c *Config, _ *Deps) { c.BatchInterval = time.Hour }, func(t *testing.T, w *Writer) {
		begin := time.Now()
		if _, err := addUsers(t, w, t.Context(), 3); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if f.stored(TableProfiles) != "[3]" || time.Since(begin) != 0 {
			t.Errorf("after a flush: blocks %s after %v, want [3] at once", f.stored(TableProfiles), time.Since(begin))
		}
	})
}

func TestAwayMeansWaitAndProbeNeverDrop(t *testing.T) {
	f := &fakeSender{away: true}
	withFake(t, f, nil, func(t *testing.T, w *Writer) {
		ticket, err := addUsers(t, w, t.Context(), 100)
		if err != nil {
			t.Fatal(err)
		}
		advance(t, time.Hour)
		if !w.BreakerOpen() && w.breaker.State() != gobreaker.StateHalfOpen {
			t.Error("after an hour of failures the breaker is closed")
		}
		f.mu.Lock()
		if f.tries > breakerFailures {
			t.Errorf("%d whole blocks were sent to a server that is away, want %d and then pings", f.tries, breakerFailures)
		}
		if f.pings < 600 || f.pings > 720 {
			t.Errorf("%d probes in an hour, want one in about 5 s", f.pings)
		}
		f.mu.Unlock()
		f.setAway(false)
		<-ticket.Done()
		if ticket.Err() != nil || f.stored(TableProfiles) != "[100]" {
			t.Errorf("after the server is back: %v, blocks %s, want [100]", ticket.Err(), f.stored(TableProfiles))
		}
		if w.BreakerOpen() {
			t.Error("the breaker is open although a block was stored")
		}
	})
}

// advance lets fake time pass.
func advance(t *testing.T, d time.Duration) {
	t.Helper()
	<-time.After(d)
	synctest.Wait()
}

func TestAFullQueueBlocksAdd(t *testing.T) {
	f := &fakeSender{away: true}
	rec := scoredRows(rowSpec{users: 100, version: 1, asOf: noon})
	size := recordBytes(rec)
	rec.Release()
	withFake(t, f, func(c *Config, _ *Deps) { c.MaxQueuedBytes = 3 * size }, func(t *testing.T, w *Writer) {
		for i := range 3 {
			if _, err := addUsers(t, w, t.Context(), 100); err != nil {
				t.Fatalf("record %d: %v", i, err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := addUsers(t, w, ctx, 100); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("a fourth record was taken: %v", err)
		}
		waiting := make(chan error, 1)
		go func() {
			_, err := addUsers(t, w, t.Context(), 100)
			waiting <- err
		}()
		f.setAway(false)
		if err := <-waiting; err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := f.stored(TableProfiles); got != "[100 100 100 100]" {
			t.Errorf("blocks %s, want four of 100", got)
		}
	})
}

func TestAFatalErrorStopsTheWriterAndFailsTheTickets(t *testing.T) {
	f := &fakeSender{answer: func(*table, *encoded) error { return &ch.Exception{Code: 60, Message: "no such table"} }}
	synctest.Test(t, func(t *testing.T) {
		w := newWriter(Config{Addr: []string{"fake"}, Database: "d", Run: "live", BatchRows: 10, BatchInterval: time.Second}.withDefaults(), f, Deps{})
		ended := make(chan error, 1)
		go func() { ended <- w.Run(t.Context()) }()
		ticket, err := addUsers(t, w, t.Context(), 10)
		if err != nil {
			t.Fatal(err)
		}
		var ex *ch.Exception
		if err := <-ended; !errors.As(err, &ex) {
			t.Fatalf("Run ended with %v, want the server's exception", err)
		}
		<-ticket.Done()
		if !errors.Is(ticket.Err(), ErrStopped) {
			t.Errorf("the ticket says %v, want ErrStopped", ticket.Err())
		}
		if _, err := addUsers(t, w, t.Context(), 10); !errors.Is(err, ErrStopped) {
			t.Errorf("a later Add says %v, want ErrStopped", err)
		}
	})
}

func TestABlockRefusedInAllItsRowsIsNotDiverted(t *testing.T) {
	f := &fakeSender{answer: func(*table, *encoded) error { return &ch.Exception{Code: 117, Message: "incorrect data"} }}
	diverted := 0
	synctest.Test(t, func(t *testing.T) {
		deps := Deps{OnRejected: func(context.Context, Rejected) error { diverted++; return nil }}
		w := newWriter(Config{Addr: []string{"fake"}, Database: "d", Run: "live", BatchRows: 100, BatchInterval: time.Second}.withDefaults(), f, deps)
		ended := make(chan error, 1)
		go func() { ended <- w.Run(t.Context()) }()
		if _, err := addUsers(t, w, t.Context(), 100); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err == nil || diverted != 0 {
			t.Errorf("Run ended with %v and %d rows diverted, want an error and none", err, diverted)
		}
	})
}

func TestClassify(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want Class
	}{
		"network":            {errors.New("connection reset"), Retryable},
		"timeout":            {context.DeadlineExceeded, Retryable},
		"too many parts":     {&ch.Exception{Code: 252}, Retryable},
		"disk full":          {fmt.Errorf("inserting: %w", &ch.Exception{Code: 243}), Retryable},
		"memory":             {&ch.Exception{Code: 241}, Retryable},
		"unknown code":       {&ch.Exception{Code: 99999}, Retryable},
		"constraint":         {&ch.Exception{Code: 469}, Poison},
		"no such table":      {&ch.Exception{Code: 60}, Fatal},
		"wrong password":     {&ch.Exception{Code: 516}, Fatal},
		"not our own schema": {&encodeError{errors.New("x")}, Fatal},
	} {
		if got := Classify(c.err); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
