package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/cenkalti/backoff/v5"
	"github.com/sony/gobreaker/v2"

	"profilestream/schemas"
	"profilestream/stream/failpoint"
)

const (
	breakerFailures = 5               // in a row open the breaker
	breakerTimeout  = 5 * time.Second // an open breaker allows a probe after it
	probeInterval   = 500 * time.Millisecond
	// wholesaleRows is from how many rows on a block that is refused in all
	// its rows is taken for a fault of ours or the server's, not of the rows.
	wholesaleRows = 16
)

// encoded is a block in the Native format, and the rows it was made of.
type encoded struct {
	body   []byte
	chunks []chunk
	rows   int
	// statement stands in place of a block whose rows ClickHouse has already.
	statement string

	attempts int // that have reached the sender
}

func (w *Writer) newBreaker() *gobreaker.CircuitBreaker[struct{}] {
	gauge := w.deps.Metrics.breaker.WithLabelValues("clickhouse")
	gauge.Set(float64(gobreaker.StateClosed))
	return gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:        "clickhouse",
		MaxRequests: 1,
		Timeout:     breakerTimeout,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= breakerFailures },
		// A refused row shows that the server is there.
		IsSuccessful: func(err error) bool { return err == nil || Classify(err) == Poison },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			gauge.Set(float64(to))
			w.deps.Log.Warn("clickhouse breaker", "from", from.String(), "to", to.String())
		},
	})
}

// write sends a batch and returns when each of its rows is acknowledged or was
// handed to OnRejected.
func (l *lane) write(ctx context.Context, b *batch) error {
	if l.ledger != nil {
		if err := l.ledger.keep(ctx, b.chunks); err != nil {
			return err
		}
	}
	rejected, err := l.writeChunks(ctx, b.chunks, min(b.bytes, l.w.cfg.MaxBlockBytes))
	if err != nil {
		return fmt.Errorf("writing a block of %d rows to %s: %w", b.rows, l.table.name, err)
	}
	defer func() {
		for _, r := range rejected {
			r.Record.Release()
		}
	}()
	if len(rejected) == b.rows && b.rows >= wholesaleRows {
		return fmt.Errorf("table %s refuses every one of %d rows: %w", l.table.name, b.rows, rejected[0].Err)
	}
	for _, r := range rejected {
		if l.w.deps.OnRejected == nil {
			return fmt.Errorf("table %s refuses a row: %w", l.table.name, r.Err)
		}
		if err := l.w.deps.OnRejected(ctx, r); err != nil {
			return fmt.Errorf("diverting a row that table %s refuses: %w", l.table.name, err)
		}
	}
	l.observe(b, len(rejected))
	return nil
}

// writeChunks sends the rows as one block. A refused block is halved until the
// refused rows stand alone; those are returned. room is what the block is likely to
// take: made at once, it leaves no outgrown buffers behind.
func (l *lane) writeChunks(ctx context.Context, chunks []chunk, room int64) ([]Rejected, error) {
	e := &encoded{chunks: chunks}
	for _, c := range chunks {
		e.rows += c.rows()
	}
	var err error
	if e.body, err = appendBlock(slices.Grow(l.w.buffers.get(), int(room)), l.table.columns, chunks); err != nil {
		return nil, err
	}
	err = l.w.deliver(ctx, l.table, e)
	if err == nil {
		// After a failed attempt the HTTP transport may still be reading the
		// body: such memory is never written again.
		if e.attempts == 1 {
			l.w.buffers.put(e.body)
		}
		return nil, nil
	}
	if Classify(err) != Poison {
		return nil, err
	}
	if e.rows == 1 {
		c := chunks[0]
		c.rec.Retain()
		return []Rejected{{Table: l.table.name, Record: c.rec, Meta: c.meta, Err: err}}, nil
	}
	var rejected []Rejected
	for _, half := range halve(chunks, e.rows/2) {
		r, err := l.writeChunks(ctx, half, 0)
		releaseAll(half)
		rejected = append(rejected, r...)
		if err != nil {
			return rejected, err
		}
	}
	return rejected, nil
}

