package stage

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/process"
	"profilestream/profile"
	"profilestream/schemas"
	"profilestream/stream"
	"profilestream/stream/failpoint"
	"profilestream/stream/wire"
)

// emitBytes is how much of rows is collected before they are sent.
const emitBytes = 768 << 10

// windowing folds one log partition into rows and state. One goroutine owns it,
// from the fence at takeover to the last checkpoint.
//
// Order of effects: rows and late records are acknowledged before the state
// that holds their cause is committed. A crash in between repeats rows of equal
// content and equal version. A zombie's state transaction is fenced; its rows
// are of equal or older versions, and so are harmless: say A is paused after it
// appended rows of offset 90 and before its transaction, B takes over from the
// marker at 50, replays 51..120 and appends the same rows of version 90 and a
// newer one of 120; A wakes and appends its row of 90 again: every table keeps
// the row of 120.
type windowing struct {
	cfg       *config.Config
	version   string // of the configuration
	metrics   *ingestMetrics
	partition int32

	state          *profile.LogPartition
	txn            *wire.Transactor
	windows        *messageWriter
	days           *messageWriter
	scored         *messageWriter
	late, dlq      *divertWriter
	record         profile.Record
	last           profile.LastRecord
	stateBatch     wire.Builder
	checkpointed   int64 // log offset of the last committed marker
	nextLive       time.Time
	nextCheckpoint time.Time
	until          time.Time
	now            func() time.Time
}

// takeOver fences the last owner of a log partition, restores its state and
// returns the offset from which to go on.
func takeOver(ctx context.Context, env *process.Env, c *wire.Client, partition int32, m *ingestMetrics) (*windowing, int64, error) {
	cfg, log := env.Config, env.Log
	t := cfg.Topics()
	start := time.Now()
	owner := fmt.Sprintf("%s.%d", t.State, partition)
	if failpoint.Due("windowing.skip_fence") {
		owner += fmt.Sprint(".", start.UnixNano())
	}
	txn, err := c.NewTransactor(ctx, owner, wire.TransactorConfig{Codec: stateCodec, MaxBatchBytes: maxRowBatchBytes})
	if err != nil {
		return nil, 0, err
	}
	limit := cfg.Profile.MaxEventsUserDay
	if failpoint.Due("windowing.no_cap") {
		limit = math.MaxInt32
	}
	state, err := profile.NewPartition(profile.Config{
		Partition: partition, LatenessMillis: cfg.Profile.Lateness.Milliseconds(),
		MaxEventsUserDay: limit, ConfigVersion: cfg.Version(),
		KeepRepeats: failpoint.Due("windowing.keep_repeats"),
	})
	if err != nil {
		return nil, 0, &config.Error{Key: "profile", Reason: err.Error()}
	}
	records, bytes, err := readState(ctx, c, t.State, partition, state.Restore)
	if err == nil {
		err = state.Start()
	}
	if errors.Is(err, profile.ErrConfigChanged) {
		return nil, 0, &config.Error{Key: "profile", Reason: err.Error() + "; a changed configuration is another run: change the key run"}
	}
	if err != nil {
		return nil, 0, fmt.Errorf("restoring the state of log partition %d: %w", partition, err)
	}
	w := &windowing{
		cfg: cfg, version: cfg.Version(), metrics: m, partition: partition, state: state, txn: txn, until: env.Until, now: failpoint.Now,
		windows: newMessageWriter(c, t.Windows, partition),
		days:    newMessageWriter(c, t.Days, partition),
		scored:  newMessageWriter(c, t.Scored, partition),
		late:    newDivertWriter(c, t.Late, partition),
		dlq:     newDivertWriter(c, t.DLQ, partition),
	}
	next := int64(0)
	if marker, ok := state.Marker(); ok {
		if err := checkLog(ctx, c, t.Events, partition, marker); err != nil {
			return nil, 0, err
		}
		w.last, next = marker.Last, marker.Offset+1
	} else if next, err = c.ListOffset(ctx, t.Events, partition, wire.Earliest, false); err != nil {
		return nil, 0, err
	} else if next > 0 {
		return nil, 0, fmt.Errorf("%s[%d] begins at offset %d and there is no state for what came before: retention overran it; start another run", t.Events, partition, next)
	}
	w.checkpointed = next - 1
	w.nextCheckpoint = w.now().Add(cfg.Profile.CheckpointInterval)
	log.Info("took over a log partition", "partition", partition, "users", state.Users(), "offset", next,
		"state_records", records, "state_bytes", bytes, "seconds", time.Since(start).Seconds())
	return w, next, nil
}

