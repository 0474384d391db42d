package e2e

import (
	"bytes"
	"context"
	"fmt"
	"sort"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/segmentio/kafka-go"

	"profilestream/schemas"
	"profilestream/stream"
	"profilestream/stream/wire"
)

// longestPause is how long at most no scored rows come out while a model is
// replaced.
const longestPause = time.Second

// load sends events of the active users, some every loadInterval, until it is
// stopped; the silent users have sent theirs before.
type load struct {
	client *kafka.Client
	topic  string
	cancel context.CancelFunc
	done   sync.WaitGroup
	sent   int
	err    error
}

const (
	loadInterval = 50 * time.Millisecond
	loadUsers    = activeUsers / 4 // that send something at a time: each does every 200 ms
)

func startLoad(t *testing.T, addr, topic string) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{client: &kafka.Client{Addr: kafka.TCP(addr), Timeout: 30 * time.Second}, topic: topic, cancel: cancel}
	// All events are of one day, so that nobody's row changes by time alone.
	start := shopStart.Add(time.Hour)
	for i := range silentUsers {
		users := make([]string, 1+i%7)
		for k := range users {
			users[k] = fmt.Sprintf("silent-%d", i)
		}
		if err := l.send(ctx, start.Add(time.Duration(i)*time.Second), users); err != nil {
			t.Fatal(err)
		}
	}
	start = start.Add(time.Hour)
	l.done.Go(func() {
		tick := time.NewTicker(loadInterval)
		defer tick.Stop()
		users := make([]string, loadUsers)
		for n := 0; ; n++ {
			for k := range users {
				users[k] = fmt.Sprintf("active-%d", (n*loadUsers+k)%activeUsers)
			}
			err := l.send(ctx, start.Add(time.Duration(n)*loadInterval), users)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				l.err = err
				return
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
	t.Cleanup(func() { cancel(); l.done.Wait() })
	return l
}

// send appends an event of each user.
func (l *load) send(ctx context.Context, at time.Time, users []string) error {
	var recs []kafka.Record
	for _, user := range users {
		l.sent++
		value := fmt.Sprintf(`{"event_id":"e%d","user_id":%q,"type":"product_view","ts":%d,"product":{"id":"p%d","name":"garden lamp %d","category":"garden"}}`,
			l.sent, user, at.UnixMilli()+int64(len(recs)), l.sent%9, l.sent%9)
		recs = append(recs, kafka.Record{Time: at, Value: kafka.NewBytes([]byte(value))})
	}
	res, err := l.client.Produce(ctx, &kafka.ProduceRequest{
		Topic: l.topic, Partition: l.sent / len(users) % inputPartitions["clickstream"], RequiredAcks: kafka.RequireAll, Records: kafka.NewRecordReader(recs...),
	})
	if err == nil {
		err = res.Error
	}
	return err
}

// stop ends the load, which must have gone on until now.
func (l *load) stop(t *testing.T) {
	t.Helper()
	l.cancel()
	l.done.Wait()
	if l.err != nil {
		t.Fatalf("the load ended early: %v", l.err)
	}
	t.Logf("%d events were sent", l.sent)
}

// scoredMessage is what the topic scored holds of one message of rows.
type scoredMessage struct {
	partition int32
	at        time.Time // by the broker
	promotion string
	versions  map[string]bool // model_version of its rows
}

func (p *promoted) scoredMessages() (out []scoredMessage) {
	p.t.Helper()
	c, err := wire.NewClient(wire.Config{Brokers: []string{p.kafka.Addr}})
	if err != nil {
		p.t.Fatal(err)
	}
	defer c.Close()
	topic := schemas.RunTopics(p.name).Scored
	for i := range p.kafka.Ends(topic) {
		tp := wire.TopicPartition{Topic: topic, Partition: int32(i)}
		_, err := stream.Read(p.t.Context(), c, stream.ReadConfig{TopicPartition: tp, From: wire.Earliest}, func(r *wire.Record) error {
			schema, _ := r.Header(schemas.HeaderSchema)
			if string(schema) != schemas.ScoredRowsSchema {
				return nil
			}
			number, _ := r.Header(schemas.HeaderPromotion)
			m := scoredMessage{partition: tp.Partition, at: time.UnixMilli(r.Timestamp), promotion: string(number), versions: map[string]bool{}}
			rd, err := ipc.NewReader(bytes.NewReader(r.Value))
			if err != nil {
				return err
			}
			defer rd.Release()
			for rd.Next() {
				col := rd.Record().Column(schemas.ColModelVersion).(*array.String)
				for k := range col.Len() {
					m.versions[string([]byte(col.Value(k)))] = true
				}
			}
			out = append(out, m)
			return rd.Err()
		})
		if err != nil {
			p.t.Fatal(err)
		}
	}
	return out
}

// noPause looks at when scored rows came out from an instant until now.
func (p *promoted) noPause(what string, from time.Time) {
	p.t.Helper()
	last, longest := map[int32]time.Time{}, map[int32]time.Duration{}
	var times []time.Time
	until := time.Now()
	for _, m := range p.scoredMessages() {
		if m.at.Before(from) || m.at.After(until) {
			continue
		}
		times = append(times, m.at)
		if before, ok := last[m.partition]; ok {
			longest[m.partition] = max(longest[m.partition], m.at.Sub(before))
		}
		last[m.partition] = m.at
	}
	pause := longestGap(times)
	worst := time.Duration(0)
	for _, d := range longest {
		worst = max(worst, d)
	}
	p.t.Logf("%s: %d messages of scored rows in %s, longest pause %s, within one of %d partitions %s", what, len(times), until.Sub(from).Round(time.Millisecond), pause, len(longest), worst)
	if len(times) < 20 || len(longest) != 8 || max(pause, worst) > longestPause {
		p.t.Errorf("%s: scored rows paused for %s, those of one partition for %s; at most %s is allowed", what, pause, worst, longestPause)
	}
}

func longestGap(times []time.Time) (gap time.Duration) {
	sorted := append([]time.Time(nil), times...)
	sort.Slice(sorted, func(i, j int) bool { return sorted[i].Before(sorted[j]) })
	for i := 1; i < len(sorted); i++ {
		gap = max(gap, sorted[i].Sub(sorted[i-1]))
	}
	return gap
}

// oneModelAMessage: no message mixes versions, a promotion has one version, and a
// partition's promotions never fall.
func (p *promoted) oneModelAMessage() {
	p.t.Helper()
	of, last := map[string]string{}, map[int32]string{}
	msgs := p.scoredMessages()
	for _, m := range msgs {
		if len(m.versions) != 1 {
			p.t.Errorf("a message of promotion %s has the versions %v", m.promotion, m.versions)
		}
		for v := range m.versions {
			if known, ok := of[m.promotion]; ok && known != v {
				p.t.Errorf("promotion %s has the versions %s and %s", m.promotion, known, v)
			}
			of[m.promotion] = v
		}
		if m.promotion < last[m.partition] { // of one digit each
			p.t.Errorf("partition %d: promotion %s after %s", m.partition, m.promotion, last[m.partition])
		}
		last[m.partition] = m.promotion
	}
	if len(of) != 6 {
		p.t.Errorf("promotions %v, want 0 to 5", of)
	}
	p.t.Logf("%d messages of scored rows, none mixed: %v", len(msgs), of)
}