// halve cuts the rows at position at. The parts hold references of their own.
func halve(chunks []chunk, at int) [2][]chunk {
	var parts [2][]chunk
	for _, c := range chunks {
		n := c.rows()
		k := max(0, min(at, n))
		if k > 0 {
			parts[0] = append(parts[0], chunk{c.rec.NewSlice(0, int64(k)), c.meta})
		}
		if k < n {
			parts[1] = append(parts[1], chunk{c.rec.NewSlice(int64(k), int64(n)), c.meta})
		}
		at -= n
	}
	return parts
}

func releaseAll(chunks []chunk) {
	for _, c := range chunks {
		c.rec.Release()
	}
}

// deliver sends one block until it is acknowledged, refused, or nothing can
// succeed. While the breaker is open it only waits and probes.
func (w *Writer) deliver(ctx context.Context, t *table, e *encoded) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 100*time.Millisecond, breakerTimeout
	for {
		begin := now()
		_, err := w.breaker.Execute(func() (struct{}, error) { return struct{}{}, w.attempt(ctx, t, e) })
		switch {
		case err == nil:
			failpoint.Hit("sink.block_acknowledged")
			w.deps.Metrics.blockSent(t.name, e, now().Sub(begin))
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, gobreaker.ErrOpenState), errors.Is(err, gobreaker.ErrTooManyRequests):
			if err := sleep(ctx, probeInterval); err != nil {
				return err
			}
			continue
		}
		if failpoint.Due("sink.drop_failed") {
			return nil
		}
		class := Classify(err)
		w.deps.Metrics.failures.WithLabelValues(t.name, class.String()).Inc()
		switch class {
		case Poison:
			var ex *ch.Exception
			errors.As(err, &ex)
			return &refusal{ex}
		case Fatal:
			return err
		}
		wait := pause.NextBackOff()
		w.deps.Log.Warn("clickhouse insert failed, trying again", "table", t.name, "rows", e.rows,
			"error", err, "wait", wait, slog.String("class", class.String()))
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

func (w *Writer) attempt(ctx context.Context, t *table, e *encoded) error {
	ctx, cancel := context.WithTimeout(ctx, w.cfg.InsertTimeout)
	defer cancel()
	if w.breaker.State() == gobreaker.StateHalfOpen {
		// The probe is a query: a block of 50 MB is no way to ask.
		if err := w.sender.ping(ctx); err != nil {
			return err
		}
	}
	e.attempts++
	if e.statement != "" {
		return w.sender.exec(ctx, e.statement)
	}
	return w.sender.send(ctx, t, e)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// observe counts the rows of an acknowledged batch, and for live rows how long
// after the Kafka timestamp of their newest event they became readable. A row
// that the end of a day or silence has caused waited for no event: it is no
// latency.
func (l *lane) observe(b *batch, rejected int) {
	m := l.w.deps.Metrics
	m.rows.WithLabelValues(l.table.name).Add(float64(b.rows - rejected))
	m.rejected.WithLabelValues(l.table.name).Add(float64(rejected))
	if l.table.kafkaTime < 0 {
		return
	}
	acknowledged := now().UnixMilli()
	for _, c := range b.chunks {
		times, ok := c.rec.Column(l.table.kafkaTime).(*array.Timestamp)
		if !ok {
			continue
		}
		triggers, ok := c.rec.Column(schemas.ColTrigger).(*array.Uint8)
		if !ok {
			continue
		}
		for i, t := range times.TimestampValues() {
			if k := triggers.Value(i); k != schemas.TriggerLive && k != schemas.TriggerCorrection {
				continue
			}
			m.eventToRow.Observe(float64(acknowledged-int64(t)) / 1000)
		}
	}
}
