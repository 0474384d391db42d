package stream

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"profilestream/stream/kafkatest"
	"profilestream/stream/wire"
)

// mergeRecorder notes "topic-suffix:value" in the order of arrival.
type mergeRecorder struct {
	h     *harness
	names map[string]string
	next  map[TopicPartition]Commit
	idle  map[TopicPartition][2]time.Time
	moves map[TopicPartition]Commit // what Assigned returns
}

func (h *harness) merger(names map[string]string) MergeFactory {
	return func(context.Context) (MergeProcessor, error) {
		return &mergeRecorder{h: h, names: names, next: make(map[TopicPartition]Commit), idle: make(map[TopicPartition][2]time.Time)}, nil
	}
}

func (m *mergeRecorder) Assigned(_ context.Context, as []Assignment) (moved map[TopicPartition]Commit, err error) {
	for _, a := range as {
		m.next[a.TP()] = Commit{Offset: a.Committed}
		if to, ok := m.moves[a.TP()]; ok {
			m.next[a.TP()] = to
		}
	}
	return m.moves, nil
}

func (m *mergeRecorder) Process(_ context.Context, src TopicPartition, rs *Records) error {
	for r := rs.Next(); r != nil; r = rs.Next() {
		v := string(r.Value)
		m.h.note(func() { m.h.seen[v]++; m.h.order = append(m.h.order, v) })
	}
	m.next[src] = Commit{Offset: rs.Offset()}
	delete(m.idle, src)
	return nil
}

func (m *mergeRecorder) Idle(_ context.Context, src TopicPartition, since, sent time.Time) error {
	if sent.Before(since) || sent.After(time.Now()) {
		return fmt.Errorf("idle since %v by a fetch of %v", since, sent)
	}
	m.h.note(func() { m.h.idle = append(m.h.idle, fmt.Sprintf("%s@%d", m.names[src.Topic], m.next[src].Offset)) })
	return nil
}

func (m *mergeRecorder) Flush(context.Context) (map[TopicPartition]Commit, error) { return m.next, nil }

func (m *mergeRecorder) Finish(_ context.Context, why Ending) (map[TopicPartition]Commit, error) {
	m.h.note(func() { m.h.endings = append(m.h.endings, why.String()) })
	return m.next, nil
}

func (m *mergeRecorder) Close() error { return nil }

