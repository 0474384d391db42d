package stream

import (
	"context"

	"profilestream/stream/wire"
)

// ReadConfig says what Read reads.
type ReadConfig struct {
	TopicPartition
	// From is the first offset; wire.Earliest is the log's start.
	From      int64
	Committed bool
	// Follow goes on after the end until the context ends; without it, Read ends at the end observed when it began.
	Follow bool
	// Progress, if set, is told the offset reached and the end after each fetch.
	Progress func(offset, end int64)
}

// Read calls fn for each record of a partition, outside any group, and returns the offset reached. It is how compacted
// topics are loaded: state at a takeover, the models topic at a start. A record lives until fn returns.
//
// The end is the log's last offset whatever the isolation, so that with Committed it waits for transactions that are
// open when it begins: after a takeover has fenced their writer there are none.
func Read(ctx context.Context, c *wire.Client, cfg ReadConfig, fn func(*wire.Record) error) (int64, error) {
	var err error
	from := cfg.From
	if from == wire.Earliest {
		if from, err = c.ListOffset(ctx, cfg.Topic, cfg.Partition, wire.Earliest, false); err != nil {
			return 0, err
		}
	}
	end, err := c.ListOffset(ctx, cfg.Topic, cfg.Partition, wire.Latest, false)
	if err != nil {
		return from, err
	}
	fetch, cancel := context.WithCancel(ctx)
	f := c.NewFetcher(cfg.Topic, cfg.Partition, from, wire.FetchConfig{Committed: cfg.Committed})
	pre := startPrefetch(fetch, f, 16<<20, nil)
	defer pre.wait()
	defer cancel()
	for from < end || cfg.Follow {
		var got fetched
		select {
		case got = <-pre.sets:
		case <-ctx.Done():
			return from, context.Cause(ctx)
		}
		if got.err != nil {
			return from, got.err
		}
		rs := got.records
		for r := rs.Next(); r != nil; r = rs.Next() {
			if err := fn(r); err != nil {
				return r.Offset, err
			}
		}
		from = rs.Offset()
		err := rs.Err()
		pre.release(got)
		if err != nil {
			return from, err
		}
		if cfg.Progress != nil {
			cfg.Progress(from, end)
		}
	}
	return from, nil
}

// ReadTable reads partition 0 of a compacted topic up to its end: the newest value of each wanted key, and the offset to
// follow it from. wanted nil is all of them. Other records are not decoded, so that one which cannot be read is in the way
// of its own readers only.
func ReadTable[T any](ctx context.Context, c *wire.Client, topic string, wanted func(key string) bool, decode func(key string, value []byte) (T, error)) (map[string]T, int64, error) {
	all := map[string]T{}
	from := ReadConfig{TopicPartition: TopicPartition{Topic: topic}, From: wire.Earliest, Committed: true}
	next, err := Read(ctx, c, from, func(r *wire.Record) error {
		key := string(r.Key)
		if wanted != nil && !wanted(key) {
			return nil
		}
		if r.Value == nil {
			delete(all, key)
			return nil
		}
		v, err := decode(key, r.Value)
		if err == nil {
			all[key] = v
		}
		return err
	})
	return all, next, err
}
