package stage

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	"profilestream/cmd/internal/admin"
	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/process"
	"profilestream/stream"
	"profilestream/stream/kafkatest"
	"profilestream/stream/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// day0 is where the tests' events begin.
var day0 = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// clicks and buys are the tests' sources.
var (
	clicks = wire.TopicPartition{Topic: "clickstream"}
	buys   = wire.TopicPartition{Topic: "purchases"}
)

// rig is a run on an in-process Kafka, with two log partitions.
type rig struct {
	t   *testing.T
	env *process.Env
	c   *wire.Client
	m   *ingestMetrics

	local *localState // made by the first takeover
}

func newRig(t *testing.T, edit ...func(*config.Config)) *rig {
	t.Helper()
	cfg := config.Default()
	cfg.Kafka.Brokers = kafkatest.Fake(t).Addrs
	cfg.Log.Partitions = 2
	cfg.Profile.IdleAfter = 0
	for _, e := range edit {
		e(&cfg)
	}
	c, err := wire.NewClient(wire.Config{Brokers: cfg.Kafka.Brokers, MetadataTTL: 200 * time.Millisecond, MaxBackoff: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	env := &process.Env{Config: &cfg, Log: slog.New(slog.DiscardHandler), Metrics: process.NewRegistry(), Health: &admin.Health{}}
	r := &rig{t: t, env: env, c: c, m: newIngestMetrics(env.Metrics)}
	if err := CreateTopics(r.ctx(), &cfg, c); err != nil {
		t.Fatal(err)
	}
	keep := map[string]string{"retention.ms": "-1"}
	for _, topic := range cfg.Input.Topics {
		if err := c.CreateTopics(r.ctx(), wire.Topic{Name: topic, Partitions: 1, Replication: 1, Settings: keep}); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func (r *rig) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	r.t.Cleanup(cancel)
	return ctx
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// input is one record of a source: its value, and its event's time, which is its
// Kafka time too.
type input struct {
	at    time.Time
	value string
}

func view(id, user string, at time.Time) input {
	return input{at, fmt.Sprintf(`{"event_id":%q,"user_id":%q,"type":"page_view","ts":%d}`, id, user, at.UnixMilli())}
}

func purchase(id, user string, at time.Time, total int) input {
	return input{at, fmt.Sprintf(`{"event_id":%q,"user_id":%q,"type":"purchase","ts":%d,"total":%d}`, id, user, at.UnixMilli(), total)}
}

// send appends records to a source.
func (r *rig) send(tp wire.TopicPartition, in ...input) {
	r.t.Helper()
	b := new(wire.Builder)
	for _, x := range in {
		b.Add(x.at.UnixMilli(), nil, []byte(x.value))
	}
	_, err := r.c.NewProducer(tp.Topic, tp.Partition, wire.ProducerConfig{}).Append(r.ctx(), b)
	r.must(err)
}

// read feeds a partition from an offset on, up to its end, to fn, in fetches.
func (r *rig) read(tp wire.TopicPartition, from int64, fn func(*wire.Records) error) (next int64) {
	r.t.Helper()
	f := r.c.NewFetcher(tp.Topic, tp.Partition, from, wire.FetchConfig{MaxWait: 20 * time.Millisecond})
	for {
		rs, err := f.Fetch(r.ctx())
		r.must(err)
		if rs.AtEnd() {
			return rs.From
		}
		r.must(fn(rs))
		rs.Release()
	}
}

// records calls fn for each record of a partition.
func (r *rig) records(topic string, partition int32, fn func(*wire.Record)) {
	r.t.Helper()
	tp := wire.TopicPartition{Topic: topic, Partition: partition}
	_, err := stream.Read(r.ctx(), r.c, stream.ReadConfig{TopicPartition: tp, From: wire.Earliest}, func(rec *wire.Record) error {
		fn(rec)
		return nil
	})
	r.must(err)
}

// admitAll runs admission by its group until all inputs are in the log.
func (r *rig) admitAll() {
	r.t.Helper()
	drain := make(chan struct{})
	close(drain)
	// Every run is a process of its own.
	env := *r.env
	env.Metrics = process.NewRegistry()
	g, err := inputGroup(r.ctx(), &env, r.c, drain)
	r.must(err)
	res, err := g.RunMerge(r.ctx(), func(context.Context) (stream.MergeProcessor, error) { return newAdmission(&env, r.c, r.m) })
	r.must(err)
	if !res.Drained {
		r.t.Fatal("admission ended without being drained")
	}
}

// admission takes both sources over at the given positions, nil: the beginning.
func (r *rig) admission(at map[wire.TopicPartition]stream.Commit) *admission {
	r.t.Helper()
	a, err := newAdmission(r.env, r.c, r.m)
	r.must(err)
	var mine []stream.Assignment
	for _, tp := range []wire.TopicPartition{clicks, buys} {
		id, err := r.c.TopicID(r.ctx(), tp.Topic, tp.Partition)
		r.must(err)
		mine = append(mine, stream.Assignment{Topic: tp.Topic, Committed: at[tp].Offset, Metadata: at[tp].Metadata, TopicID: id})
	}
	_, err = a.Assigned(r.ctx(), mine)
	r.must(err)
	return a
}

// admit has a worker read both sources to their ends.
func (r *rig) admit(a *admission) {
	r.t.Helper()
	for _, tp := range []wire.TopicPartition{clicks, buys} {
		r.read(tp, a.sources[tp].next, func(rs *wire.Records) error { return a.Process(r.ctx(), tp, rs) })
	}
}
