package stream

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"profilestream/stream/kafkatest"
	"profilestream/stream/wire"
)

func TestDrainThenGoOn(t *testing.T) {
	onBrokers(t, func(t *testing.T, h *harness) {
		h.create(h.topic, 3)
		var want []string
		for p := range int32(3) {
			want = append(want, h.write(h.topic, p, fmt.Sprint("a", p), 250, 1000, 1)...)
		}
		reg := prometheus.NewRegistry()
		m, err := NewMetrics(reg, "test")
		if err != nil {
			t.Fatal(err)
		}
		r, err := h.newGroup(drained, func(c *GroupConfig) { c.Metrics = m }).Run(h.ctx(), h.factory)
		if err != nil || !r.Drained {
			t.Fatalf("%+v %v", r, err)
		}
		h.once(want)
		if diff := cmp.Diff([]string{"drained", "drained", "drained"}, h.endings); diff != "" {
			t.Error(diff)
		}
		lag, err := h.client.GroupLag(h.ctx(), h.group, h.topic)
		for tp, l := range lag {
			if l.Records() != 0 || l.Committed != 250 {
				t.Errorf("%v: %+v", tp, l)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		families, _ := reg.Gather()
		records := 0.0
		for _, f := range families {
			if f.GetName() == "profilestream_test_fetched_records_total" {
				for _, m := range f.Metric {
					records += m.Counter.GetValue()
				}
			}
		}
		if records != 750 {
			t.Errorf("%v records counted", records)
		}
		want = append(want, h.write(h.topic, 1, "b", 10, 1000, 1)...)
		if r, err := h.newGroup(drained).Run(h.ctx(), h.factory); err != nil || !r.Drained {
			t.Fatalf("%+v %v", r, err)
		}
		h.once(want)
	})
}

func TestStopCommitsWhatWasProcessed(t *testing.T) {
	onBrokers(t, func(t *testing.T, h *harness) {
		h.create(h.topic, 2)
		want := h.write(h.topic, 0, "a", 300, 1, 1)
		slow := func(c *GroupConfig) { c.FlushInterval = time.Hour }
		stop := h.start(h.newGroup(slow), h.factory)
		h.await("all are processed", func() bool { return len(h.seen) == 300 })
		if r, err := stop(); err != nil || r.Drained {
			t.Fatalf("%+v %v", r, err)
		}
		got, err := h.client.CommittedOffsets(h.ctx(), h.group, []TopicPartition{{Topic: h.topic}})
		if err != nil || got[TopicPartition{Topic: h.topic}] != (Commit{Offset: 300, Metadata: "at 300"}) {
			t.Errorf("%v %v", got, err)
		}
		h.once(want)
	})
}

func TestRebalanceHandsOver(t *testing.T) {
	onBrokers(t, func(t *testing.T, h *harness) {
		h.create(h.topic, 4)
		var want []string
		round := func(name string) {
			for p := range int32(4) {
				want = append(want, h.write(h.topic, p, fmt.Sprint(name, p), 100, 1, 1)...)
			}
		}
		round("a")
		slow := func(c *GroupConfig) { c.FlushInterval = time.Hour } // only the last flush of a generation commits
		first := h.start(h.newGroup(slow), h.factory)
		h.await("the first worker has all", func() bool { return len(h.seen) == 400 })
		second := h.start(h.newGroup(slow), h.factory)
		h.await("partitions move", func() bool { return len(h.endings) == 4 })
		round("b")
		h.await("both rounds are processed", func() bool { return len(h.seen) == 800 })
		if _, err := first(); err != nil {
			t.Error(err)
		}
		round("c")
		h.await("the second worker has all", func() bool { return len(h.seen) == 1200 })
		if _, err := second(); err != nil {
			t.Error(err)
		}
		h.once(want) // every handover went through a last commit, so nothing was read twice
	})
}

func TestFailuresRestartFromTheCommit(t *testing.T) {
	onBrokers(t, func(t *testing.T, h *harness) {
		h.create(h.topic, 1)
		h.write(h.topic, 0, "a", 200, 1, 1)
		var once sync.Map
		factory := func(ctx context.Context, a Assignment) (Processor, int64, error) {
			p := &recorder{h: h, a: a, next: a.Committed}
			p.fail = func(r *wire.Record) error {
				for i, err := range []error{wire.ErrFenced, wire.ErrSequence, wire.ErrIllegalGeneration} {
					if r.Offset == int64(50*(i+1)) {
						if _, done := once.LoadOrStore(r.Offset, true); !done {
							return fmt.Errorf("made up: %w", err)
						}
					}
				}
				return nil
			}
			return p, a.Committed, nil
		}
		r, err := h.newGroup(drained).Run(h.ctx(), factory)
		if err != nil || !r.Drained || len(h.seen) != 200 {
			t.Fatalf("%+v %v, %d records", r, err, len(h.seen))
		}
	})
}

func TestFatalFailureEndsTheRun(t *testing.T) {
	h := newHarness(t, kafkatest.Fake(t))
	h.create(h.topic, 2)
	h.write(h.topic, 0, "a", 10, 1, 1)
	broken := errors.New("disk on fire")
	_, err := h.newGroup().Run(h.ctx(), func(ctx context.Context, a Assignment) (Processor, int64, error) {
		p := &recorder{h: h, a: a, next: a.Committed}
		p.fail = func(*wire.Record) error { return broken }
		return p, a.Committed, nil
	})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), h.topic+"[0]") {
		t.Errorf("%v", err)
	}
	committed, err := h.client.CommittedOffsets(h.ctx(), h.group, []TopicPartition{{Topic: h.topic}})
	if err != nil || committed[TopicPartition{Topic: h.topic}].Offset != 0 {
		t.Errorf("committed past a failure: %v %v", committed, err)
	}
}

