package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"profilestream/stream/kafkatest"
)

type withBroker struct{ *testing.M }

func (m withBroker) Run() int {
	defer kafkatest.StopShared()
	return m.M.Run()
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(withBroker{m}) }

// onBrokers runs a test against the in-process Kafka and, where there is one, Apache Kafka.
func onBrokers(t *testing.T, fn func(t *testing.T, b *kafkatest.Broker)) {
	t.Run("kfake", func(t *testing.T) { fn(t, kafkatest.Fake(t)) })
	t.Run("apache", func(t *testing.T) { fn(t, kafkatest.Real(t)) })
}

func newClient(t testing.TB, b *kafkatest.Broker, edit ...func(*Config)) *Client {
	t.Helper()
	cfg := Config{Brokers: b.Addrs, MetadataTTL: 200 * time.Millisecond, RequestTimeout: 5 * time.Second, MaxBackoff: 200 * time.Millisecond}
	for _, e := range edit {
		e(&cfg)
	}
	c, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func newTopic(t testing.TB, c *Client, partitions int, settings map[string]string) string {
	t.Helper()
	name := kafkatest.Name("wire")
	settings = maps.Clone(settings)
	if settings == nil {
		settings = make(map[string]string)
	}
	settings["retention.ms"] = "-1" // made-up timestamps lie decades back
	if err := c.CreateTopics(testContext(t), Topic{Name: name, Partitions: partitions, Replication: 1, Settings: settings}); err != nil {
		t.Fatal(err)
	}
	return name
}

func build(values ...string) *Builder {
	b := new(Builder)
	for _, v := range values {
		b.Add(time.Now().UnixMilli(), nil, []byte(v))
	}
	return b
}

// readTo reads a partition from an offset to its end and returns the values.
func readTo(t testing.TB, c *Client, topic string, partition int32, from int64, cfg FetchConfig) []string {
	t.Helper()
	ctx := testContext(t)
	if cfg.MaxWait == 0 {
		cfg.MaxWait = 50 * time.Millisecond
	}
	f := c.NewFetcher(topic, partition, from, cfg)
	var out []string
	for {
		rs, err := f.Fetch(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for r := rs.Next(); r != nil; r = rs.Next() {
			out = append(out, string(r.Value))
		}
		if rs.Err() != nil {
			t.Fatal(rs.Err())
		}
		if rs.Offset() != rs.To {
			t.Fatalf("decoded up to %d, fetched up to %d", rs.Offset(), rs.To)
		}
		end := rs.AtEnd()
		rs.Release()
		if end {
			return out
		}
	}
}

func TestAppendAndFetch(t *testing.T) {
	onBrokers(t, func(t *testing.T, b *kafkatest.Broker) {
		ctx, c := testContext(t), newClient(t, b)
		for _, codec := range []Codec{None, Snappy, LZ4, Zstd} {
			topic := newTopic(t, c, 2, nil)
			p := c.NewProducer(topic, 1, ProducerConfig{Codec: codec})
			var want []string
			for i := range 5 {
				batch := new(Builder)
				for j := range 100 {
					v := fmt.Sprintf("%v %d %d", codec, i, j)
					want = append(want, v)
					batch.Add(int64(1000+i), []byte("k"), []byte(v), Header{"n", []byte{byte(j)}})
				}
				base, err := p.Append(ctx, batch)
				if err != nil || base != int64(100*i) {
					t.Fatalf("append %d: base %d, %v", i, base, err)
				}
			}
			if diff := cmp.Diff(want, readTo(t, c, topic, 1, 0, FetchConfig{MaxBytes: 2000})); diff != "" {
				t.Errorf("%v: %s", codec, diff)
			}
			if got := readTo(t, c, topic, 1, 250, FetchConfig{}); !cmp.Equal(got, want[250:]) {
				t.Errorf("%v: from the middle of a batch: %d records", codec, len(got))
			}
		}
	})
}

func TestOffsetOutOfRange(t *testing.T) {
	onBrokers(t, func(t *testing.T, b *kafkatest.Broker) {
		ctx, c := testContext(t), newClient(t, b)
		topic := newTopic(t, c, 1, nil)
		if _, err := c.NewProducer(topic, 0, ProducerConfig{}).Append(ctx, build("a", "b", "c")); err != nil {
			t.Fatal(err)
		}
		_, err := c.NewFetcher(topic, 0, 9, FetchConfig{}).Fetch(ctx)
		want := &OffsetOutOfRangeError{Topic: topic, Offset: 9, Start: 0, End: 3}
		var got *OffsetOutOfRangeError
		if !errors.As(err, &got) || !cmp.Equal(got, want) || !errors.Is(err, ErrOffsetOutOfRange) || Classify(err) != Fatal {
			t.Errorf("%v", err)
		}
		_, err = c.NewFetcher(topic, 0, -7, FetchConfig{}).Fetch(ctx)
		if !errors.As(err, &got) || got.Offset != -7 {
			t.Errorf("below the start: %v", err)
		}
	})
}

func TestLargeRecordsGetThrough(t *testing.T) {
	onBrokers(t, func(t *testing.T, b *kafkatest.Broker) {
		ctx, c := testContext(t), newClient(t, b)
		topic := newTopic(t, c, 1, map[string]string{"max.message.bytes": "9000000"})
		big := string(bytes.Repeat([]byte("x"), 5_000_000))
		p := c.NewProducer(topic, 0, ProducerConfig{MaxBatchBytes: 8_000_000})
		for _, v := range []string{"before", big, "after"} {
			if _, err := p.Append(ctx, build(v)); err != nil {
				t.Fatal(err)
			}
		}
		got := readTo(t, c, topic, 0, 0, FetchConfig{MaxBytes: 1000})
		if len(got) != 3 || got[0] != "before" || got[1] != big || got[2] != "after" {
			t.Errorf("%d records", len(got))
		}
	})
}

// TestBuffersOfABacklogGo: a fetcher that has read a large set and then small ones holds what the small ones need.
func TestBuffersOfABacklogGo(t *testing.T) {
	onBrokers(t, func(t *testing.T, b *kafkatest.Broker) {
		ctx, c := testContext(t), newClient(t, b)
		topic := newTopic(t, c, 1, map[string]string{"max.message.bytes": "9000000"})
		p := c.NewProducer(topic, 0, ProducerConfig{MaxBatchBytes: 8_000_000, Codec: LZ4})
		f := c.NewFetcher(topic, 0, 0, FetchConfig{MaxWait: 50 * time.Millisecond})
		noise := make([]byte, 2_000_000)
		rand.NewChaCha8([32]byte{}).Read(noise)
		for i, v := range []string{string(noise), "small", "small"} {
			if _, err := p.Append(ctx, build(v)); err != nil {
				t.Fatal(err)
			}
			rs, err := f.Fetch(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for r := rs.Next(); r != nil; r = rs.Next() {
			}
			if held := cap(rs.raw) + cap(rs.buf); rs.Offset() != int64(i+1) || i == 0 && held < 4_000_000 {
				t.Fatalf("offset %d, %d bytes held", rs.Offset(), held)
			}
			rs.Release()
		}
		rs := <-f.free
		if held := cap(rs.raw) + cap(rs.buf); held > 2*keptBytes {
			t.Errorf("%d bytes stay", held)
		}
	})
}

func TestTooLargeIsRefusedOrSplit(t *testing.T) {
	onBrokers(t, func(t *testing.T, b *kafkatest.Broker) {
		ctx, c := testContext(t), newClient(t, b)
		topic := newTopic(t, c, 1, map[string]string{"max.message.bytes": "20000"})
		p := c.NewProducer(topic, 0, ProducerConfig{})
		if _, err := p.Append(ctx, build(string(make([]byte, 30_000)))); !errors.Is(err, ErrMessageTooLarge) || Classify(err) != Poison {
			t.Fatalf("a record over the limit: %v", err)
		}
		var want []string
		batch := new(Builder)
		for i := range 50 {
			v := fmt.Sprintf("%02d%01000d", i, i)
			want = append(want, v)
			batch.Add(1, nil, []byte(v))
		}
		base, err := p.Append(ctx, batch)
		if err != nil || base != 0 {
			t.Fatalf("a batch over the limit: base %d, %v", base, err)
		}
		if diff := cmp.Diff(want, readTo(t, c, topic, 0, 0, FetchConfig{})); diff != "" {
			t.Error(diff)
		}
	})
}

func TestTransactions(t *testing.T) {
	onBrokers(t, func(t *testing.T, b *kafkatest.Broker) {
		ctx, c := testContext(t), newClient(t, b)
		topic := newTopic(t, c, 2, nil)
		txid := kafkatest.Name("tx")
		tx, err := c.NewTransactor(ctx, txid, TransactorConfig{})
		if err != nil {
			t.Fatal(err)
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		write := func(tx *Transactor, v string) error {
			_, err := tx.Append(ctx, topic, 0, build(v))
			return err
		}
		must(tx.Commit(ctx)) // nothing open
		must(write(tx, "one"))
		must(write(tx, "two"))
		_, err = tx.Append(ctx, topic, 1, build("other partition"))
		must(err)
		must(tx.Commit(ctx))
		must(write(tx, "rolled back"))
		must(tx.Abort(ctx))
		must(write(tx, "three"))
		must(tx.Commit(ctx))
		must(write(tx, "left open by the zombie"))

		if got := readTo(t, c, topic, 0, 0, FetchConfig{Committed: true}); !cmp.Equal(got, []string{"one", "two", "three"}) {
			t.Errorf("committed view: %q", got)
		}
		heir, err := c.NewTransactor(ctx, txid, TransactorConfig{})
		must(err)
		if err := write(tx, "zombie"); !errors.Is(err, ErrFenced) {
			t.Errorf("the zombie's append: %v", err)
		}
		if err := tx.Commit(ctx); !errors.Is(err, ErrFenced) {
			t.Errorf("the zombie's commit: %v", err)
		}
		must(write(heir, "four"))
		must(heir.Commit(ctx))
		want := []string{"one", "two", "three", "four"}
		if got := readTo(t, c, topic, 0, 0, FetchConfig{Committed: true}); !cmp.Equal(got, want) {
			t.Errorf("after the takeover: %q, want %q", got, want)
		}
		if got := readTo(t, c, topic, 1, 0, FetchConfig{Committed: true}); !cmp.Equal(got, []string{"other partition"}) {
			t.Errorf("other partition: %q", got)
		}
	})
}

func TestOffsetsAndTopics(t *testing.T) {
	onBrokers(t, func(t *testing.T, b *kafkatest.Broker) {
		ctx, c := testContext(t), newClient(t, b)
		topic, group := newTopic(t, c, 2, map[string]string{"message.timestamp.type": "LogAppendTime"}), kafkatest.Name("group")
		a, other := TopicPartition{topic, 0}, TopicPartition{topic, 1}
		got, err := c.CommittedOffsets(ctx, group, []TopicPartition{a, other})
		if err != nil || got[a].Offset != -1 || got[other].Offset != -1 {
			t.Fatalf("before any commit: %v %v", got, err)
		}
		if err := c.Commit(ctx, Member{Group: group, Generation: -1}, map[TopicPartition]Position{a: {2, "degraded=1"}}); err != nil {
			t.Fatal(err)
		}
		if got, err = c.CommittedOffsets(ctx, group, []TopicPartition{a, other}); err != nil || got[a] != (Position{2, "degraded=1"}) || got[other].Offset != -1 {
			t.Fatalf("%v %v", got, err)
		}
		if err := c.Commit(ctx, Member{Group: group, Generation: 77, ID: "nobody"}, map[TopicPartition]Position{a: {3, ""}}); !errors.Is(err, ErrIllegalGeneration) {
			t.Errorf("a commit from no generation: %v", err)
		}
		before := time.Now().UnixMilli()
		if _, err := c.NewProducer(topic, 0, ProducerConfig{}).Append(ctx, build("a", "b", "c")); err != nil {
			t.Fatal(err)
		}
		for at, want := range map[int64]int64{Earliest: 0, Latest: 3, before - 1000: 0, before + 3_600_000: 3} {
			if got, err := c.ListOffset(ctx, topic, 0, at, false); err != nil || got != want {
				t.Errorf("offset at %d: %d, want %d (%v)", at, got, want, err)
			}
		}
		lag, err := c.GroupLag(ctx, group, topic)
		if err != nil || lag[a].Records() != 1 || lag[other].Records() != 0 {
			t.Errorf("lag %v %v", lag, err)
		}
		var count *PartitionCountError
		if err := c.CreateTopics(ctx, Topic{Name: topic, Partitions: 2, Replication: 1}); err != nil {
			t.Errorf("creating again: %v", err)
		}
		if err := c.CreateTopics(ctx, Topic{Name: topic, Partitions: 3, Replication: 1}); !errors.As(err, &count) || count.Have != 2 {
			t.Errorf("another count: %v", err)
		}
		settings, err := c.TopicSettings(ctx, topic)
		if err != nil || settings["message.timestamp.type"] != "LogAppendTime" {
			t.Errorf("settings %q %v", settings["message.timestamp.type"], err)
		}
	})
}

func TestUnknownTopic(t *testing.T) {
	b := kafkatest.Fake(t)
	c := newClient(t, b, func(cfg *Config) { cfg.UnknownTopicPatience = 300 * time.Millisecond })
	ctx := testContext(t)
	if _, err := c.NewFetcher("absent", 0, 0, FetchConfig{}).Fetch(ctx); !errors.Is(err, ErrUnknownTopic) {
		t.Errorf("fetch: %v", err)
	}
	if _, err := c.Partitions(ctx, "absent"); !errors.Is(err, ErrUnknownTopic) {
		t.Errorf("partitions: %v", err)
	}
	if _, err := c.NewProducer("absent", 0, ProducerConfig{}).Append(ctx, build("x")); !errors.Is(err, ErrUnknownTopic) {
		t.Errorf("append: %v", err)
	}
}
