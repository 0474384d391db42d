package stage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/privacy"
	"profilestream/profile"
	"profilestream/stream"
	"profilestream/stream/failpoint"
	"profilestream/stream/store"
	"profilestream/stream/wire"
)

// localState is what the log partitions of a process share of their state: the
// memory that it may take, the pace at which it is restored, and where copies of
// it are kept on the disk, if at all.
type localState struct {
	cfg     *config.Config
	log     *slog.Logger
	client  *wire.Client
	cluster string
	blocks  *store.Cache  // nil: no local stores
	pace    *rate.Limiter // bytes; nil: no bound
	owned   atomic.Int32  // partitions
	erased  *privacy.Set
	// arrivals knows whether there is more to come into the log.
	arrivals *arrivals
}

const (
	// paceBytes is what is read from the state topic between two looks at the pace.
	paceBytes = 256 << 10
	// fillBytes is what is restored into a store in one piece.
	fillBytes = 4 << 20
	// memTableBytes is how much of a partition's changes is collected before it
	// becomes a file; three of them may be in memory.
	memTableBytes = 4 << 20
	// progressEvery is how often a long restore says how far it is.
	progressEvery = 5 * time.Second
)

func newLocalState(ctx context.Context, cfg *config.Config, log *slog.Logger, c *wire.Client) (l *localState, err error) {
	l = &localState{cfg: cfg, log: log, client: c, arrivals: &arrivals{cfg: cfg, client: c, now: failpoint.Now}}
	if n := cfg.Profile.RestoreMiBPerSecond; n > 0 {
		l.pace = rate.NewLimiter(rate.Limit(n<<20), max(paceBytes, n<<20/4))
	}
	if cfg.Profile.StateDir == "" {
		return l, nil
	}
	if l.cluster, err = c.ClusterID(ctx); err != nil {
		return nil, err
	}
	// Memtables take their room from the cache, so it has that on top.
	l.blocks = store.NewCache(cfg.Profile.StateCacheMiB<<20/4 + cfg.Log.Partitions*2*memTableBytes)
	return l, nil
}

// close gives the memory of blocks back, once all partitions are closed.
func (l *localState) close() {
	if l.blocks != nil {
		l.blocks.Unref()
	}
}

// share is how many bytes of users a log partition may keep in memory: three
// quarters of the whole, the rest being for blocks of files, split evenly.
func (l *localState) share() int {
	return l.cfg.Profile.StateCacheMiB << 20 / 4 * 3 / int(max(l.owned.Load(), 1))
}

func (l *localState) storeConfig(partition int32) store.Config {
	dir := filepath.Join(l.cfg.Profile.StateDir, l.cfg.Run, strconv.Itoa(int(partition)))
	return store.Config{Dir: dir, Cache: l.blocks, MemTableBytes: memTableBytes, Log: l.log}
}

// restored is how a partition's state came back.
type restored struct {
	records, bytes int64
	from           string // where most of it was: "topic", "store"
}

// inMemory restores a partition from the state topic alone.
func (l *localState) inMemory(ctx context.Context, partition int32, p *profile.LogPartition) (r restored, err error) {
	r.from = "topic"
	err = l.read(ctx, partition, wire.Earliest, &r, func(rec *wire.Record) error { return p.Restore(rec.Key, rec.Value) })
	if err == nil {
		err = p.Start()
	}
	return r, err
}

// errStale says why a local store is of no use.
var errStale = errors.New("the local store does not belong to the state topic")

// open restores a partition into its local store, or from it. The caller has
// fenced older writers. What the store holds counts only as long as it goes with
// the topic: it is at the topic's last marker, or before it and catches up. Else
// it is emptied, with a warning, and filled from the topic.
func (l *localState) open(ctx context.Context, partition int32, p *profile.LogPartition) (st *store.Store, r restored, err error) {
	at := l.storeConfig(partition)
	st, err = store.Open(at)
	if errors.Is(err, store.ErrInUse) {
		return nil, r, &config.Error{Key: "profile.state_dir", Reason: err.Error() + "; each process needs a directory of its own"}
	}
	if err == nil {
		if pos, ok := st.Position(); !ok {
			err = l.fill(ctx, st, p, nil, &r)
			return st, r, closing(st, err)
		} else if err = l.fill(ctx, st, p, &pos, &r); err == nil || !useless(err) {
			return st, r, closing(st, err)
		}
		err = errors.Join(err, st.Abandon())
	}
	l.log.Warn("the local store is of no use, its state comes from the topic", "partition", partition, "error", err)
	if err := store.Remove(at); err != nil {
		return nil, r, fmt.Errorf("removing a useless local store: %w", err)
	}
	if st, err = store.Open(at); err == nil {
		err = closing(st, l.fill(ctx, st, p, nil, &r))
	}
	return st, r, err
}

// closing gives a store up after an error.
func closing(st *store.Store, err error) error {
	if err != nil {
		err = errors.Join(err, st.Abandon())
	}
	return err
}

