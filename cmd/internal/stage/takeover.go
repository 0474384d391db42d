package stage

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/process"
	"profilestream/profile"
	"profilestream/stream/failpoint"
	"profilestream/stream/wire"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// lastOf is what a marker keeps of a log record, to know it again.
func lastOf(r *wire.Record) profile.LastRecord {
	return profile.LastRecord{CRC: crc32.Checksum(r.Value, castagnoli), TimestampMillis: r.Timestamp}
}

// takeOver fences the last owner of a log partition, restores its state and
// returns the offset from which to go on.
func takeOver(ctx context.Context, env *process.Env, c *wire.Client, partition int32, m *ingestMetrics, local *localState) (w *windowing, next int64, err error) {
	cfg, log := env.Config, env.Log
	t := cfg.Topics()
	if int(partition) >= cfg.Log.Partitions {
		return nil, 0, &config.Error{Key: "log.partitions", Reason: fmt.Sprintf("is %d, and %s has a partition %d: the number of a run's partitions cannot change, start another run", cfg.Log.Partitions, t.Events, partition)}
	}
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
		limit = 10_000_000 // the most that a configuration may ask for
	}
	state, err := profile.NewPartition(profile.Config{
		Partition: partition, LatenessMillis: cfg.Profile.Lateness.Milliseconds(),
		MaxEventsUserDay: limit, ConfigVersion: cfg.Version(),
		KeepRepeats: failpoint.Due("windowing.keep_repeats"),
		Erased: func(e *profile.Event) bool {
			covers, _ := local.erased.Covers(e.User, &e.Source, e.Offset)
			return covers
		},
	})
	if err != nil {
		return nil, 0, &config.Error{Key: "profile", Reason: err.Error()}
	}
	w = &windowing{
		cfg: cfg, version: cfg.Version(), metrics: m, partition: partition, state: state, txn: txn, until: env.Until, now: failpoint.Now, local: local, arrivals: local.arrivals,
		windows: newMessageWriter(c, t.Windows, partition),
		days:    newMessageWriter(c, t.Days, partition),
		scored:  newMessageWriter(c, t.Scored, partition),
		late:    newDivertWriter(c, t.Late, partition),
		dlq:     newDivertWriter(c, t.DLQ, partition),
	}
	if err := w.restore(ctx); err != nil {
		return nil, 0, err
	}
	if next, err = w.begin(ctx, c); err != nil {
		return nil, 0, errors.Join(err, w.closeStore())
	}
	w.checkpointed = next - 1
	w.nextCheckpoint = w.now().Add(cfg.Profile.CheckpointInterval)
	took := time.Since(start).Seconds()
	log.Info("took over a log partition", "partition", partition, "users", state.Users(), "offset", next, "state", w.came.from,
		"state_records", w.came.records, "state_bytes", w.came.bytes, "mib_per_second", float64(w.came.bytes)/(1<<20)/took, "seconds", took)
	return w, next, nil
}

// restore brings the partition's state back.
func (w *windowing) restore(ctx context.Context) (err error) {
	w.local.owned.Add(1)
	if w.local.blocks == nil {
		w.came, err = w.local.inMemory(ctx, w.partition, w.state)
	} else {
		w.store, w.came, err = w.local.open(ctx, w.partition, w.state)
	}
	if err == nil {
		return nil
	}
	w.local.owned.Add(-1)
	var wrong *config.Error
	switch {
	case errors.As(err, &wrong):
		return wrong
	case errors.Is(err, profile.ErrConfigChanged):
		return &config.Error{Key: "profile", Reason: err.Error() + "; a changed configuration is another run: change the key run"}
	}
	return fmt.Errorf("restoring the state of log partition %d: %w", w.partition, err)
}

// begin returns the log offset that follows the state.
func (w *windowing) begin(ctx context.Context, c *wire.Client) (next int64, err error) {
	events := w.cfg.Topics().Events
	if marker, ok := w.state.Marker(); ok {
		w.last = marker.Last
		return marker.Offset + 1, checkLog(ctx, c, events, w.partition, marker)
	}
	next, err = c.ListOffset(ctx, events, w.partition, wire.Earliest, false)
	if err == nil && next > 0 {
		err = fmt.Errorf("%s[%d] begins at offset %d and there is no state for what came before: retention overran it; start another run", events, w.partition, next)
	}
	return next, err
}

// checkLog refuses to go on from a marker whose log record is no longer the one
// that the marker was made after: the topic was recreated or truncated.
func checkLog(ctx context.Context, c *wire.Client, topic string, partition int32, m profile.Marker) error {
	if m.Offset < 0 {
		return nil
	}
	end, err := c.ListOffset(ctx, topic, partition, wire.Latest, false)
	if err != nil {
		return err
	}
	if m.Offset >= end {
		return fmt.Errorf("the state of %s[%d] stands at offset %d, but the log ends at %d: it was truncated or recreated; start another run", topic, partition, m.Offset, end)
	}
	rs, err := c.NewFetcher(topic, partition, m.Offset, wire.FetchConfig{}).Fetch(ctx)
	if err != nil {
		return fmt.Errorf("checking the record before the state's place: %w", err)
	}
	defer rs.Release()
	r := rs.Next()
	if r == nil || r.Offset != m.Offset || lastOf(r) != m.Last {
		return fmt.Errorf("%s[%d]@%d is not the record that the state was made after: the topic was recreated; start another run", topic, partition, m.Offset)
	}
	return nil
}
