package stage

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"profilestream/profile"
	"profilestream/schemas"
	"profilestream/stream"
	"profilestream/stream/clickhouse"
	"profilestream/stream/wire"
)

var clicksID = profile.Source{Topic: "clickstream", Partition: 3}

// idleWriter is a writer that nobody runs: rows stay unacknowledged.
func idleWriter(t *testing.T) *clickhouse.Writer {
	t.Helper()
	c, err := clickhouse.Open(clickhouse.Config{Addr: []string{"127.0.0.1:1"}, Database: "profilestream", Run: "live", BatchRows: 10, BatchInterval: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return clickhouse.NewWriter(c, clickhouse.Deps{})
}

func TestOffsetsAreSettledInOrder(t *testing.T) {
	w := idleWriter(t)
	ticket := func(rows ...clickhouse.Diverted) clickhouse.Ticket {
		t.Helper()
		k, err := w.AddBad(t.Context(), rows)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	acknowledged, waiting := ticket(), ticket(clickhouse.Diverted{Reason: "bad_json"})
	a := acks{done: 3}
	expect := func(want int64, failed bool) {
		t.Helper()
		if at, err := a.settled(); at != want || (err != nil) != failed {
			t.Fatalf("settled %d, %v; want %d", at, err, want)
		}
	}
	expect(3, false)
	a.add(5, acknowledged)
	a.add(7, waiting)
	a.add(9, acknowledged) // may not be committed before what stands before it
	expect(5, false)
	expect(5, false)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	expect(5, true)
	if _, err := a.settled(); !errors.Is(err, clickhouse.ErrStopped) {
		t.Fatalf("rows that never arrived: %v", err)
	}
}

// TestSinkCommitsNothingUnacknowledged: both kinds of partition, with rows that
// ClickHouse has not taken.
func TestSinkCommitsNothingUnacknowledged(t *testing.T) {
	r := newRig(t)
	topics := r.env.Config.Topics()
	d := newDivertWriter(r.c, topics.DLQ, 0)
	d.batch.Add(1, []byte("key"), []byte("value"), deadLetterHeaders("bad_json", "f", clicksID, 41, 7)...)
	r.must(d.flush(r.ctx()))
	rows := versioned(t, []string{"ann"}, []int64{3})
	scored, err := (&fakeScorer{}).Score(r.ctx(), rows)
	r.must(err)
	w := newMessageWriter(r.c, topics.Scored, 0)
	r.must(w.add(message{schemas.ScoredRowsSchema, schemas.RowsLive, 0, "v", scored}, 0))
	r.must(w.flush(r.ctx()))

	ch := idleWriter(t)
	bad := &divertedSink{writer: ch}
	r.read(wire.TopicPartition{Topic: topics.DLQ}, 0, func(rs *wire.Records) error { return bad.Process(r.ctx(), rs) })
	good := &rowsSink{writer: ch}
	r.read(wire.TopicPartition{Topic: topics.Scored}, 0, func(rs *wire.Records) error { return good.Process(r.ctx(), rs) })
	for _, s := range []interface {
		Flush(context.Context) (wire.Position, error)
	}{bad, good} {
		if at, err := s.Flush(r.ctx()); at.Offset != 0 || err != nil {
			t.Errorf("%T commits %v, %v before ClickHouse has the rows", s, at, err)
		}
	}
	ctx, cancel := context.WithCancel(r.ctx())
	cancel()
	for _, s := range []interface {
		Finish(context.Context, stream.Ending) (wire.Position, error)
	}{bad, good} {
		if at, err := s.Finish(ctx, 0); at.Offset != -1 || err == nil {
			t.Errorf("%T finishes with %v, %v while ClickHouse is away", s, at, err)
		}
	}
}

func TestDivertedRowIsWhatWasSent(t *testing.T) {
	r := newRig(t)
	topic := r.env.Config.Topics().Late
	d := newDivertWriter(r.c, topic, 1)
	d.batch.Add(1, []byte("key"), []byte("value"), deadLetterHeaders("late", "", clicksID, 41, 7)...)
	d.batch.Add(1, nil, nil, wire.Header{Key: schemas.HeaderSourcePartition, Value: []byte("x")})
	r.must(d.flush(r.ctx()))
	var got []clickhouse.Diverted
	var errs []error
	r.records(topic, 1, func(x *wire.Record) {
		row, err := DivertedRow(x)
		got, errs = append(got, row), append(errs, err)
	})
	want := clickhouse.Diverted{
		SourceTopic: "clickstream", SourcePartition: 3, SourceOffset: 41, Reason: "late",
		Key: []byte("key"), Value: []byte("value"), KafkaMillis: 7, Offset: 0,
	}
	if d := cmp.Diff(want, got[0]); d != "" || errs[0] != nil {
		t.Error(d, errs[0])
	}
	if errs[1] == nil {
		t.Error("a record without a source position is taken")
	}
}