// Process applies log records in order and sends the rows that they make due.
func (w *windowing) Process(ctx context.Context, rs *wire.Records) error {
	for r := rs.Next(); r != nil; r = rs.Next() {
		if err := profile.DecodeRecord(r.Value, &w.record); err != nil {
			return fmt.Errorf("log record %s[%d]@%d: %w", rs.Topic, w.partition, r.Offset, err)
		}
		if w.record.Kind == profile.KindEvent && failpoint.Due("windowing.lose_event") {
			continue
		}
		// An idle source's time is its owner's clock; the broker's bounds it.
		if m := &w.record.Watermark; w.record.Kind == profile.KindWatermark && m.Idle && !failpoint.Due("windowing.trust_clock") {
			m.WMillis = min(m.WMillis, r.Timestamp)
		}
		if err := w.state.Apply(r.Offset, &w.record); err != nil {
			return fmt.Errorf("log record %s[%d]@%d: %w", rs.Topic, w.partition, r.Offset, err)
		}
		w.last = lastOf(r)
		if w.state.Pending() {
			if err := w.work(ctx); err != nil {
				return err
			}
		}
	}
	if err := rs.Err(); err != nil {
		return err
	}
	failpoint.Hit("windowing.after_apply")
	if err := w.divert(ctx); err != nil {
		return err
	}
	if !w.state.LiveOn() && rs.Backlog() == 0 {
		w.state.SetLive(true)
	}
	return w.live(ctx)
}

// work sends the day rows and corrections that are due.
func (w *windowing) work(ctx context.Context) error {
	for {
		more := w.state.Work(emitBytes)
		if err := w.send(ctx, w.days, w.state.Days(), more); err != nil {
			return err
		}
		if !more {
			return nil
		}
	}
}

// live sends the live rows of the users touched since, each live_interval.
func (w *windowing) live(ctx context.Context) error {
	now := w.now()
	if now.Before(w.nextLive) {
		return nil
	}
	w.nextLive = now.Add(w.cfg.Profile.LiveInterval)
	if err := w.emitLive(ctx); err != nil {
		return err
	}
	w.metrics.watermark(w.partition, w.state)
	return nil
}

func (w *windowing) emitLive(ctx context.Context) error {
	for {
		more := w.state.EmitLive(emitBytes)
		if err := w.send(ctx, w.days, w.state.Days(), true); err != nil {
			return err
		}
		if err := w.send(ctx, w.windows, w.state.Live(), true); err != nil {
			return err
		}
		if !more {
			return nil
		}
	}
}

// send passes rows on when there are enough of them, or at once.
func (w *windowing) send(ctx context.Context, to *messageWriter, rows *profile.RowBatch, now bool) error {
	if rows.Len() == 0 || !now && rows.Bytes() < emitBytes {
		return nil
	}
	w.metrics.emitted(to == w.windows, rows.Len())
	rec := rows.Take()
	defer rows.Recycle(rec)
	kind := schemas.RowsDay
	if to == w.windows {
		kind = schemas.RowsLive
	}
	m := message{schemas.WindowRowsSchema, kind, w.state.Promotion(), w.version, rec}
	if err := to.add(m, w.now().UnixMilli()); err != nil {
		return err
	}
	return to.flush(ctx)
}

// divert sends late and hot events to their topics as they were.
func (w *windowing) divert(ctx context.Context) error {
	for _, d := range w.state.TakeDiverted() {
		to := w.late
		if d.Reason == profile.ReasonHot {
			to = w.dlq
		}
		if err := to.add(ctx, &d); err != nil {
			return err
		}
	}
	return errors.Join(w.late.flush(ctx), w.dlq.flush(ctx))
}

