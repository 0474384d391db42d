package stream

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
