package stage

import (
	"bytes"
	"context"
	"fmt"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"profilestream/cmd/internal/privacy"
	"profilestream/schemas"
	"profilestream/stream"
	"profilestream/stream/clickhouse"
	"profilestream/stream/failpoint"
	"profilestream/stream/wire"
)

// acks are the rows on their way to ClickHouse, in the order of their offsets.
type acks struct {
	waiting []ack
	done    int64 // everything below is acknowledged
}

type ack struct {
	next   int64 // offset after the record that the rows came from
	ticket clickhouse.Ticket
}

func (a *acks) add(next int64, t clickhouse.Ticket) { a.waiting = append(a.waiting, ack{next, t}) }

// settled returns the offset below which everything is acknowledged, without
// waiting for more.
func (a *acks) settled() (int64, error) {
	if n := len(a.waiting); n > 0 && failpoint.Due("sink.commit_early") {
		a.done, a.waiting = a.waiting[n-1].next, nil
	}
	for len(a.waiting) > 0 {
		select {
		case <-a.waiting[0].ticket.Done():
		default:
			return a.done, nil
		}
		if err := a.waiting[0].ticket.Err(); err != nil {
			return a.done, err
		}
		a.done = a.waiting[0].next
		a.waiting = a.waiting[1:]
	}
	return a.done, nil
}

// rowsSink writes the scored rows and totals of one partition of the topic
// scored. Offsets are committed after ClickHouse has acknowledged the rows.
type rowsSink struct {
	writer *clickhouse.Writer
	erased *privacy.Set
	acks   acks
}

// Process queues the rows; it blocks while the writer's queue is full, which
// stops the fetch.
func (s *rowsSink) Process(ctx context.Context, rs *wire.Records) error {
	for r := rs.Next(); r != nil; r = rs.Next() {
		m, err := decodeMessage(r, memory.DefaultAllocator)
		if err == nil {
			err = s.add(ctx, m, r.Offset+1)
			m.rows.Release()
		}
		if err != nil {
			return fmt.Errorf("%s[%d]@%d: %w", rs.Topic, rs.Partition, r.Offset, err)
		}
	}
	return rs.Err()
}

func (s *rowsSink) add(ctx context.Context, m message, next int64) error {
	switch m.schema {
	case schemas.AccountingRowsSchema:
		t, err := s.writer.AddAccounting(ctx, m.rows)
		if err == nil {
			s.acks.add(next, t)
		}
		return err
	case schemas.ScoredRowsSchema:
		if m.kind != schemas.RowsLive && m.kind != schemas.RowsDay {
			return fmt.Errorf("%w: rows of kind %q", errSchema, m.kind)
		}
		meta := clickhouse.Meta{History: m.kind == schemas.RowsDay, Promotion: m.promotion, ConfigVersion: m.configVersion}
		return keptRows(s.erased, m.rows, func(rows arrow.Record, last bool) error {
			t, err := s.writer.AddScored(ctx, rows, meta)
			if err != nil {
				return err
			}
			if !last { // the message is done with its last piece
				s.acks.add(next-1, t)
				return nil
			}
			s.acks.add(next, t)
			return nil
		})
	}
	return fmt.Errorf("%w: %q has no table", errSchema, m.schema)
}

// Flush returns the place up to which ClickHouse has acknowledged everything.
func (s *rowsSink) Flush(context.Context) (stream.Commit, error) {
	at, err := s.acks.settled()
	return stream.Commit{Offset: at}, err
}

// Finish waits until ClickHouse has acknowledged everything queued.
func (s *rowsSink) Finish(ctx context.Context, _ stream.Ending) (stream.Commit, error) {
	if err := s.writer.Flush(ctx); err != nil {
		return stream.Commit{Offset: -1}, err
	}
	return s.Flush(ctx)
}

// Close gives the partition up.
func (s *rowsSink) Close() error { return nil }

// divertedSink writes one partition of the DLQ or late topic.
type divertedSink struct {
	writer *clickhouse.Writer
	erased *privacy.Set
	late   bool
	acks   acks
}

// Process queues the records as rows of bad_events or late_events.
func (s *divertedSink) Process(ctx context.Context, rs *wire.Records) error {
	var rows []clickhouse.Diverted
	for r := rs.Next(); r != nil; r = rs.Next() {
		d, err := DivertedRow(r)
		if err != nil {
			return fmt.Errorf("%s[%d]@%d: %w", rs.Topic, rs.Partition, r.Offset, err)
		}
		if !Forgotten(s.erased, &d) {
			rows = append(rows, d)
		}
	}
	if err := rs.Err(); err != nil {
		return err
	}
	add := s.writer.AddBad
	if s.late {
		add = s.writer.AddLate
	}
	t, err := add(ctx, rows)
	if err == nil {
		s.acks.add(rs.Offset(), t)
	}
	return err
}

// DivertedRow reads a record of the DLQ or late topic: what was diverted, why,
// and its source position. It does not alias the record.
func DivertedRow(r *wire.Record) (clickhouse.Diverted, error) {
	text := func(name string) string { v, _ := r.Header(name); return string(v) }
	d := clickhouse.Diverted{
		SourceTopic: text(schemas.HeaderSourceTopic), Reason: text(schemas.HeaderReason), Field: text(schemas.HeaderField),
		Key: bytes.Clone(r.Key), Value: bytes.Clone(r.Value), Truncated: text(schemas.HeaderTruncated) == "true", Offset: r.Offset,
	}
	partition, err := strconv.ParseInt(text(schemas.HeaderSourcePartition), 10, 32)
	if err == nil {
		d.SourceOffset, err = strconv.ParseInt(text(schemas.HeaderSourceOffset), 10, 64)
	}
	if err == nil {
		d.KafkaMillis, err = strconv.ParseInt(text(schemas.HeaderKafkaTimestamp), 10, 64)
	}
	var epoch int64
	if e := text(schemas.HeaderSourceEpoch); err == nil && e != "" {
		epoch, err = strconv.ParseInt(e, 10, 32)
	}
	d.SourcePartition, d.SourceEpoch = int32(partition), int32(epoch)
	if err != nil {
		return d, fmt.Errorf("reading the headers of a diverted record: %w", err)
	}
	return d, nil
}

// Flush returns the place up to which ClickHouse has acknowledged everything.
func (s *divertedSink) Flush(context.Context) (stream.Commit, error) {
	at, err := s.acks.settled()
	return stream.Commit{Offset: at}, err
}

// Finish waits until ClickHouse has acknowledged everything queued.
func (s *divertedSink) Finish(ctx context.Context, _ stream.Ending) (stream.Commit, error) {
	if err := s.writer.Flush(ctx); err != nil {
		return stream.Commit{Offset: -1}, err
	}
	return s.Flush(ctx)
}

// Close gives the partition up.
func (s *divertedSink) Close() error { return nil }
