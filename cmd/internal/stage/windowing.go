package stage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"profilestream/cmd/internal/config"
	"profilestream/profile"
	"profilestream/schemas"
	"profilestream/stream"
	"profilestream/stream/failpoint"
	"profilestream/stream/store"
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
//
// A local store is written after the transaction is committed, with its place in
// the topic: a crash in between leaves it behind, and the next owner catches up.
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
	local          *localState
	store          *store.Store // copy of the state on the disk, nil: none
	spoilt         bool         // the store cannot be read
	came           restored
	checkpointed   int64 // log offset of the last committed marker
	nextLive       time.Time
	nextCheckpoint time.Time
	atEnd          bool // of the log, as far as the last fetch knew
	arrivals       *arrivals
	until          time.Time
	now            func() time.Time
}

// Process applies log records in order and sends the rows that they make due.
func (w *windowing) Process(ctx context.Context, rs *wire.Records) (err error) {
	defer w.noteSpoilt(&err)
	for r := rs.Next(); r != nil; r = rs.Next() {
		if err := profile.DecodeRecord(r.Value, &w.record); err != nil {
			return fmt.Errorf("log record %s[%d]@%d: %w", rs.Topic, w.partition, r.Offset, err)
		}
		if w.record.Kind == profile.KindEvent && failpoint.Due("windowing.lose_event") {
			continue
		}
		if w.record.Kind == profile.KindRescore && w.cfg.Log.Of != "" {
			w.record.Rescore.Promotion = 0 // of a model of the log's own run
		}
		// An idle source's time is its owner's clock; the broker's bounds it.
		if m := &w.record.Watermark; w.record.Kind == profile.KindWatermark && m.Idle && !failpoint.Due("windowing.trust_clock") {
			m.WMillis = min(m.WMillis, r.Timestamp)
		}
		if w.record.Kind == profile.KindErase {
			w.local.erased.Record(&w.record.Erase, w.partition, r.Offset)
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
		if w.state.Full() {
			if _, err := w.checkpoint(ctx); err != nil {
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
	w.atEnd = rs.Backlog() == 0
	return w.live(ctx)
}

// noteSpoilt notes that the work ends because the local store cannot be read:
// it is removed, so that the next owner does not stumble over it.
func (w *windowing) noteSpoilt(err *error) {
	w.spoilt = w.spoilt || errors.Is(*err, profile.ErrStore)
}

// work sends the day rows and corrections that are due, and what live rows come
// with them.
func (w *windowing) work(ctx context.Context) error {
	for {
		more := w.state.Work(emitBytes)
		if err := w.send(ctx, w.days, w.state.Days(), more); err != nil {
			return err
		}
		if err := w.send(ctx, w.windows, w.state.Live(), more); err != nil {
			return err
		}
		if !more {
			return nil
		}
	}
}

// live sends the live rows of the users touched since, each live_interval. They
// go on once the inputs have been worked off into the log, and the log itself.
func (w *windowing) live(ctx context.Context) error {
	now := w.now()
	if now.Before(w.nextLive) {
		return nil
	}
	w.nextLive = now.Add(w.cfg.Profile.LiveInterval)
	if !w.state.LiveOn() && w.atEnd {
		on, err := w.arrivals.workedOff(ctx)
		if err != nil {
			return err
		}
		w.state.SetLive(on)
	}
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
func (w *windowing) Flush(ctx context.Context) (_ stream.Commit, err error) {
	defer w.noteSpoilt(&err)
	if w.now().Before(w.nextCheckpoint) {
		return stream.Commit{Offset: -1}, w.live(ctx)
	}
	return w.checkpoint(ctx)
}

// Finish is the last checkpoint. Once drained, every user gets a live row.
func (w *windowing) Finish(ctx context.Context, why stream.Ending) (_ stream.Commit, err error) {
	defer w.noteSpoilt(&err)
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
	w.checkpointed = w.state.Offset()
	w.metrics.checkpoint(w.partition, w.now().Sub(start), bytes)
	return commit, nil
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
	return w.closeStore()
}
