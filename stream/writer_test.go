package stream

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	kafka "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kmsg"

	"profilestream/stream/kafkatest"
	"profilestream/stream/wire"
)

func (h *harness) read(partition int32) []string {
	h.t.Helper()
	var out []string
	end, err := Read(h.ctx(), h.client, ReadConfig{TopicPartition: TopicPartition{Topic: h.topic, Partition: partition}, From: wire.Earliest}, func(r *wire.Record) error {
		out = append(out, string(r.Value))
		return nil
	})
	if err != nil || end != int64(len(out)) {
		h.t.Fatalf("read to %d: %v", end, err)
	}
	return out
}

func TestWriterKeepsOrder(t *testing.T) {
	onBrokers(t, func(t *testing.T, h *harness) {
		h.create(h.topic, 3)
		w := NewWriter(h.client, h.topic, 3, WriterConfig{Codec: wire.Snappy, BatchBytes: 2000})
		defer w.Close()
		var want [3][]string
		for i := range 5000 {
			p := i % 7 % 3
			v := fmt.Sprint("value ", i)
			want[p] = append(want[p], v)
			if err := w.Add(h.ctx(), int32(p), int64(i), nil, []byte(v)); err != nil {
				t.Fatal(err)
			}
			if i == 1234 {
				if err := w.Flush(h.ctx()); err != nil {
					t.Fatal(err)
				}
				if got := len(h.read(0)) + len(h.read(1)) + len(h.read(2)); got != 1235 {
					t.Errorf("%d records after a flush", got)
				}
			}
		}
		if err := w.Flush(h.ctx()); err != nil {
			t.Fatal(err)
		}
		for p := range want {
			if diff := cmp.Diff(want[p], h.read(int32(p))); diff != "" {
				t.Errorf("partition %d: %.500s", p, diff)
			}
		}
	})
}

func TestWriterStaysBroken(t *testing.T) {
	b := kafkatest.Fake(t)
	h := newHarness(t, b)
	h.create(h.topic, 1)
	w := NewWriter(h.client, h.topic, 1, WriterConfig{BatchBytes: 100})
	defer w.Close()
	n := 0
	b.Fake.ControlKey(int16(kmsg.Produce), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		b.Fake.KeepControl()
		if n++; n != 3 {
			return nil, nil, false
		}
		req := kreq.(*kmsg.ProduceRequest)
		res := req.ResponseKind().(*kmsg.ProduceResponse)
		rt, rp := kmsg.NewProduceResponseTopic(), kmsg.NewProduceResponseTopicPartition()
		rp.ErrorCode = int16(kafka.OutOfOrderSequenceNumber)
		rt.Topic, rt.TopicID, rt.Partitions = req.Topics[0].Topic, req.Topics[0].TopicID, append(rt.Partitions, rp)
		res.Topics = append(res.Topics, rt)
		return res, nil, true
	})
	var err error
	for i := 0; i < 1000 && err == nil; i++ {
		err = w.Add(h.ctx(), 0, 1, nil, fmt.Appendf(nil, "%060d", i))
	}
	if err == nil {
		err = w.Flush(h.ctx())
	}
	if !errors.Is(err, wire.ErrSequence) || !errors.Is(w.Flush(h.ctx()), wire.ErrSequence) {
		t.Errorf("%v", err)
	}
	for i, v := range h.read(0) { // what is there has no gap
		if v != fmt.Sprintf("%060d", i) {
			t.Errorf("position %d: %s", i, v)
		}
	}
}

func TestWriterFlushGivesUpWithItsContext(t *testing.T) {
	b := kafkatest.Fake(t)
	h := newHarness(t, b)
	h.create(h.topic, 1)
	b.Fake.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.Fake.KeepControl()
		return nil, nil, true // never answered
	})
	w := NewWriter(h.client, h.topic, 1, WriterConfig{})
	if err := w.Add(h.ctx(), 0, 1, nil, []byte("x")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(h.ctx(), 100*time.Millisecond)
	defer cancel()
	if err := w.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	w.Close()
	if w.Err() == nil {
		t.Error("a closed writer works on")
	}
}

func TestReadFollows(t *testing.T) {
	h := newHarness(t, kafkatest.Fake(t))
	h.create(h.topic, 1)
	h.write(h.topic, 0, "a", 5, 1, 1)
	ctx, cancel := context.WithCancel(h.ctx())
	out := make(chan error, 1)
	go func() {
		_, err := Read(ctx, h.client, ReadConfig{TopicPartition: TopicPartition{Topic: h.topic}, Follow: true}, func(r *wire.Record) error {
			v := string(r.Value)
			h.note(func() { h.seen[v]++ })
			return nil
		})
		out <- err
	}()
	h.await("the beginning", func() bool { return len(h.seen) == 5 })
	h.write(h.topic, 0, "b", 5, 1, 1)
	h.await("the rest", func() bool { return len(h.seen) == 10 })
	cancel()
	if err := <-out; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
