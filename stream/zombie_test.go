package stream

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"profilestream/stream/kafkatest"
	"profilestream/stream/wire"
)

// freezer is a network that can stand still, as for a process that is stopped and continued.
type freezer struct {
	mu     sync.Mutex
	frozen chan struct{} // nil while it flows, else closed on the thaw
}

func (f *freezer) freeze() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.frozen = make(chan struct{})
}

func (f *freezer) thaw() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.frozen)
	f.frozen = nil
}

func (f *freezer) wait() {
	f.mu.Lock()
	frozen := f.frozen
	f.mu.Unlock()
	if frozen != nil {
		<-frozen
	}
}

func (f *freezer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	f.wait()
	var d net.Dialer
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &frozenConn{c, f}, nil
}

type frozenConn struct {
	net.Conn
	f *freezer
}

func (c *frozenConn) Write(p []byte) (int, error) {
	c.f.wait()
	return c.Conn.Write(p)
}

func (c *frozenConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.f.wait()
	return n, err
}

// A worker that sleeps past its session loses its partitions. When it wakes up it may process some more before it
// notices, but its commits are refused, nothing moves backward, and it takes part again.
func TestZombieCommitsNothing(t *testing.T) {
	b := kafkatest.Fake(t)
	h := newHarness(t, b)
	h.create(h.topic, 1)
	var net freezer
	sleepy, err := wire.NewClient(wire.Config{Brokers: b.Addrs, MetadataTTL: 200 * time.Millisecond, MaxBackoff: 200 * time.Millisecond, Dial: net.dial})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sleepy.Close)
	short := func(c *GroupConfig) { c.SessionTimeout, c.RebalanceTimeout = time.Second, 2*time.Second }
	tp := TopicPartition{Topic: h.topic}
	want := h.write(h.topic, 0, "a", 100, 1, 1)

	zombie := h.start(h.newGroup(short, func(c *GroupConfig) { c.Client, c.FlushInterval = sleepy, time.Hour }), h.factory)
	h.await("the first worker has read", func() bool { return len(h.seen) == 100 })
	net.freeze() // 100 records processed, none committed
	heir := h.start(h.newGroup(short), h.factory)
	h.await("the heir has read them again", func() bool {
		for _, v := range want {
			if h.seen[v] != 2 {
				return false
			}
		}
		return true
	})
	h.write(h.topic, 0, "b", 50, 1, 1)
	h.await("the heir goes on", func() bool { return len(h.seen) == 150 })
	committed := func() int64 {
		got, err := h.client.CommittedOffsets(h.ctx(), h.group, []TopicPartition{tp})
		if err != nil {
			t.Fatal(err)
		}
		return got[tp].Offset
	}
	waitUntil(t, "the heir's commit", func() bool { return committed() == 150 })
	net.thaw()
	h.await("the zombie's last flush", func() bool { return len(h.endings) > 0 })
	if _, err := heir(); err != nil {
		t.Error(err)
	}
	if got := committed(); got != 150 {
		t.Errorf("the zombie moved the position to %d", got)
	}
	h.write(h.topic, 0, "c", 10, 1, 1)
	h.await("the woken worker takes over", func() bool { return h.seen["c-9"] == 1 })
	if _, err := zombie(); err != nil {
		t.Error(err)
	}
	if h.seen["c-0"] != 1 {
		t.Errorf("c-0 was processed %d times", h.seen["c-0"])
	}
	if got := committed(); got != 160 {
		t.Errorf("committed %d, want 160", got)
	}
}

func TestNewPartitionsAreReadFromTheirBeginning(t *testing.T) {
	b := kafkatest.Fake(t)
	h := newHarness(t, b)
	h.create(h.topic, 1)
	h.write(h.topic, 0, "old", 10, 1, 1)
	stop := h.start(h.newGroup(func(c *GroupConfig) { c.Start = Latest }), h.factory)
	waitUntil(t, "the start is committed", func() bool {
		got, err := h.client.CommittedOffsets(h.ctx(), h.group, []TopicPartition{{Topic: h.topic}})
		return err == nil && got[TopicPartition{Topic: h.topic}].Offset == 10
	})
	if err := h.client.AddPartitions(h.ctx(), h.topic, 2); err != nil {
		t.Fatal(err)
	}
	want := h.write(h.topic, 1, "new", 10, 1, 1)
	h.await("the new partition is read", func() bool { return len(h.seen) == 10 })
	if _, err := stop(); err != nil {
		t.Error(err)
	}
	h.once(want)
}

func waitUntil(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited too long for %s", what)
		}
	}
}
