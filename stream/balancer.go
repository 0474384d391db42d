package stream

import (
	"slices"
	"sort"
	"sync/atomic"

	kafka "github.com/segmentio/kafka-go"
)

// spread assigns all partitions of all topics round robin over the members, so that several topics with few
// partitions do not all land on the first member. Only the member that leads the group is asked.
type spread struct {
	topics []string     // of the group
	dealt  atomic.Int64 // partitions of the topics that were assigned last, 0 where this member did not lead
}

// ProtocolName implements kafka.GroupBalancer.
func (*spread) ProtocolName() string { return "profilestream-spread" }

// UserData implements kafka.GroupBalancer.
func (*spread) UserData() ([]byte, error) { return nil, nil }

// AssignGroups implements kafka.GroupBalancer.
func (b *spread) AssignGroups(members []kafka.GroupMember, partitions []kafka.Partition) kafka.GroupMemberAssignments {
	members, partitions = append([]kafka.GroupMember(nil), members...), append([]kafka.Partition(nil), partitions...)
	sort.Slice(members, func(i, j int) bool { return members[i].ID < members[j].ID })
	sort.Slice(partitions, func(i, j int) bool {
		if partitions[i].Topic != partitions[j].Topic {
			return partitions[i].Topic < partitions[j].Topic
		}
		return partitions[i].ID < partitions[j].ID
	})
	out := make(kafka.GroupMemberAssignments, len(members))
	subscribed := make([]map[string]bool, len(members))
	for i, m := range members {
		out[m.ID] = make(map[string][]int)
		subscribed[i] = make(map[string]bool, len(m.Topics))
		for _, t := range m.Topics {
			subscribed[i][t] = true
		}
	}
	next, dealt := 0, 0
	for _, p := range partitions {
		if slices.Contains(b.topics, p.Topic) {
			dealt++
		}
		for range members { // the next member in turn that reads this topic
			m := next % len(members)
			next++
			if subscribed[m][p.Topic] {
				out[members[m].ID][p.Topic] = append(out[members[m].ID][p.Topic], p.ID)
				break
			}
		}
	}
	b.dealt.Store(int64(dealt))
	return out
}
