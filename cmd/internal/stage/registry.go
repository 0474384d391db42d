package stage

import (
	"context"
	"encoding/json"
	"fmt"

	"profilestream/stream"
	"profilestream/stream/wire"
)

// registryVersion is the format of the records of the topic sources.
const registryVersion = 1

// known is what the compacted topic sources keeps of an input topic, under its
// name. Kafka forgets a group's committed places together with the topic, and
// those of a group that has been stopped for long; this says what they were of.
type known struct {
	Version    int    `json:"version"`
	ID         string `json:"id"`         // of the topic; "" where the cluster tells none
	Epoch      int32  `json:"epoch"`      // the largest that a partition of the topic has begun
	Partitions int    `json:"partitions"` // number of them, at least
}

// readRegistry reads what the run knows of its input topics.
func readRegistry(ctx context.Context, c *wire.Client, topic string) (map[string]known, error) {
	all := map[string]known{}
	from := stream.ReadConfig{TopicPartition: wire.TopicPartition{Topic: topic}, From: wire.Earliest}
	_, err := stream.Read(ctx, c, from, func(r *wire.Record) error {
		var k known
		if err := json.Unmarshal(r.Value, &k); err != nil || k.Version < 1 || k.Version > registryVersion {
			return fmt.Errorf("%s@%d is no record of a source that this program reads: %.100q", topic, r.Offset, r.Value)
		}
		all[string(r.Key)] = k
		return nil
	})
	return all, err
}

// writeRegistry makes what the run knows of some input topics durable.
func writeRegistry(ctx context.Context, c *wire.Client, topic string, nowMillis int64, all map[string]known) error {
	if len(all) == 0 {
		return nil
	}
	b := new(wire.Builder)
	for name, k := range all {
		k.Version = registryVersion
		v, err := json.Marshal(k)
		if err != nil {
			return err
		}
		b.Add(nowMillis, []byte(name), v)
	}
	_, err := c.NewProducer(topic, 0, wire.ProducerConfig{}).Append(ctx, b)
	return err
}
