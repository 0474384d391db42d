package stream

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"profilestream/stream/kafkatest"
	"profilestream/stream/wire"
)

// A worker and a writer live through a broker that is killed and started again: nobody exits, nothing is lost, and each
// partition is seen in order.
func TestWorkersSurviveKilledBrokers(t *testing.T) {
	b := kafkatest.RealOwned(t, 1)
	h := newHarness(t, b)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	settings := map[string]string{"flush.messages": "1"} // what a lone broker acknowledges must outlive its process
	if err := h.client.CreateTopics(ctx, wire.Topic{Name: h.topic, Partitions: 2, Replication: 1, Settings: settings}); err != nil {
		t.Fatal(err)
	}
	w := NewWriter(h.client, h.topic, 2, WriterConfig{Codec: wire.Snappy})
	defer w.Close()
	stopWriting, wrote := make(chan struct{}), make(chan error, 1)
	var written atomic.Int64
	go func() {
		for {
			select {
			case <-stopWriting:
				wrote <- nil
				return
			default:
			}
			n := written.Load()
			for p := range int32(2) {
				if err := w.Add(ctx, p, time.Now().UnixMilli(), nil, fmt.Appendf(nil, "%d-%d", p, n)); err != nil {
					wrote <- err
					return
				}
			}
			if err := w.Flush(ctx); err != nil {
				wrote <- err
				return
			}
			written.Add(1)
		}
	}()
	stop := h.start(h.newGroup(), h.factory)
	goesOn := func() {
		t.Helper()
		from := written.Load()
		waitLong(t, "the worker sees what is written now", func() bool {
			h.mu.Lock()
			defer h.mu.Unlock()
			return written.Load() > from+20 && h.seen[fmt.Sprintf("1-%d", from+20)] > 0
		})
	}
	goesOn()
	b.Kill()
	b.Start()
	goesOn()
	close(stopWriting)
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	n := written.Load()
	waitLong(t, "everything is processed", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.seen[fmt.Sprintf("0-%d", n-1)] > 0 && h.seen[fmt.Sprintf("1-%d", n-1)] > 0
	})
	if _, err := stop(); err != nil {
		t.Error(err)
	}
	again := 0
	for p := range 2 {
		for i := range n {
			switch times := h.seen[fmt.Sprintf("%d-%d", p, i)]; {
			case times == 0:
				t.Errorf("record %d-%d was never processed", p, i)
			case times > 1:
				again++
			}
		}
		lag, err := h.client.GroupLag(ctx, h.group, h.topic)
		if err != nil || lag[TopicPartition{Topic: h.topic, Partition: int32(p)}] != (wire.Lag{Committed: n, End: n}) {
			t.Errorf("lag %v %v, want %d", lag, err, n)
		}
	}
	t.Logf("%d records a partition, %d processed again after the kill", n, again)
}

func waitLong(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(2 * time.Minute)
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited too long until %s", what)
		}
	}
}
