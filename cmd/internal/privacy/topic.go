package privacy

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"profilestream/cmd/internal/config"
	"profilestream/profile"
	"profilestream/schemas"
	"profilestream/stream"
	"profilestream/stream/wire"
)

var topic = wire.TopicPartition{Topic: schemas.ErasuresTopic}

// Load reads the topic of erasures up to its end, for a run over an event log.
// It returns the offset to follow the topic from.
func Load(ctx context.Context, c *wire.Client, key *Key, log string) (*Set, int64, error) {
	s := NewSet(key, log)
	topics, err := c.Topics(ctx)
	if err != nil || topics[topic.Topic] == 0 { // nobody was erased yet
		return s, 0, err
	}
	newest := map[Hash]Entry{}
	next, err := read(ctx, c, wire.Earliest, false, func(h Hash, e Entry) error {
		newest[h] = e
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	for h, e := range newest {
		if err := s.take(ctx, c, h, &e); err != nil {
			return nil, 0, err
		}
	}
	return s, next, nil
}

// Follow takes in what is written to the topic from an offset on, until ctx ends
// or reading fails. It returns where to go on.
func (s *Set) Follow(ctx context.Context, c *wire.Client, from int64) (int64, error) {
	return read(ctx, c, from, true, func(h Hash, e Entry) error { return s.take(ctx, c, h, &e) })
}

func read(ctx context.Context, c *wire.Client, from int64, follow bool, fn func(Hash, Entry) error) (int64, error) {
	return stream.Read(ctx, c, stream.ReadConfig{TopicPartition: topic, From: from, Committed: true, Follow: follow}, func(r *wire.Record) error {
		if r.Value == nil {
			return nil
		}
		h, e, err := decodeEntry(r.Key, r.Value)
		if err != nil {
			return fmt.Errorf("%v@%d: %w", topic, r.Offset, err)
		}
		return fn(h, e)
	})
}

// take turns an entry into the run's terms. A log that is listed and no longer
// holds the erase record at its place was made anew: to it the erasure is one
// from before its time.
func (s *Set) take(ctx context.Context, c *wire.Client, h Hash, e *Entry) error {
	if s.key == nil {
		return &config.Error{Key: "privacy.erasure_key_file", Reason: "users have been erased on this cluster: give the key that profilectl erase used, or they would come back"}
	}
	if e.Key != s.key.ID {
		return &config.Error{Key: "privacy.erasure_key_file", Reason: fmt.Sprintf("the key has the id %s, users were erased with %s: one key serves all runs of a cluster", s.key.ID, e.Key)}
	}
	l := e.log(s.log)
	if l != nil && l.Offset >= 0 {
		there, err := e.stands(ctx, c, l)
		if err != nil {
			return err
		}
		if !there {
			l = nil
		}
	}
	r := &rule{erase: e.erase(nil, l), listed: l != nil}
	if l != nil {
		r.partition, r.offset = l.Partition, l.Offset
	}
	s.put(h, r)
	return nil
}

// stands says whether a log is the one that an erase record was appended to. One
// whose retention has passed the record is.
func (e *Entry) stands(ctx context.Context, c *wire.Client, l *Log) (bool, error) {
	topics, err := c.Topics(ctx)
	if err != nil || int(l.Partition) >= topics[l.Topic] {
		return false, err
	}
	first, err := c.ListOffset(ctx, l.Topic, l.Partition, wire.Earliest, false)
	if err != nil || l.Offset < first {
		return true, err
	}
	end, err := c.ListOffset(ctx, l.Topic, l.Partition, wire.Latest, false)
	if err != nil || l.Offset >= end {
		return false, err
	}
	rs, err := c.NewFetcher(l.Topic, l.Partition, l.Offset, wire.FetchConfig{}).Fetch(ctx)
	if err != nil {
		return false, fmt.Errorf("looking for an erase record: %w", err)
	}
	defer rs.Release()
	var record profile.Record
	r := rs.Next()
	if r == nil || r.Offset != l.Offset || profile.DecodeRecord(r.Value, &record) != nil || record.Kind != profile.KindErase {
		return false, nil
	}
	want := e.erase(record.Erase.User, l)
	return bytes.Equal(profile.AppendErase(nil, &want), r.Value), nil
}

// write appends an entry under each of a user's hashes, in one transaction.
func write(ctx context.Context, txn *wire.Transactor, millis int64, hashes []Hash, e *Entry) error {
	value, err := e.encode()
	if err != nil {
		return err
	}
	b := new(wire.Builder)
	for _, h := range hashes {
		b.Add(millis, []byte(h.String()), value)
	}
	if _, err = txn.Append(ctx, topic.Topic, topic.Partition, b); err == nil {
		err = txn.Commit(ctx)
	}
	if errors.Is(err, wire.ErrFenced) {
		return fmt.Errorf("another erasure began meanwhile, repeat this one: %w", err)
	}
	return err
}
