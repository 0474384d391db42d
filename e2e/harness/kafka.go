package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

// Kafka is a real Apache Kafka broker of this test.
type Kafka struct {
	Addr   string
	Client *kafka.Client
	tb     testing.TB
	env    []string
}

// StartKafka starts one broker with an empty data folder; it ends with the test.
func StartKafka(tb testing.TB) *Kafka {
	tb.Helper()
	port := FreePort(tb)
	k := &Kafka{tb: tb, Addr: "127.0.0.1:" + strconv.Itoa(port)}
	k.env = append(os.Environ(), "NODES=1", "PORT="+strconv.Itoa(port), "DATA="+filepath.Join(tb.TempDir(), "kafka"), "HEAP=512m")
	k.dev("start")
	tb.Cleanup(func() { k.dev("wipe") })
	k.Client = &kafka.Client{Addr: kafka.TCP(k.Addr), Timeout: 30 * time.Second}
	return k
}

// Stop ends the broker cleanly; Restart starts it again with its data.
func (k *Kafka) Stop()    { k.dev("stop") }
func (k *Kafka) Restart() { k.dev("start") }

func (k *Kafka) dev(verb string) {
	k.tb.Helper()
	cmd := exec.Command(filepath.Join(Root(k.tb), "e2e", "kafka", "kafka-dev"), verb)
	cmd.Env = k.env
	if out, err := cmd.CombinedOutput(); err != nil {
		k.tb.Fatalf("kafka-dev %s: %v\n%s", verb, err, out)
	}
}

// CreateTopic makes an input topic that keeps its records whatever their
// timestamps: a simulated history is older than any retention.
func (k *Kafka) CreateTopic(topic string, partitions int) {
	k.tb.Helper()
	res, err := k.Client.CreateTopics(context.Background(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{
		Topic: topic, NumPartitions: partitions, ReplicationFactor: 1,
		ConfigEntries: []kafka.ConfigEntry{
			{ConfigName: "retention.ms", ConfigValue: "-1"},
			{ConfigName: "max.message.bytes", ConfigValue: "12582912"},
		},
	}}})
	if err == nil {
		err = res.Errors[topic]
	}
	if err != nil {
		k.tb.Fatalf("creating topic %s: %v", topic, err)
	}
}

// Message is a record to send.
type Message struct {
	Topic      string
	Partition  int
	Key, Value []byte
	Time       time.Time
}

// Send appends messages in order, in blocks of one topic partition.
func (k *Kafka) Send(msgs []Message) {
	k.tb.Helper()
	type target struct {
		topic     string
		partition int
	}
	blocks := map[target][]kafka.Record{}
	var order []target
	sizes := map[target]int{}
	flush := func(t target) {
		if len(blocks[t]) == 0 {
			return
		}
		k.produce(t.topic, t.partition, blocks[t])
		blocks[t], sizes[t] = nil, 0
	}
	for i := range msgs {
		m := &msgs[i]
		t := target{m.Topic, m.Partition}
		if _, ok := blocks[t]; !ok {
			order = append(order, t)
		}
		if len(blocks[t]) >= 2000 || sizes[t]+len(m.Value) > 4<<20 {
			flush(t)
		}
		r := kafka.Record{Time: m.Time, Value: kafka.NewBytes(m.Value)}
		if m.Key != nil {
			r.Key = kafka.NewBytes(m.Key)
		}
		blocks[t] = append(blocks[t], r)
		sizes[t] += len(m.Value)
	}
	for _, t := range order {
		flush(t)
	}
}

func (k *Kafka) produce(topic string, partition int, recs []kafka.Record) {
	k.tb.Helper()
	res, err := k.Client.Produce(context.Background(), &kafka.ProduceRequest{
		Topic: topic, Partition: partition, RequiredAcks: kafka.RequireAll, Records: kafka.NewRecordReader(recs...),
	})
	if err == nil {
		err = res.Error
	}
	if err != nil {
		k.tb.Fatalf("sending to %s[%d]: %v", topic, partition, err)
	}
}

// Read calls fn with every record of a topic, partition by partition, in order.
func (k *Kafka) Read(topic string, fn func(partition int, m kafka.Message)) {
	k.tb.Helper()
	for p, end := range k.Ends(topic) {
		c, err := kafka.DialLeader(context.Background(), "tcp", k.Addr, topic, p)
		if err != nil {
			k.tb.Fatalf("reading %s[%d]: %v", topic, p, err)
		}
		err = readTo(c, end, func(m kafka.Message) { fn(p, m) })
		if e := c.Close(); err == nil {
			err = e
		}
		if err != nil {
			k.tb.Fatalf("reading %s[%d]: %v", topic, p, err)
		}
	}
}

func readTo(c *kafka.Conn, end int64, fn func(kafka.Message)) error {
	if _, err := c.Seek(0, kafka.SeekStart); err != nil {
		return err
	}
	for {
		if at, _ := c.Offset(); at >= end {
			return nil
		}
		if err := c.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
			return err
		}
		b := c.ReadBatchWith(kafka.ReadBatchConfig{MinBytes: 1, MaxBytes: 64 << 20, MaxWait: time.Second})
		for {
			m, err := b.ReadMessage()
			if err != nil {
				break
			}
			if m.Offset < end {
				fn(m)
			}
		}
		if err := b.Close(); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
}

// Ends are the end offsets of a topic's partitions.
func (k *Kafka) Ends(topic string) []int64 {
	k.tb.Helper()
	var meta *kafka.MetadataResponse
	// The client answers from what it learned some seconds ago: a new topic takes that long.
	Eventually(k.tb, 30*time.Second, "metadata of "+topic, func() (err error) {
		meta, err = k.Client.Metadata(context.Background(), &kafka.MetadataRequest{Topics: []string{topic}})
		if err != nil {
			return err
		}
		if len(meta.Topics) != 1 {
			return fmt.Errorf("%d topics", len(meta.Topics))
		}
		return meta.Topics[0].Error
	})
	n := len(meta.Topics[0].Partitions)
	var req []kafka.OffsetRequest
	for p := range n {
		req = append(req, kafka.LastOffsetOf(p))
	}
	res, err := k.Client.ListOffsets(context.Background(), &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: req}})
	if err != nil {
		k.tb.Fatalf("offsets of %s: %v", topic, err)
	}
	ends := make([]int64, n)
	for _, p := range res.Topics[topic] {
		if p.Error != nil {
			k.tb.Fatalf("offsets of %s: %v", topic, p.Error)
		}
		ends[p.Partition] = p.LastOffset
	}
	return ends
}

// Committed are the offsets that a consumer group has committed, -1 where none.
func (k *Kafka) Committed(group, topic string) []int64 {
	k.tb.Helper()
	parts := make([]int, len(k.Ends(topic)))
	for i := range parts {
		parts[i] = i
	}
	res, err := k.Client.OffsetFetch(context.Background(), &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: parts}})
	if err == nil {
		err = res.Error
	}
	if err != nil {
		k.tb.Fatalf("offsets of group %s: %v", group, err)
	}
	out := make([]int64, len(parts))
	for _, p := range res.Topics[topic] {
		out[p.Partition] = p.CommittedOffset
	}
	return out
}

// CaughtUp returns nil when the group has committed up to the topic's ends.
func (k *Kafka) CaughtUp(group, topic string) error {
	ends, done := k.Ends(topic), k.Committed(group, topic)
	for p := range ends {
		if done[p] < ends[p] && ends[p] > 0 {
			return fmt.Errorf("%s[%d] is at %d of %d", topic, p, done[p], ends[p])
		}
	}
	return nil
}
