package stage

import (
	"context"
	"fmt"
	"hash/crc32"

	"profilestream/profile"
	"profilestream/stream"
	"profilestream/stream/failpoint"
	"profilestream/stream/wire"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// lastOf is what a marker keeps of a log record, to know it again.
func lastOf(r *wire.Record) profile.LastRecord {
	return profile.LastRecord{CRC: crc32.Checksum(r.Value, castagnoli), TimestampMillis: r.Timestamp}
}

// readState feeds every committed record of a state partition to fn, in order.
// The caller has fenced older writers, so no transaction is open.
func readState(ctx context.Context, c *wire.Client, topic string, partition int32, fn func(key, value []byte) error) (records, bytes int64, err error) {
	_, err = stream.Read(ctx, c, stream.ReadConfig{
		TopicPartition: wire.TopicPartition{Topic: topic, Partition: partition}, From: wire.Earliest, Committed: true,
	}, func(r *wire.Record) error {
		records++
		bytes += int64(len(r.Key) + len(r.Value))
		if err := fn(r.Key, r.Value); err != nil && !failpoint.Due("windowing.ignore_damage") {
			return fmt.Errorf("%s[%d]@%d: %w", topic, partition, r.Offset, err)
		}
		return nil
	})
	return records, bytes, err
}

// checkLog refuses to go on from a marker whose log record is no longer the one
// that the marker was made after: the topic was recreated or truncated.
func checkLog(ctx context.Context, c *wire.Client, topic string, partition int32, m profile.Marker) error {
	if m.Offset < 0 {
		return nil
	}
	end, err := c.ListOffset(ctx, topic, partition, wire.Latest, false)
	if err != nil {
		return err
	}
	if m.Offset >= end {
		return fmt.Errorf("the state of %s[%d] stands at offset %d, but the log ends at %d: it was truncated or recreated; start another run", topic, partition, m.Offset, end)
	}
	rs, err := c.NewFetcher(topic, partition, m.Offset, wire.FetchConfig{}).Fetch(ctx)
	if err != nil {
		return fmt.Errorf("checking the record before the state's place: %w", err)
	}
	defer rs.Release()
	r := rs.Next()
	if r == nil || r.Offset != m.Offset || lastOf(r) != m.Last {
		return fmt.Errorf("%s[%d]@%d is not the record that the state was made after: the topic was recreated; start another run", topic, partition, m.Offset)
	}
	return nil
}