func TestPositionOutsideTheLogEndsTheRun(t *testing.T) {
	onBrokers(t, func(t *testing.T, h *harness) {
		h.create(h.topic, 1)
		h.write(h.topic, 0, "a", 10, 1, 1)
		tp := TopicPartition{Topic: h.topic}
		if err := h.client.Commit(h.ctx(), wire.Member{Group: h.group, Generation: -1}, map[TopicPartition]Commit{tp: {Offset: 99}}); err != nil {
			t.Fatal(err)
		}
		_, err := h.newGroup().Run(h.ctx(), h.factory)
		var out *wire.OffsetOutOfRangeError
		if !errors.As(err, &out) || out.Offset != 99 || out.End != 10 {
			t.Errorf("%v", err)
		}
	})
}

func TestStart(t *testing.T) {
	onBrokers(t, func(t *testing.T, h *harness) {
		h.create(h.topic, 2)
		h.write(h.topic, 0, "old", 10, 1_000_000, 10)
		h.write(h.topic, 1, "old1", 10, 1_000_000, 10)
		cases := map[string]struct {
			start Start
			want  int
		}{"earliest": {Earliest, 20}, "latest": {Latest, 0}, "time": {StartAt(time.UnixMilli(1_000_055)), 8}}
		for name, c := range cases {
			h.group = kafkatest.Name("group")
			h.seen = make(map[string]int)
			if _, err := h.newGroup(drained, func(cfg *GroupConfig) { cfg.Start = c.start }).Run(h.ctx(), h.factory); err != nil {
				t.Fatal(err)
			}
			if len(h.seen) != c.want {
				t.Errorf("%s: %d records, want %d", name, len(h.seen), c.want)
			}
		}
	})
}