// Flush sends live rows, and is a checkpoint each checkpoint_interval.
func (w *windowing) Flush(ctx context.Context) (stream.Commit, error) {
	if w.now().Before(w.nextCheckpoint) {
		return stream.Commit{Offset: -1}, w.live(ctx)
	}
	return w.checkpoint(ctx)
}

// Finish is the last checkpoint. Once drained, every user gets a live row.
func (w *windowing) Finish(ctx context.Context, why stream.Ending) (stream.Commit, error) {
	if why == stream.Drained {
		w.everyone()
	}
	return w.checkpoint(ctx)
}

// Drained says whether time has come as far as -until asks.
func (w *windowing) Drained() bool {
	if w.until.IsZero() {
		return true
	}
	t, ok := w.state.W()
	return ok && t >= w.until.UnixMilli()
}

// checkpoint sends all rows due and waits for their acknowledgement, then
// commits the changed state and its marker in one fenced transaction.
func (w *windowing) checkpoint(ctx context.Context) (stream.Commit, error) {
	w.nextCheckpoint = w.now().Add(w.cfg.Profile.CheckpointInterval)
	commit := stream.Commit{Offset: w.state.Offset() + 1}
	if err := w.work(ctx); err != nil {
		return commit, err
	}
	if err := w.emitLive(ctx); err != nil {
		return commit, err
	}
	if err := w.divert(ctx); err != nil {
		return commit, err
	}
	if w.state.Offset() == w.checkpointed {
		return commit, nil
	}
	if err := w.account(ctx); err != nil {
		return commit, err
	}
	failpoint.Hit("windowing.after_emit")
	start := w.now()
	bytes, err := w.saveState(ctx)
	if err != nil {
		return commit, err
	}
	failpoint.Hit("windowing.after_transaction")
	w.checkpointed = w.state.Offset()
	w.metrics.checkpoint(w.partition, w.now().Sub(start), bytes)
	return commit, nil
}

func (w *windowing) saveState(ctx context.Context) (bytes int, err error) {
	topic := w.cfg.Topics().State
	send := func() error {
		if w.stateBatch.Len() == 0 {
			return nil
		}
		_, err := w.txn.Append(ctx, topic, w.partition, &w.stateBatch)
		w.stateBatch.Reset()
		return err
	}
	now := w.now().UnixMilli()
	err = w.state.Changes(w.last, func(key, value []byte) error {
		w.stateBatch.Add(now, key, value)
		bytes += len(key) + len(value)
		if w.stateBatch.Bytes() < maxMessageBytes {
			return nil
		}
		return send()
	})
	if err == nil {
		err = send()
	}
	if err != nil {
		return bytes, fmt.Errorf("saving the state of log partition %d: %w", w.partition, err)
	}
	failpoint.Hit("windowing.in_transaction")
	if err := w.txn.Commit(ctx); err != nil {
		return bytes, fmt.Errorf("committing the state of log partition %d: %w", w.partition, err)
	}
	w.state.Commit()
	return bytes, nil
}

// account sends the totals of each source to the topic scored, on their way to
// the view accounting.
func (w *windowing) account(ctx context.Context) error {
	rec := w.state.AccountingRows()
	defer rec.Release()
	m := message{schemas.AccountingRowsSchema, "", w.state.Promotion(), w.version, rec}
	if err := w.scored.add(m, w.now().UnixMilli()); err != nil {
		return err
	}
	w.metrics.account(w.partition, w.state)
	return w.scored.flush(ctx)
}

// everyone makes a live row due for every user: at the end of a drain.
func (w *windowing) everyone() {
	if w.state.LiveOn() {
		w.state.TouchAll()
	} else {
		w.state.SetLive(true)
	}
}

// Close gives the partition up without a further checkpoint.
func (w *windowing) Close() error {
	w.metrics.lost(w.partition)
	return nil
}
