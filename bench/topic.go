package main

import (
	"bytes"
	"context"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"

	"profilestream/schemas"
	"profilestream/stream/wire"
)

// read calls fn with the committed records of a topic partition, in order,
// until fn returns false. The record is valid until fn returns.
func (s *session) read(topic string, partition int32, fn func(r *wire.Record) bool) {
	s.readFrom(0, topic, partition, fn)
}

// readFrom reads what comes after a share of the partition.
func (s *session) readFrom(share float64, topic string, partition int32, fn func(r *wire.Record) bool) {
	ctx := context.Background()
	end, err := s.client.ListOffset(ctx, topic, partition, wire.Latest, true)
	if err != nil {
		s.Fatal(err)
	}
	f := s.client.NewFetcher(topic, partition, int64(share*float64(end)), wire.FetchConfig{Committed: true})
	for f.Offset() < end {
		rs, err := f.Fetch(ctx)
		if err != nil {
			s.Fatal(err)
		}
		for r := rs.Next(); r != nil; r = rs.Next() {
			if !fn(r) {
				return
			}
		}
		if err := rs.Err(); err != nil {
			s.Fatal(err)
		}
		rs.Release()
	}
}

func (s *session) partitions(topic string) int32 {
	tps, err := s.client.Partitions(context.Background(), topic)
	if err != nil {
		s.Fatal(err)
	}
	return int32(len(tps))
}

// arrowRows decodes a message of rows; the caller releases it. ok is false for
// other messages, such as those of accounting.
func (s *session) arrowRows(r *wire.Record) (rows arrow.Record, ok bool) {
	if name, _ := r.Header(schemas.HeaderSchema); string(name) == schemas.AccountingRowsSchema {
		return nil, false
	}
	rd, err := ipc.NewReader(bytes.NewReader(r.Value))
	if err != nil {
		s.Fatal(err)
	}
	defer rd.Release()
	if !rd.Next() {
		s.Fatalf("a message without rows: %v", rd.Err())
	}
	rows = rd.Record()
	rows.Retain()
	return rows, true
}

// countRows is the number of rows in all messages of a topic.
func (s *session) countRows(topic string) (n int64) {
	for p := range s.partitions(topic) {
		s.read(topic, p, func(r *wire.Record) bool {
			if rows, ok := s.arrowRows(r); ok {
				n += rows.NumRows()
				rows.Release()
			}
			return true
		})
	}
	return n
}

// message is an encoded message of rows with its headers.
type message struct {
	value   []byte
	headers []wire.Header
	rows    int64
}

// lateRows is where in a history customers have one: the texts of its first days
// are short.
const lateRows = .5

// takeRows copies messages of a topic until they hold limit rows, or as many as
// there are, starting after a share of each partition; the last message is cut.
// want says which messages count; nil: all.
func (s *session) takeRows(share float64, topic string, limit int64, want func(arrow.Record) bool) (out []message, total int64) {
	for p := range s.partitions(topic) {
		s.readFrom(share, topic, p, func(r *wire.Record) bool {
			rows, ok := s.arrowRows(r)
			if !ok {
				return true
			}
			defer rows.Release()
			if want != nil && !want(rows) {
				return true
			}
			n := min(rows.NumRows(), limit-total)
			part := rows.NewSlice(0, n)
			defer part.Release()
			var buf bytes.Buffer
			w := ipc.NewWriter(&buf, ipc.WithSchema(part.Schema()))
			if err := w.Write(part); err != nil {
				s.Fatal(err)
			}
			if err := w.Close(); err != nil {
				s.Fatal(err)
			}
			m := message{value: buf.Bytes(), rows: n, headers: r.AppendHeaders(nil)}
			out = append(out, m)
			total += n
			return total < limit
		})
		if total >= limit {
			break
		}
	}
	if total == 0 {
		s.Fatalf("%s holds no such rows", topic)
	}
	return out, total
}

// giveRows appends messages to a topic, round and round, until it holds at
// least so many rows, and returns how many.
func (s *session) giveRows(topic string, msgs []message, least int64) (rows int64) {
	producers := make([]*wire.Producer, s.partitions(topic))
	for p := range producers {
		producers[p] = s.client.NewProducer(topic, int32(p), wire.ProducerConfig{Codec: wire.LZ4, MaxBatchBytes: 4 << 20})
	}
	var b wire.Builder
	for i := 0; rows < least; i++ {
		m := msgs[i%len(msgs)]
		b.Reset()
		b.Add(time.Now().UnixMilli(), nil, m.value, m.headers...)
		if _, err := producers[i%len(producers)].Append(context.Background(), &b); err != nil {
			s.Fatal(err)
		}
		rows += m.rows
	}
	return rows
}

func isLive(rows arrow.Record) bool {
	return rows.Column(schemas.ColTrigger).(*array.Uint8).Value(0) == schemas.TriggerLive
}

func isDay(rows arrow.Record) bool { return !isLive(rows) }