func TestProcessorChoosesItsStart(t *testing.T) {
	h := newHarness(t, kafkatest.Fake(t))
	h.create(h.topic, 1)
	want := h.write(h.topic, 0, "a", 10, 1, 1)
	_, err := h.newGroup(drained).Run(h.ctx(), func(ctx context.Context, a Assignment) (Processor, int64, error) {
		return &recorder{h: h, a: a, next: 7}, 7, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	h.once(want[7:])
}

func TestStopDeadline(t *testing.T) {
	h := newHarness(t, kafkatest.Fake(t))
	h.create(h.topic, 1)
	h.write(h.topic, 0, "a", 1, 1, 1)
	stop := h.start(h.newGroup(func(c *GroupConfig) { c.StopDeadline = 100 * time.Millisecond }), func(ctx context.Context, a Assignment) (Processor, int64, error) {
		p := &stuck{recorder{h: h, a: a}}
		return p, 0, nil
	})
	h.await("the record is processed", func() bool { return len(h.seen) == 1 })
	if _, err := stop(); !errors.Is(err, ErrDeadline) {
		t.Errorf("%v", err)
	}
}

// stuck never gets its effects acknowledged.
type stuck struct{ recorder }

func (s *stuck) Finish(ctx context.Context, why Ending) (Commit, error) {
	<-ctx.Done()
	return Commit{}, ctx.Err()
}

func TestSpreadCoversEverything(t *testing.T) {
	h := newHarness(t, kafkatest.Fake(t))
	other := kafkatest.Name("other")
	h.create(h.topic, 1)
	h.create(other, 1)
	both := func(c *GroupConfig) { c.Topics = []string{h.topic, other} }
	a, b := h.start(h.newGroup(both), h.owner("a")), h.start(h.newGroup(both), h.owner("b"))
	h.await("each worker owns one", func() bool {
		n := len(h.order)
		return n >= 2 && h.order[n-1] != h.order[n-2]
	})
	a()
	b()
}

// owner notes who takes over.
func (h *harness) owner(name string) Factory {
	return func(ctx context.Context, a Assignment) (Processor, int64, error) {
		h.note(func() { h.order = append(h.order, name) })
		return &recorder{h: h, a: a, next: a.Committed}, a.Committed, nil
	}
}

func TestRunTopicsSettings(t *testing.T) { onBrokers(t, testRunTopicsSettings) }

func testRunTopicsSettings(t *testing.T, h *harness) {
	if err := CreateTopics(h.ctx(), h.client, TopicsConfig{Run: "live", Partitions: 2, Replication: 1}); err != nil {
		t.Fatal(err)
	}
	if err := CreateTopics(h.ctx(), h.client, TopicsConfig{Run: "live", Partitions: 2, Replication: 1}); err != nil {
		t.Fatalf("a second time: %v", err)
	}
	topics, err := h.client.Topics(h.ctx())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for name, n := range topics {
		if !strings.HasPrefix(name, "profile.") {
			continue // other tests' on a shared broker
		}
		names = append(names, fmt.Sprintf("%s/%d", name, n))
	}
	sort.Strings(names)
	want := []string{"profile.erasures/1", "profile.live.days/2", "profile.live.dlq/2", "profile.live.events/2", "profile.live.late/2", "profile.live.scored/2",
		"profile.live.sources/1", "profile.live.state/2", "profile.live.windows/2", "profile.models/1", "profile.runs/1"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	for topic, want := range map[string]map[string]string{
		"profile.live.events": {"cleanup.policy": "delete", "message.timestamp.type": "LogAppendTime", "retention.ms": "-1", "max.message.bytes": "4194304"},
		"profile.live.days":   {"message.timestamp.type": "LogAppendTime", "retention.ms": "604800000"},
		"profile.live.dlq":    {"max.message.bytes": "12582912"},
		"profile.live.state":  {"cleanup.policy": "compact", "max.message.bytes": "8388608"},
		"profile.models":      {"cleanup.policy": "compact"},
	} {
		got, err := h.client.TopicSettings(h.ctx(), topic)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range want {
			if got[name] != value {
				t.Errorf("%s: %s is %q, want %q", topic, name, got[name], value)
			}
		}
	}
	var count *wire.PartitionCountError
	if err := CreateTopics(h.ctx(), h.client, TopicsConfig{Run: "live", Partitions: 3, Replication: 1}); !errors.As(err, &count) {
		t.Errorf("another count: %v", err)
	}
}
