package stage

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"profilestream/inference/embed"
	"profilestream/schemas"
	"profilestream/stream"
	"profilestream/stream/clickhouse"
	"profilestream/stream/wire"
)

// shown reads the topic scored as a table does: of each user and log version the
// row with the largest row version, and whether it is degraded. all counts the
// degraded rows that ever were.
func (r *rig) shown() (degraded map[string]bool, all int) {
	r.t.Helper()
	degraded, best := map[string]bool{}, map[string]uint64{}
	r.records(r.env.Config.Topics().Scored, 0, func(x *wire.Record) {
		m, err := decodeMessage(x, memory.DefaultAllocator)
		r.must(err)
		defer m.rows.Release()
		ids, versions := idsAndVersions(m.rows)
		flags := m.rows.Column(schemas.ColDegraded).(*array.Boolean)
		for i, v := range versions {
			if flags.Value(i) {
				all++
			}
			key := fmt.Sprint(ids.Value(i), " ", v)
			if version := clickhouse.RowVersion(v, m.promotion, flags.Value(i)); version >= best[key] {
				best[key], degraded[key] = version, flags.Value(i)
			}
		}
	})
	return degraded, all
}

// scorerOf makes the scorer of a partition that was committed at a place.
func (r *rig) scorerOf(topic string, at stream.Commit, s rowScorer, promotion int64) *scoring {
	r.t.Helper()
	out := newScoring(s, topic == r.env.Config.Topics().Windows, newMessageWriter(r.c, r.env.Config.Topics().Scored, 0))
	if promotion != 2 {
		out.models.put(&working{rowScorer: s, promotion: promotion})
	}
	low, err := newDegraded(r.c, stream.Assignment{Topic: topic, Committed: at.Offset, Metadata: at.Metadata}, true)
	r.must(err)
	out.low, out.next = low, at.Offset
	return out
}

// scoreFrom has a scorer read on from where it was committed.
func (r *rig) scoreFrom(s *scoring, topic string) stream.Commit {
	r.t.Helper()
	r.read(wire.TopicPartition{Topic: topic}, s.next, func(rs *wire.Records) error { return s.Process(r.ctx(), rs) })
	at, err := s.Flush(r.ctx())
	r.must(err)
	return at
}

// TestDegradedRowsAreScoredAgain: while the breaker is open, rows come out from
// numbers alone; the first one's place outlives crashes, and once the encoder
// works none is left.
func TestDegradedRowsAreScoredAgain(t *testing.T) {
	down := func() *fakeScorer { return &fakeScorer{fail: embed.ErrOpen, until: time.Now().Add(time.Hour)} }
	for _, live := range []bool{true, false} {
		t.Run(map[bool]string{true: "live", false: "day"}[live], func(t *testing.T) {
			r := newRig(t)
			topic, kind := r.env.Config.Topics().Days, schemas.RowsDay
			if live {
				topic, kind = r.env.Config.Topics().Windows, schemas.RowsLive
			}
			send := func(first int64) {
				r.sendRows(topic, kind, 2, versioned(t, []string{fmt.Sprint("ann", first), fmt.Sprint("bob", first)}, []int64{first, first + 1}))
			}
			send(1)
			at := r.scoreFrom(r.scorerOf(topic, stream.Commit{}, &fakeScorer{}, 2), topic)
			send(3)
			send(5)
			at = r.scoreFrom(r.scorerOf(topic, at, down(), 2), topic)
			if at.Offset != 3 || at.Metadata != "v1 degraded=1 promotion=2" {
				t.Fatalf("committed %+v", at)
			}
			send(7) // by an owner with a later model, that dies before its commit
			again := r.scoreFrom(r.scorerOf(topic, at, down(), 3), topic)
			if again.Offset != 4 || again.Metadata != "v1 degraded=1 promotion=3" {
				t.Fatalf("committed %+v", again)
			}
			at = r.scoreFrom(r.scorerOf(topic, at, down(), 3), topic)
			if _, n := r.shown(); n != 4+2+2 {
				t.Fatalf("%d degraded rows came out", n)
			}
			// The encoder works again. A crash after the first rows that were scored anew.
			s := r.scorerOf(topic, at, &fakeScorer{}, 3)
			if s.Drained() {
				t.Error("drained, with degraded rows")
			}
			r.must(s.improve(r.ctx()))
			s = r.scorerOf(topic, at, &fakeScorer{}, 3)
			send(9)
			for at = r.scoreFrom(s, topic); at.Metadata != ""; {
				var err error
				at, err = s.Flush(r.ctx())
				r.must(err)
			}
			if at.Offset != 5 || !s.Drained() {
				t.Errorf("committed %+v", at)
			}
			rows, _ := r.shown()
			if len(rows) != 10 {
				t.Errorf("%d rows, want 10", len(rows))
			}
			for key, degraded := range rows {
				if degraded {
					t.Errorf("%s is degraded", key)
				}
			}
		})
	}
}

// TestDegradedRowsWaitForTheEncoder: nothing is scored anew while the encoder is
// down, when the owner is to stop, or by an older model; what comes in is scored
// all the while.
func TestDegradedRowsWaitForTheEncoder(t *testing.T) {
	r := newRig(t)
	topic := r.env.Config.Topics().Days
	r.sendRows(topic, schemas.RowsDay, 0, versioned(t, []string{"ann"}, []int64{1}))
	f := &fakeScorer{fail: embed.ErrOpen, until: time.Now().Add(time.Hour)}
	s := r.scorerOf(topic, stream.Commit{}, f, 2)
	clock := day0
	s.now = func() time.Time { return clock }
	at := r.scoreFrom(s, topic)
	for range 3 {
		clock = clock.Add(maxRetryInterval)
		again, err := s.Flush(r.ctx())
		if err != nil || again != at || at.Metadata == "" {
			t.Fatalf("committed %+v, then %+v, %v", at, again, err)
		}
	}
	f.until, clock = time.Time{}, clock.Add(maxRetryInterval)
	stopping := make(chan struct{})
	s.stopping = stopping
	close(stopping)
	if again, err := s.Flush(r.ctx()); err != nil || again != at {
		t.Errorf("when stopping: committed %+v, %v", again, err)
	}
	s.stopping = nil
	if again, err := s.Flush(r.ctx()); err != nil || again.Metadata != "" {
		t.Errorf("committed %+v, %v", again, err)
	}
	if rows, _ := r.shown(); rows["ann 1"] {
		t.Error("the row is still degraded")
	}
	if _, err := newDegraded(r.c, stream.Assignment{Topic: topic, Metadata: "somebody else's"}, true); err == nil {
		t.Error("foreign metadata is taken")
	}
}

// TestOnlyAnOpenBreakerDegrades: an error that the breaker has not judged yet is
// tried again, and without the setting an open one is waited out.
func TestOnlyAnOpenBreakerDegrades(t *testing.T) {
	for name, c := range map[string]struct {
		fail    error
		allowed bool
	}{"another error": {errors.New("broken"), true}, "not allowed": {embed.ErrOpen, false}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			topic := r.env.Config.Topics().Days
			r.sendRows(topic, schemas.RowsDay, 0, versioned(t, []string{"ann"}, []int64{1}))
			s := r.scorerOf(topic, stream.Commit{}, &fakeScorer{fail: c.fail, times: 1}, 2)
			s.low.allowed = c.allowed
			if at := r.scoreFrom(s, topic); at.Offset != 1 || at.Metadata != "" {
				t.Errorf("committed %+v", at)
			}
			if _, n := r.shown(); n != 0 {
				t.Errorf("%d degraded rows", n)
			}
		})
	}
}
