package wire

import (
	"errors"
	"testing"
	"time"

	"profilestream/stream/kafkatest"
)

// TestRecreatedTopicIsNoticed: a fetcher goes on in a topic that was made anew
// and is longer than its offset, and is told.
func TestRecreatedTopicIsNoticed(t *testing.T) {
	onBrokers(t, func(t *testing.T, b *kafkatest.Broker) {
		c := newClient(t, b)
		ctx := testContext(t)
		topic := newTopic(t, c, 1, nil)
		fill := func(n int) {
			t.Helper()
			b := new(Builder)
			for range n {
				b.Add(time.Now().UnixMilli(), nil, []byte("record"))
			}
			if _, err := c.NewProducer(topic, 0, ProducerConfig{}).Append(ctx, b); err != nil {
				t.Fatal(err)
			}
		}
		fill(10)
		id, err := c.TopicID(ctx, topic, 0)
		if err != nil || len(id) != 32 {
			t.Fatalf("id %q, %v", id, err)
		}
		f := c.NewFetcher(topic, 0, 0, FetchConfig{TopicID: id})
		rs, err := f.Fetch(ctx)
		if err != nil || rs.To != 10 {
			t.Fatalf("the first fetch: %+v, %v", rs, err)
		}
		if err := c.DeleteTopics(ctx, topic); err != nil {
			t.Fatal(err)
		}
		if err := c.CreateTopics(ctx, Topic{Name: topic, Partitions: 1, Replication: 1}); err != nil {
			t.Fatal(err)
		}
		for { // the leader learns of it a moment later
			again, err := c.TopicID(ctx, topic, 0)
			if err != nil {
				t.Fatal(err)
			}
			if again != id {
				break
			}
		}
		fill(30)
		f.checked = f.checked.Add(-topicCheckInterval)
		_, err = f.Fetch(ctx)
		var made *RecreatedError
		if !errors.As(err, &made) || !errors.Is(err, ErrRecreated) || made.Topic != topic || made.Was != id || made.Is == id || Classify(err) != Fatal {
			t.Fatalf("fetching on: %v", err)
		}
	})
}
