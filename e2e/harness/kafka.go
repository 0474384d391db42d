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
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

// Kafka is a real Apache Kafka cluster of this test.
type Kafka struct {
	Addr   string   // of the first broker
	Addrs  []string // of all
	Client *kafka.Client
	tb     testing.TB
	env    []string
	data   string
}

// StartKafka starts one broker with an empty data folder; it ends with the test.
func StartKafka(tb testing.TB) *Kafka {
	tb.Helper()
	return StartCluster(tb, 1)
}

// StartCluster starts 1 or 3 brokers with empty data folders and more variables
// for kafka-dev; they end with the test. Topics have a replica on each.
func StartCluster(tb testing.TB, nodes int, env ...string) *Kafka {
	tb.Helper()
	port := FreePorts(tb, 2*nodes)
	k := &Kafka{tb: tb, data: filepath.Join(tb.TempDir(), "kafka")}
	for n := range nodes {
		k.Addrs = append(k.Addrs, "127.0.0.1:"+strconv.Itoa(port+2*n))
	}
	k.env = append(append(os.Environ(), "NODES="+strconv.Itoa(nodes), "PORT="+strconv.Itoa(port), "DATA="+k.data, "HEAP=512m"), env...)
	k.dev("start")
	tb.Cleanup(func() { k.dev("wipe") })
	k.Addr, k.Client = k.Addrs[0], client(k.Addrs)
	return k
}

// UseKafka speaks to brokers that somebody else has started.
func UseKafka(tb testing.TB, addrs []string) *Kafka {
	return &Kafka{tb: tb, Addr: addrs[0], Addrs: addrs, Client: client(addrs)}
}

func client(addrs []string) *kafka.Client {
	// Tests make topics and use them at once: without it the client answers for 6 s from what it learned before.
	fresh := &kafka.Transport{MetadataTTL: 250 * time.Millisecond}
	return &kafka.Client{Addr: kafka.TCP(addrs...), Timeout: 30 * time.Second, Transport: fresh}
}

// Stop ends the brokers cleanly; Restart starts those that do not run again,
// with their data.
func (k *Kafka) Stop()    { k.dev("stop") }
func (k *Kafka) Restart() { k.dev("start") }

// Kill sends SIGKILL to one broker, counted from 0.
func (k *Kafka) Kill(node int) {
	k.tb.Helper()
	path := filepath.Join(k.data, strconv.Itoa(node+1), "pid")
	raw, err := os.ReadFile(path)
	if err != nil {
		k.tb.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		k.tb.Fatalf("%s: %v", path, err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		k.tb.Fatalf("broker %d: %v", node, err)
	}
}

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
		Topic: topic, NumPartitions: partitions, ReplicationFactor: len(k.Addrs),
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
	end := time.Now().Add(20 * time.Second)
	k.send(msgs, func(err error) {
		// A topic made just now may not have its leaders yet; nothing was written then.
		fresh := errors.Is(err, kafka.NotLeaderForPartition) || errors.Is(err, kafka.UnknownTopicOrPartition) || errors.Is(err, kafka.LeaderNotAvailable)
		if !fresh || time.Now().After(end) {
			k.tb.Fatal(err)
		}
	})
}

// SendThrough is Send while brokers fail: each block is tried again for up to
// limit. One whose answer was lost is then in the topic twice, as with any
// producer that is not idempotent.
func (k *Kafka) SendThrough(limit time.Duration, msgs []Message) {
	k.tb.Helper()
	end := time.Now().Add(limit)
	k.send(msgs, func(err error) {
		if time.Now().After(end) {
			k.tb.Fatalf("not within %s: %v", limit, err)
		}
	})
}

func (k *Kafka) send(msgs []Message, failed func(error)) {
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
		for err := k.produce(t.topic, t.partition, blocks[t]); err != nil; err = k.produce(t.topic, t.partition, blocks[t]) {
			failed(err)
		}
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

func (k *Kafka) produce(topic string, partition int, recs []kafka.Record) error {
	for i := range recs { // a try that failed has read them
		rewind(recs[i].Key)
		rewind(recs[i].Value)
	}
	res, err := k.Client.Produce(context.Background(), &kafka.ProduceRequest{
		Topic: topic, Partition: partition, RequiredAcks: kafka.RequireAll, Records: kafka.NewRecordReader(recs...),
	})
	if err == nil {
		err = res.Error
	}
	if err != nil {
		return fmt.Errorf("sending to %s[%d]: %w", topic, partition, err)
	}
	return nil
}

func rewind(b kafka.Bytes) {
	if s, ok := b.(io.Seeker); ok {
		_, _ = s.Seek(0, io.SeekStart) // of bytes in memory
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
	// A topic made just now takes its time to be known.
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
	ends := make([]int64, n)
	Eventually(k.tb, 30*time.Second, "offsets of "+topic, func() error {
		var req []kafka.OffsetRequest
		for p := range n {
			req = append(req, kafka.LastOffsetOf(p))
		}
		res, err := k.Client.ListOffsets(context.Background(), &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: req}})
		if err != nil {
			return err
		}
		for _, p := range res.Topics[topic] {
			if p.Error != nil {
				return p.Error
			}
			ends[p.Partition] = p.LastOffset
		}
		return nil
	})
	return ends
}

// Committed are the offsets that a consumer group has committed, -1 where none.
func (k *Kafka) Committed(group, topic string) []int64 {
	k.tb.Helper()
	parts := make([]int, len(k.Ends(topic)))
	for i := range parts {
		parts[i] = i
	}
	out := make([]int64, len(parts))
	// The first to ask for a group makes the broker load it.
	Eventually(k.tb, 30*time.Second, "offsets of group "+group, func() error {
		res, err := k.Client.OffsetFetch(context.Background(), &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: parts}})
		if err == nil {
			err = res.Error
		}
		if err != nil {
			return err
		}
		for _, p := range res.Topics[topic] {
			out[p.Partition] = p.CommittedOffset
		}
		return nil
	})
	return out
}

// Members returns nil when a consumer group has so many processes.
func (k *Kafka) Members(group string, want int) error {
	res, err := k.Client.DescribeGroups(context.Background(), &kafka.DescribeGroupsRequest{GroupIDs: []string{group}})
	if err != nil {
		return err
	}
	if n := len(res.Groups[0].Members); n != want || res.Groups[0].GroupState != "Stable" {
		return fmt.Errorf("group %s has %d members and is %s", group, n, res.Groups[0].GroupState)
	}
	return nil
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
