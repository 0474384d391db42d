package wire

import (
	"context"
	"errors"
	"fmt"

	kafka "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/listoffsets"
)

// Special times for ListOffset.
const (
	Latest   int64 = -1
	Earliest int64 = -2
)

// TopicPartition names one partition.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// String returns "topic[partition]".
func (tp TopicPartition) String() string { return fmt.Sprintf("%s[%d]", tp.Topic, tp.Partition) }

// ListOffset returns the log's first offset (Earliest), its end (Latest; committed: the last stable offset), or the
// offset of the first record stamped at or after a time in milliseconds, the end where there is none.
func (c *Client) ListOffset(ctx context.Context, topic string, partition int32, at int64, committed bool) (int64, error) {
	offset, err := c.listOffset(ctx, topic, partition, at, committed)
	if err == nil && offset < 0 && at >= 0 {
		return c.listOffset(ctx, topic, partition, Latest, committed)
	}
	return offset, err
}

func (c *Client) listOffset(ctx context.Context, topic string, partition int32, at int64, committed bool) (int64, error) {
	req := &listoffsets.Request{ReplicaID: -1, Topics: []listoffsets.RequestTopic{{Topic: topic, Partitions: []listoffsets.RequestPartition{{
		Partition: partition, CurrentLeaderEpoch: -1, Timestamp: at,
	}}}}}
	if committed {
		req.IsolationLevel = 1
	}
	var offset int64
	err := c.retry(ctx, fmt.Sprintf("listing offsets of %s[%d]", topic, partition), func(ctx context.Context) error {
		m, err := c.transport.RoundTrip(ctx, c.addr, req)
		if err != nil {
			return err
		}
		for _, t := range m.(*listoffsets.Response).Topics {
			for _, p := range t.Partitions {
				if t.Topic == topic && p.Partition == partition {
					offset = p.Offset
					return fromCode(kafka.Error(p.ErrorCode))
				}
			}
		}
		return fmt.Errorf("%w: it lacks the partition", errResponse)
	})
	return offset, err
}

// Position is a committed position of a group. Offset is -1 where nothing was committed.
type Position struct {
	Offset   int64
	Metadata string
}

// CommittedOffsets returns the group's committed positions of the given partitions.
func (c *Client) CommittedOffsets(ctx context.Context, group string, partitions []TopicPartition) (map[TopicPartition]Position, error) {
	topics := make(map[string][]int)
	for _, tp := range partitions {
		topics[tp.Topic] = append(topics[tp.Topic], int(tp.Partition))
	}
	out := make(map[TopicPartition]Position, len(partitions))
	if len(topics) == 0 {
		return out, nil
	}
	err := c.retry(ctx, "reading the committed offsets of group "+group, func(ctx context.Context) error {
		res, err := c.api.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: group, Topics: topics})
		if err != nil {
			return err
		}
		if errors.Is(res.Error, kafka.GroupIdNotFound) { // a group that never committed
			for _, tp := range partitions {
				out[tp] = Position{Offset: -1}
			}
			return nil
		}
		if res.Error != nil {
			return fromError(res.Error)
		}
		for topic, ps := range res.Topics {
			for _, p := range ps {
				if p.Error != nil {
					return fromError(p.Error)
				}
				out[TopicPartition{topic, int32(p.Partition)}] = Position{Offset: p.CommittedOffset, Metadata: p.Metadata}
			}
		}
		for _, tp := range partitions {
			if _, ok := out[tp]; !ok {
				return fmt.Errorf("%w: it lacks %v", errResponse, tp)
			}
		}
		return nil
	})
	return out, err
}

// Member is a seat in a group generation. The zero value with Generation -1 stands outside any: its commits are taken
// only while the group has no members.
type Member struct {
	Group      string
	Generation int32
	ID         string
}

// Commit stores positions for a member. It returns ErrIllegalGeneration where the member's generation has passed.
func (c *Client) Commit(ctx context.Context, m Member, positions map[TopicPartition]Position) error {
	if len(positions) == 0 {
		return nil
	}
	topics := make(map[string][]kafka.OffsetCommit)
	for tp, p := range positions {
		topics[tp.Topic] = append(topics[tp.Topic], kafka.OffsetCommit{Partition: int(tp.Partition), Offset: p.Offset, Metadata: p.Metadata})
	}
	return c.retry(ctx, "committing offsets of group "+m.Group, func(ctx context.Context) error {
		res, err := c.api.OffsetCommit(ctx, &kafka.OffsetCommitRequest{
			GroupID: m.Group, GenerationID: int(m.Generation), MemberID: m.ID, Topics: topics,
		})
		if err != nil {
			return err
		}
		for _, ps := range res.Topics {
			for _, p := range ps {
				if p.Error != nil {
					return fromError(p.Error)
				}
			}
		}
		return nil
	})
}

// Heartbeat keeps a member's seat. A rebalance in progress is not an error: the member still holds its partitions.
func (c *Client) Heartbeat(ctx context.Context, m Member) error {
	res, err := c.api.Heartbeat(ctx, &kafka.HeartbeatRequest{GroupID: m.Group, GenerationID: m.Generation, MemberID: m.ID})
	if err == nil {
		err = res.Error
	}
	if code, ok := err.(kafka.Error); ok && code == kafka.RebalanceInProgress {
		return nil
	}
	return fromError(err)
}

// Lag is how far a group is behind on one partition.
type Lag struct {
	Committed, End int64 // Committed is -1 where nothing was committed
}

// Records returns the number of offsets between the committed position and the end.
func (l Lag) Records() int64 { return l.End - max(0, l.Committed) }

// GroupLag returns the lag of a group on all partitions of the topics.
func (c *Client) GroupLag(ctx context.Context, group string, topics ...string) (map[TopicPartition]Lag, error) {
	tps, err := c.Partitions(ctx, topics...)
	if err != nil {
		return nil, err
	}
	committed, err := c.CommittedOffsets(ctx, group, tps)
	if err != nil {
		return nil, err
	}
	out := make(map[TopicPartition]Lag, len(tps))
	for _, tp := range tps {
		end, err := c.ListOffset(ctx, tp.Topic, tp.Partition, Latest, true)
		if err != nil {
			return nil, err
		}
		out[tp] = Lag{Committed: committed[tp].Offset, End: end}
	}
	return out, nil
}