// useless says that the error is the store's and not the topic's.
func useless(err error) bool {
	return errors.Is(err, errStale) || errors.Is(err, errStart)
}

// errStart is a refusal of what a store holds.
var errStart = errors.New("refused")

// fill brings a store from a position (nil: from nothing) to the end of the state
// topic, and has the partition go on from it.
func (l *localState) fill(ctx context.Context, st *store.Store, p *profile.LogPartition, pos *store.Position, r *restored) error {
	*r = restored{from: "topic"}
	if pos != nil {
		r.from = "store"
	}
	next, err := l.follow(ctx, st, p.Partition(), pos, r)
	if err != nil {
		return err
	}
	if err := p.StartFrom(st, l.share(), r.records > 0); err != nil {
		if pos != nil {
			err = fmt.Errorf("%w: %w", errStart, err)
		}
		return err
	}
	if next == nil {
		return nil
	}
	b := st.Batch()
	if err := p.MirrorUsers(b); err != nil {
		return err
	}
	return st.Commit(b, *next)
}

// follow reads the state topic from a position on into a store and returns the
// position reached, nil if that is the same.
func (l *localState) follow(ctx context.Context, st *store.Store, partition int32, pos *store.Position, r *restored) (next *store.Position, err error) {
	topic, from := l.cfg.Topics().State, int64(wire.Earliest)
	if pos != nil {
		if err := l.check(ctx, partition, *pos); err != nil {
			return nil, err
		}
		from = pos.Offset
	}
	b := st.Batch()
	err = l.read(ctx, partition, from, r, func(rec *wire.Record) error {
		if pos != nil && rec.Offset == pos.Offset {
			if r.records--; !profile.IsMarker(rec.Key) || store.Checksum(rec.Value) != pos.Check {
				return fmt.Errorf("%w: another record stands at its place", errStale)
			}
			return nil
		}
		if err := profile.CheckRecord(rec.Value); err != nil {
			return err
		}
		if err := profile.Mirror(b, rec.Key, rec.Value); err != nil {
			return err
		}
		if profile.IsMarker(rec.Key) {
			next = &store.Position{Cluster: l.cluster, Topic: topic, Partition: partition, Offset: rec.Offset, Check: store.Checksum(rec.Value)}
		}
		if b.Bytes() < fillBytes {
			return nil
		}
		full := b
		b = st.Batch()
		return st.Fill(full)
	})
	if err == nil && r.records > 0 && next == nil {
		err = fmt.Errorf("%s[%d]: %w: no marker", topic, partition, profile.ErrStateCorrupt)
	}
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return next, st.Fill(b)
}

// check says whether the topic still reaches to a store's position.
func (l *localState) check(ctx context.Context, partition int32, pos store.Position) error {
	topic := l.cfg.Topics().State
	if pos.Cluster != l.cluster || pos.Topic != topic || pos.Partition != partition {
		return fmt.Errorf("%w: it is of %s[%d] of cluster %q", errStale, pos.Topic, pos.Partition, pos.Cluster)
	}
	first, err := l.client.ListOffset(ctx, topic, partition, wire.Earliest, false)
	if err != nil {
		return err
	}
	end, err := l.client.ListOffset(ctx, topic, partition, wire.Latest, false)
	if err != nil {
		return err
	}
	if pos.Offset < first || pos.Offset >= end {
		return fmt.Errorf("%w: it stands at offset %d, the topic holds %d to %d", errStale, pos.Offset, first, end)
	}
	return nil
}

// read feeds every committed record of a state partition from an offset on to fn,
// in order, at the pace that is set.
func (l *localState) read(ctx context.Context, partition int32, from int64, r *restored, fn func(*wire.Record) error) error {
	topic := l.cfg.Topics().State
	start, begin, unpaced := time.Now(), int64(-1), 0
	said := start
	_, err := stream.Read(ctx, l.client, stream.ReadConfig{
		TopicPartition: wire.TopicPartition{Topic: topic, Partition: partition}, From: from, Committed: true,
		Progress: func(offset, end int64) {
			if begin < 0 {
				begin = offset
			}
			if now := time.Now(); now.Sub(said) >= progressEvery {
				said = now
				l.log.Info("restoring the state of a log partition", "partition", partition, "percent", 100*(offset-begin)/max(end-begin, 1),
					"mib", r.bytes>>20, "mib_per_second", float64(r.bytes)/(1<<20)/now.Sub(start).Seconds())
			}
		},
	}, func(rec *wire.Record) error {
		n := len(rec.Key) + len(rec.Value)
		r.records++
		r.bytes += int64(n)
		if unpaced += n; l.pace != nil && unpaced >= paceBytes {
			if err := l.pace.WaitN(ctx, min(unpaced, l.pace.Burst())); err != nil {
				return err
			}
			unpaced = 0
		}
		if err := fn(rec); err != nil && !failpoint.Due("windowing.ignore_damage") {
			return fmt.Errorf("%s[%d]@%d: %w", topic, partition, rec.Offset, err)
		}
		return nil
	})
	return err
}