func TestMergeReadsOldestFirst(t *testing.T) {
	onBrokers(t, func(t *testing.T, h *harness) {
		clicks, purchases := kafkatest.Name("clicks"), kafkatest.Name("purchases")
		h.create(clicks, 2)
		h.create(purchases, 1)
		const step = 4 * mergeSlackMillis // what lies closer together may come in any order
		// Purchases lie 100 steps behind the clicks in Kafka time.
		want := h.write(purchases, 0, "p", 300, 1_000_000, step/3)
		want = append(want, h.write(clicks, 0, "c0", 200, 1_000_000+100*step, step)...)
		want = append(want, h.write(clicks, 1, "c1", 200, 1_000_000+100*step+step/2, step)...)
		both := func(c *GroupConfig) { c.Topics = []string{clicks, purchases}; c.FetchBytes = 3000 }
		r, err := h.newGroup(both, drained).RunMerge(h.ctx(), h.merger(nil))
		if err != nil || !r.Drained {
			t.Fatalf("%+v %v", r, err)
		}
		h.once(want)
		if got := h.order[:300]; !strings.HasPrefix(got[299], "p-") || got[0] != "p-0" {
			t.Errorf("purchases did not come first: %q ... %q", got[0], got[299])
		}
		rest := h.order[300:]
		for i, v := range rest {
			if want := fmt.Sprintf("c%d-%d", i%2, i/2); v != want {
				t.Fatalf("position %d: %s, want %s", i, v, want)
			}
		}
		lag, err := h.client.GroupLag(h.ctx(), h.group, clicks, purchases)
		for tp, l := range lag {
			if l.Records() != 0 {
				t.Errorf("%v: %+v", tp, l)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestMergeReportsIdleSources(t *testing.T) {
	h := newHarness(t, kafkatest.Fake(t))
	other := kafkatest.Name("other")
	h.create(h.topic, 1)
	h.create(other, 1)
	h.write(h.topic, 0, "a", 10, 1000, 1)
	ctx, cancel := context.WithCancel(h.ctx())
	done := make(chan error, 1)
	go func() {
		g := h.newGroup(func(c *GroupConfig) { c.Topics = []string{h.topic, other} })
		_, err := g.RunMerge(ctx, h.merger(map[string]string{h.topic: "a", other: "b"}))
		done <- err
	}()
	h.await("both are idle", func() bool { return slices.Contains(h.idle, "a@10") && slices.Contains(h.idle, "b@0") })
	h.write(other, 0, "b", 5, 1, 1)
	h.await("idle again, later", func() bool { return slices.Contains(h.idle, "b@5") })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	for _, v := range h.idle {
		if v == "a@0" {
			t.Error("a source with data was called idle")
		}
	}
	if diff := cmp.Diff([]string{"stopped"}, h.endings); diff != "" {
		t.Error(diff)
	}
}

func TestMergeRebalances(t *testing.T) {
	onBrokers(t, func(t *testing.T, h *harness) {
		h.create(h.topic, 4)
		var want []string
		round := func(name string) {
			for p := range int32(4) {
				want = append(want, h.write(h.topic, p, fmt.Sprint(name, p), 100, 1, 1)...)
			}
		}
		worker := func() func() error {
			ctx, cancel := context.WithCancel(context.Background())
			out := make(chan error, 1)
			go func() {
				_, err := h.newGroup(func(c *GroupConfig) { c.FlushInterval = time.Hour }).RunMerge(ctx, h.merger(nil))
				out <- err
			}()
			return func() error { cancel(); return <-out }
		}
		round("a")
		first := worker()
		h.await("the first worker has all", func() bool { return len(h.seen) == 400 })
		second := worker()
		h.await("a rebalance", func() bool { return len(h.endings) > 0 })
		round("b")
		h.await("both rounds are processed", func() bool { return len(h.seen) == 800 })
		if err := first(); err != nil {
			t.Error(err)
		}
		round("c")
		h.await("the second worker has all", func() bool { return len(h.seen) == 1200 })
		if err := second(); err != nil {
			t.Error(err)
		}
		h.once(want)
	})
}

// The choice of the next source, case by case.
func TestPick(t *testing.T) {
	s := &session{g: &Group{cfg: GroupConfig{MaxSourceLead: time.Hour}}}
	now := time.Now()
	const hour = 3_600_000
	at := func(ts int64) *source { return &source{cur: fetched{records: recordsAt(ts)}, newest: ts - 1} }
	waiting := func(newest, backlog int64, since time.Duration) *source {
		return &source{newest: newest, backlog: backlog, waiting: now.Add(-since)}
	}
	cases := []struct {
		name    string
		sources []*source
		want    int // index, -1 wait
		until   int64
	}{
		{"the smaller one, up to the other", []*source{at(200), at(100)}, 1, 200 + mergeSlackMillis},
		{"empty sources do not count", []*source{at(100), waiting(5, 0, 0)}, 0, 0},
		{"data is on its way", []*source{at(100), waiting(5, 9, 0)}, -1, 0},
		{"data is on its way but cannot be older", []*source{at(100), waiting(101, 9, 0)}, 0, 0},
		{"stalled, within the lead", []*source{at(hour), waiting(5, 9, time.Minute)}, 0, 0},
		{"stalled, beyond the lead", []*source{at(hour + 6), waiting(5, 9, time.Minute)}, -1, 0},
		{"never heard of", []*source{at(100), waiting(-1, -1, time.Minute)}, -1, 0},
		{"nothing at hand", []*source{waiting(5, 0, 0)}, -1, 0},
	}
	for _, c := range cases {
		m := &merge{s: s, sources: c.sources}
		next, until := m.pick(now)
		got := slices.Index(c.sources, next)
		if got != c.want || c.until > 0 && until != c.until {
			t.Errorf("%s: source %d until %d, want %d until %d", c.name, got, until, c.want, c.until)
		}
	}
}

// recordsAt returns a set whose next record has that timestamp.
func recordsAt(ts int64) *Records {
	b := new(wire.Builder)
	b.Add(ts, nil, []byte("x"))
	raw, err := b.Encode(wire.None)
	if err != nil {
		panic(err)
	}
	rs := new(Records)
	rs.Reset(raw, 0, nil)
	return rs
}

// TestMergeBeginsWhereItIsMoved: a source that Assigned moves is read from there,
// and its new place is committed though nothing follows.
func TestMergeBeginsWhereItIsMoved(t *testing.T) {
	h := newHarness(t, kafkatest.Fake(t))
	h.create(h.topic, 1)
	values := h.write(h.topic, 0, "v", 10, 1_000_000, 1)
	tp := TopicPartition{Topic: h.topic}
	for _, to := range []int64{7, 10} {
		move := func(context.Context) (MergeProcessor, error) {
			return &mergeRecorder{h: h, next: make(map[TopicPartition]Commit), moves: map[TopicPartition]Commit{tp: {Offset: to, Metadata: "moved"}}}, nil
		}
		if r, err := h.newGroup(drained).RunMerge(h.ctx(), move); err != nil || !r.Drained {
			t.Fatalf("%+v %v", r, err)
		}
	}
	h.once(values[7:])
	at, err := h.client.CommittedOffsets(h.ctx(), h.group, []TopicPartition{tp})
	if err != nil || at[tp] != (Commit{Offset: 10, Metadata: "moved"}) {
		t.Errorf("committed %+v, %v", at[tp], err)
	}
}
