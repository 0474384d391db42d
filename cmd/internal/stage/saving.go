package stage

import (
	"context"
	"errors"
	"fmt"

	"profilestream/profile"
	"profilestream/stream/failpoint"
	"profilestream/stream/store"
)

// saving is one checkpoint's state on its way into the topic and the store.
type saving struct {
	w     *windowing
	bytes int
	at    store.Position // of the marker
	batch *store.Batch   // nil: no local store
}

// saveState commits the changed state to the state topic, and then to the local
// store.
func (w *windowing) saveState(ctx context.Context) (bytes int, err error) {
	s := saving{w: w, at: store.Position{Cluster: w.local.cluster, Topic: w.cfg.Topics().State, Partition: w.partition}}
	if w.store != nil {
		s.batch = w.store.Batch()
	}
	if err := s.transaction(ctx); err != nil {
		return s.bytes, errors.Join(err, s.drop())
	}
	if s.batch != nil {
		if err := s.keep(ctx); err != nil {
			return s.bytes, fmt.Errorf("keeping the state of log partition %d: %w", w.partition, err)
		}
		failpoint.Hit("windowing.after_store")
	}
	w.state.Commit()
	w.state.SetCacheBytes(w.local.share())
	return s.bytes, nil
}

// transaction writes the changes to the state topic.
func (s *saving) transaction(ctx context.Context) error {
	w := s.w
	now := w.now().UnixMilli()
	err := w.state.Changes(w.last, func(key, value []byte) error {
		w.stateBatch.Add(now, key, value)
		s.bytes += len(key) + len(value)
		if s.batch != nil {
			if err := profile.Mirror(s.batch, key, value); err != nil {
				return err
			}
		}
		if profile.IsMarker(key) {
			s.at.Check = store.Checksum(value)
		}
		if w.stateBatch.Bytes() < maxMessageBytes {
			return nil
		}
		return s.send(ctx)
	})
	if err == nil {
		err = s.send(ctx)
	}
	if err != nil {
		return fmt.Errorf("saving the state of log partition %d: %w", w.partition, err)
	}
	failpoint.Hit("windowing.in_transaction")
	if err := w.txn.Commit(ctx); err != nil {
		return fmt.Errorf("committing the state of log partition %d: %w", w.partition, err)
	}
	failpoint.Hit("windowing.after_transaction")
	return nil
}

// send appends what is collected. The marker comes last, so that its place is
// that of the last record sent.
func (s *saving) send(ctx context.Context) error {
	b := &s.w.stateBatch
	n := int64(b.Len())
	if n == 0 {
		return nil
	}
	base, err := s.w.txn.Append(ctx, s.at.Topic, s.w.partition, b)
	s.at.Offset = base + n - 1
	b.Reset()
	return err
}

// keep writes the changes to the local store, and cleans its files of users that
// were erased.
func (s *saving) keep(ctx context.Context) error {
	w := s.w
	if err := w.state.MirrorUsers(s.batch); err != nil {
		return errors.Join(err, s.drop())
	}
	if err := w.store.Commit(s.batch, s.at); err != nil {
		return err
	}
	var prefixes [][]byte
	for _, user := range w.state.Erased() {
		prefixes = append(prefixes, profile.StorePrefixes(user)...)
	}
	return w.store.Purge(ctx, prefixes)
}

// drop gives a batch up.
func (s *saving) drop() error {
	if s.batch == nil {
		return nil
	}
	return s.batch.Close()
}

// closeStore gives the local store back, flushed, or removes it if it is spoilt.
func (w *windowing) closeStore() error {
	w.local.owned.Add(-1)
	if w.store == nil {
		return nil
	}
	if !w.spoilt && w.store.Damaged() == nil {
		return w.store.Close()
	}
	return errors.Join(w.store.Abandon(), store.Remove(w.local.storeConfig(w.partition)))
}
