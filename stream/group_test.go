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
	"go.uber.org/goleak"

	"profilestream/stream/kafkatest"
	"profilestream/stream/wire"
)

type withBroker struct{ *testing.M }

func (m withBroker) Run() int {
	defer kafkatest.StopShared()
	return m.M.Run()
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(withBroker{m}) }

func onBrokers(t *testing.T, fn func(t *testing.T, h *harness)) {
	t.Run("kfake", func(t *testing.T) { fn(t, newHarness(t, kafkatest.Fake(t))) })
	t.Run("apache", func(t *testing.T) { fn(t, newHarness(t, kafkatest.Real(t))) })
}

// harness is a cluster, a topic and everything that processors of the test did.
type harness struct {
	t      *testing.T
	client *wire.Client
	topic  string
	group  string

	mu      sync.Mutex
	seen    map[string]int // value -> times processed
	order   []string
	endings []string
	idle    []string
	changed chan struct{}
}

func newHarness(t *testing.T, b *kafkatest.Broker) *harness {
	c, err := wire.NewClient(wire.Config{Brokers: b.Addrs, MetadataTTL: 200 * time.Millisecond, MaxBackoff: 200 * time.Millisecond, UnknownTopicPatience: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &harness{t: t, client: c, topic: kafkatest.Name("topic"), group: kafkatest.Name("group"), seen: make(map[string]int), changed: make(chan struct{}, 1)}
}

func (h *harness) ctx() context.Context {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	h.t.Cleanup(cancel)
	return ctx
}

func (h *harness) create(topic string, partitions int) {
	h.t.Helper()
	// Made-up timestamps lie decades back: without this, Kafka's retention takes the records away at once.
	keep := map[string]string{"retention.ms": "-1"}
	if err := h.client.CreateTopics(h.ctx(), wire.Topic{Name: topic, Partitions: partitions, Replication: 1, Settings: keep}); err != nil {
		h.t.Fatal(err)
	}
}

// write appends values "prefix-i" with timestamps first, first+step, ...
func (h *harness) write(topic string, partition int32, prefix string, n int, first, step int64) []string {
	h.t.Helper()
	var out []string
	b := new(wire.Builder)
	p := h.client.NewProducer(topic, partition, wire.ProducerConfig{Codec: wire.LZ4})
	for i := range n {
		v := fmt.Sprintf("%s-%d", prefix, i)
		out = append(out, v)
		b.Add(first+int64(i)*step, nil, []byte(v))
		if b.Len() == 100 || i == n-1 {
			if _, err := p.Append(h.ctx(), b); err != nil {
				h.t.Fatal(err)
			}
			b.Reset()
		}
	}
	return out
}

func (h *harness) config(edit ...func(*GroupConfig)) GroupConfig {
	cfg := GroupConfig{
		Client: h.client, ID: h.group, Topics: []string{h.topic}, Component: "test", FlushInterval: 20 * time.Millisecond,
		FetchWait: 50 * time.Millisecond, Heartbeat: 50 * time.Millisecond, SessionTimeout: 6 * time.Second, RebalanceTimeout: 10 * time.Second,
		PartitionWatch: 200 * time.Millisecond, StopDeadline: 10 * time.Second,
	}
	for _, e := range edit {
		e(&cfg)
	}
	return cfg
}

func drained(cfg *GroupConfig) {
	closed := make(chan struct{})
	close(closed)
	cfg.Drain = closed
}

func (h *harness) note(fn func()) {
	h.mu.Lock()
	fn()
	h.mu.Unlock()
	select {
	case h.changed <- struct{}{}:
	default:
	}
}

// await waits until the condition, called under the lock, holds.
func (h *harness) await(what string, cond func() bool) {
	h.t.Helper()
	deadline := time.After(40 * time.Second)
	for {
		h.mu.Lock()
		ok := cond()
		h.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-h.changed:
		case <-deadline:
			h.t.Fatalf("waited too long until %s", what)
		}
	}
}

// recorder is a processor that notes what it gets.
type recorder struct {
	h    *harness
	a    Assignment
	next int64
	fail func(r *wire.Record) error
}

func (r *recorder) Process(ctx context.Context, rs *Records) error {
	for rec := rs.Next(); rec != nil; rec = rs.Next() {
		if r.fail != nil {
			if err := r.fail(rec); err != nil {
				return err
			}
		}
		if rec.Offset < r.next {
			return fmt.Errorf("offset %d after %d", rec.Offset, r.next-1)
		}
		v := string(rec.Value)
		r.h.note(func() { r.h.seen[v]++; r.h.order = append(r.h.order, v) })
	}
	r.next = rs.Offset()
	return nil
}

func (r *recorder) Flush(context.Context) (Commit, error) {
	return Commit{Offset: r.next, Metadata: fmt.Sprint("at ", r.next)}, nil
}

func (r *recorder) Finish(ctx context.Context, why Ending) (Commit, error) {
	r.h.note(func() { r.h.endings = append(r.h.endings, why.String()) })
	return r.Flush(ctx)
}

func (r *recorder) Close() error { return nil }

func (h *harness) factory(_ context.Context, a Assignment) (Processor, int64, error) {
	return &recorder{h: h, a: a, next: a.Committed}, a.Committed, nil
}

func (h *harness) newGroup(edit ...func(*GroupConfig)) *Group {
	h.t.Helper()
	g, err := NewGroup(h.config(edit...))
	if err != nil {
		h.t.Fatal(err)
	}
	return g
}

// start runs a worker; the function returned stops it and gives its outcome.
func (h *harness) start(g *Group, f Factory) (stop func() (Result, error)) {
	ctx, cancel := context.WithCancel(context.Background())
	type outcome struct {
		r   Result
		err error
	}
	out := make(chan outcome, 1)
	go func() {
		r, err := g.Run(ctx, f)
		out <- outcome{r, err}
	}()
	return func() (Result, error) {
		cancel()
		o := <-out
		return o.r, o.err
	}
}

func (h *harness) once(want []string) {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	got := make(map[string]int, len(want))
	for _, v := range want {
		got[v] = 1
	}
	if diff := cmp.Diff(got, h.seen); diff != "" {
		h.t.Errorf("records processed, not each once: %.2000s", diff)
	}
}

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
	want := []string{"profile.live.days/2", "profile.live.dlq/2", "profile.live.events/2", "profile.live.late/2", "profile.live.scored/2",
		"profile.live.state/2", "profile.live.windows/2", "profile.models/1"}
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
