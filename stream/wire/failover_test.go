package wire

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"profilestream/stream/kafkatest"
)

// A broker that is killed and started again must leave every acknowledged record in the log, once and in order.
func TestAppendsSurviveKilledBrokers(t *testing.T) {
	b := kafkatest.RealOwned(t, 1)
	var retries atomic.Int64
	c := newClient(t, b, func(cfg *Config) { cfg.OnRetry = func(string, error) { retries.Add(1) } })
	ctx := testContext(t)
	// Flushed on each append: what a lone broker acknowledges must outlive its process.
	topic := newTopic(t, c, 2, map[string]string{"flush.messages": "1"})
	ledger := newTopic(t, c, 1, map[string]string{"flush.messages": "1"})
	stop := make(chan struct{})
	var (
		writers  sync.WaitGroup
		appended [3]atomic.Int64
		want     [3][]string
	)
	writer := func(i int, write func(v string) error) {
		writers.Add(1)
		go func() {
			defer writers.Done()
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				v := fmt.Sprintf("%d-%d", i, n)
				if err := write(v); err != nil {
					t.Errorf("writer %d: %v", i, err)
					return
				}
				want[i] = append(want[i], v)
				appended[i].Add(1)
			}
		}()
	}
	for i := range 2 {
		p := c.NewProducer(topic, int32(i), ProducerConfig{Codec: LZ4})
		writer(i, func(v string) error { _, err := p.Append(ctx, build(v)); return err })
	}
	tx, err := c.NewTransactor(ctx, kafkatest.Name("tx"), TransactorConfig{})
	if err != nil {
		t.Fatal(err)
	}
	writer(2, func(v string) error {
		if _, err := tx.Append(ctx, ledger, 0, build(v)); err != nil {
			return err
		}
		return tx.Commit(ctx)
	})
	progress := func() {
		t.Helper()
		for i := range appended {
			from := appended[i].Load()
			waitFor(t, fmt.Sprintf("writer %d goes on", i), func() bool { return appended[i].Load() > from+10 })
		}
	}
	for range 2 {
		progress()
		b.Kill()
		b.Start()
		progress()
	}
	close(stop)
	writers.Wait()
	if retries.Load() == 0 {
		t.Error("nothing was retried: the kills came at the wrong time and the test shows nothing")
	}
	for i := range 2 {
		if diff := cmp.Diff(want[i], readTo(t, c, topic, int32(i), 0, FetchConfig{})); diff != "" {
			t.Errorf("partition %d: %.2000s", i, diff)
		}
	}
	if diff := cmp.Diff(want[2], readTo(t, c, ledger, 0, 0, FetchConfig{Committed: true})); diff != "" {
		t.Errorf("transactions: %.2000s", diff)
	}
	t.Logf("%d and %d records, %d transactions, %d retries", len(want[0]), len(want[1]), len(want[2]), retries.Load())
}

func waitFor(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(60 * time.Second)
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited too long until %s", what)
		}
	}
}
