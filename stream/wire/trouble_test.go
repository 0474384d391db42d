package wire

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	kafka "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"profilestream/stream/kafkatest"
)

// failProduce answers the next produce requests with error codes.
func failProduce(c *kfake.Cluster, codes ...kafka.Error) {
	for _, code := range codes {
		c.ControlKey(int16(kmsg.Produce), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
			req := kreq.(*kmsg.ProduceRequest)
			res := req.ResponseKind().(*kmsg.ProduceResponse)
			for _, t := range req.Topics {
				rt := kmsg.NewProduceResponseTopic()
				rt.Topic, rt.TopicID = t.Topic, t.TopicID
				for _, p := range t.Partitions {
					rp := kmsg.NewProduceResponseTopicPartition()
					rp.Partition, rp.ErrorCode = p.Partition, int16(code)
					rt.Partitions = append(rt.Partitions, rp)
				}
				res.Topics = append(res.Topics, rt)
			}
			return res, nil, true
		})
	}
}

func TestProduceErrors(t *testing.T) {
	b := kafkatest.Fake(t)
	ctx, c := testContext(t), newClient(t, b)
	for _, code := range []kafka.Error{kafka.NotLeaderForPartition, kafka.LeaderNotAvailable, kafka.NotEnoughReplicas,
		kafka.NotEnoughReplicasAfterAppend, kafka.RequestTimedOut, kafka.KafkaStorageError, kafka.InvalidMessage} {
		topic := newTopic(t, c, 1, nil)
		p := c.NewProducer(topic, 0, ProducerConfig{})
		failProduce(b.Fake, code, code)
		if base, err := p.Append(ctx, build("x")); err != nil || base != 0 {
			t.Errorf("%v: base %d, %v", code, base, err)
		}
		if got := readTo(t, c, topic, 0, 0, FetchConfig{}); len(got) != 1 {
			t.Errorf("%v: %q", code, got)
		}
	}
	for code, want := range map[kafka.Error]error{
		kafka.OutOfOrderSequenceNumber: ErrSequence, kafka.UnknownProducerId: ErrSequence, kafka.InvalidProducerEpoch: ErrSequence,
		kafka.TopicAuthorizationFailed: kafka.TopicAuthorizationFailed,
	} {
		p := c.NewProducer(newTopic(t, c, 1, nil), 0, ProducerConfig{})
		failProduce(b.Fake, code)
		if _, err := p.Append(ctx, build("x")); !errors.Is(err, want) || Classify(err) != Fatal {
			t.Errorf("%v: %v", code, err)
		}
		if _, err := p.Append(ctx, build("y")); !errors.Is(err, ErrSequence) {
			t.Errorf("after %v the producer went on: %v", code, err)
		}
	}
	p := c.NewProducer(newTopic(t, c, 1, nil), 0, ProducerConfig{})
	failProduce(b.Fake, kafka.DuplicateSequenceNumber)
	if base, err := p.Append(ctx, build("x")); err != nil || base != -1 {
		t.Errorf("a duplicate is done: base %d, %v", base, err)
	}
}

func TestCutAppendIsNotRepeated(t *testing.T) {
	b := kafkatest.Fake(t)
	proxy := newCutter()
	ctx, c := testContext(t), newClient(t, b, func(cfg *Config) { cfg.Dial = proxy.dial })
	topic := newTopic(t, c, 1, nil)
	p := c.NewProducer(topic, 0, ProducerConfig{})
	var want []string
	for i := range 60 {
		if i%3 == 1 {
			proxy.loseNextAnswer()
		}
		v := fmt.Sprint(i)
		want = append(want, v)
		if _, err := p.Append(ctx, build(v)); err != nil {
			t.Fatal(err)
		}
	}
	if proxy.cuts.Load() < 10 {
		t.Fatalf("only %d answers were lost: the test shows nothing", proxy.cuts.Load())
	}
	if diff := cmp.Diff(want, readTo(t, c, topic, 0, 0, FetchConfig{})); diff != "" {
		t.Error(diff)
	}
}

func TestCancelledAppendBreaksTheStream(t *testing.T) {
	b := kafkatest.Fake(t)
	c := newClient(t, b)
	p := c.NewProducer(newTopic(t, c, 1, nil), 0, ProducerConfig{})
	ctx, cancel := context.WithCancel(testContext(t))
	b.Fake.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		cancel()
		return nil, nil, true // never answered
	})
	if _, err := p.Append(ctx, build("x")); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
	if _, err := p.Append(testContext(t), build("y")); !errors.Is(err, ErrSequence) {
		t.Errorf("went on after an unknown outcome: %v", err)
	}
	if _, err := p.Append(testContext(t), build("z")); !errors.Is(err, ErrSequence) {
		t.Errorf("went on after an unknown outcome: %v", err)
	}
}

func TestDamagedAnswersAreFetchedAgain(t *testing.T) {
	b := kafkatest.Fake(t)
	proxy := newCutter()
	ctx, c := testContext(t), newClient(t, b, func(cfg *Config) { cfg.Dial = proxy.dial })
	topic := newTopic(t, c, 1, nil)
	p := c.NewProducer(topic, 0, ProducerConfig{})
	var want []string
	for i := range 20 {
		v := fmt.Sprintf("%d %03000d", i, i)
		want = append(want, v)
		if _, err := p.Append(ctx, build(v)); err != nil {
			t.Fatal(err)
		}
	}
	proxy.flips.Store(2)
	if diff := cmp.Diff(want, readTo(t, c, topic, 0, 0, FetchConfig{MaxBytes: 10_000})); diff != "" {
		t.Error(diff)
	}
	if proxy.flips.Load() >= 0 {
		t.Error("nothing was damaged: the test shows nothing")
	}
	proxy.flips.Store(1 << 30) // every answer from now on
	_, err := c.NewFetcher(topic, 0, 0, FetchConfig{MaxBytes: 10_000}).Fetch(ctx)
	if !errors.Is(err, ErrCorrupt) || Classify(err) != Poison {
		t.Errorf("%v", err)
	}
}

// TestTopicsOfThoseWhoMayNotCreate: a broker refuses even what is there already.
func TestTopicsOfThoseWhoMayNotCreate(t *testing.T) {
	b := kafkatest.Fake(t)
	ctx, c := testContext(t), newClient(t, b, func(cfg *Config) { cfg.UnknownTopicPatience = 300 * time.Millisecond })
	there := newTopic(t, c, 2, nil)
	b.Fake.ControlKey(int16(kmsg.CreateTopics), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		b.Fake.KeepControl()
		req := kreq.(*kmsg.CreateTopicsRequest)
		res := req.ResponseKind().(*kmsg.CreateTopicsResponse)
		for _, t := range req.Topics {
			rt := kmsg.NewCreateTopicsResponseTopic()
			rt.Topic, rt.ErrorCode = t.Topic, int16(kafka.TopicAuthorizationFailed)
			res.Topics = append(res.Topics, rt)
		}
		return res, nil, true
	})
	if err := c.CreateTopics(ctx, Topic{Name: there, Partitions: 2, Replication: 1}); err != nil {
		t.Errorf("a topic that exists: %v", err)
	}
	if err := c.CreateTopics(ctx, Topic{Name: there, Partitions: 3, Replication: 1}); !errors.As(err, new(*PartitionCountError)) {
		t.Errorf("a topic with other partitions: %v", err)
	}
	if err := c.CreateTopics(ctx, Topic{Name: "nowhere", Partitions: 2, Replication: 1}); !errors.Is(err, kafka.TopicAuthorizationFailed) {
		t.Errorf("a topic that does not exist: %v", err)
	}
}
