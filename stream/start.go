package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"profilestream/stream/wire"
)

// Start is where a group without committed positions begins.
type Start struct{ at int64 }

// Starts.
var (
	Earliest = Start{wire.Earliest}
	Latest   = Start{wire.Latest}
)

// StartAt begins at the first record stamped at or after t.
func StartAt(t time.Time) Start { return Start{t.UnixMilli()} }

// ParseStart reads "earliest", "latest" or an RFC 3339 time; "" is earliest.
func ParseStart(s string) (Start, error) {
	switch s {
	case "", "earliest":
		return Earliest, nil
	case "latest":
		return Latest, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return Start{}, fmt.Errorf("%q is not earliest, latest or a time like 2024-01-31T00:00:00Z", s)
	}
	return StartAt(t), nil
}

// resolveStart commits the start of a new group for all partitions that exist now, before anybody reads. Several
// workers may do so at once: the broker takes such commits only while the group has no members, so none can overwrite
// a position that a member already reads from. A group that has any position is not new; partitions without one were
// found later and begin at their beginning.
func (g *Group) resolveStart(ctx context.Context) error {
	tps, err := g.cfg.Client.Partitions(ctx, g.cfg.Topics...)
	if err != nil {
		return err
	}
	committed, err := g.cfg.Client.CommittedOffsets(ctx, g.cfg.ID, tps)
	if err != nil {
		return err
	}
	positions := make(map[TopicPartition]Commit, len(tps))
	for _, tp := range tps {
		if committed[tp].Offset >= 0 {
			return nil
		}
		start := g.cfg.Start.at
		if start == 0 {
			start = wire.Earliest
		}
		offset, err := g.cfg.Client.ListOffset(ctx, tp.Topic, tp.Partition, start, g.cfg.Committed)
		if err != nil {
			return err
		}
		positions[tp] = Commit{Offset: offset}
	}
	err = g.cfg.Client.Commit(ctx, wire.Member{Group: g.cfg.ID, Generation: -1}, positions)
	if errors.Is(err, wire.ErrIllegalGeneration) {
		return nil // others are members already, so they resolved it
	}
	return err
}

// assignments reads the committed positions of what this member owns, after it joined: the previous owners have
// committed for the last time by then. Partitions without a position begin at their beginning, which is committed first.
func (g *Group) assignments(ctx context.Context, m wire.Member, tps []TopicPartition) ([]Assignment, error) {
	committed, err := g.cfg.Client.CommittedOffsets(ctx, g.cfg.ID, tps)
	if err != nil {
		return nil, err
	}
	found := make(map[TopicPartition]Commit)
	out := make([]Assignment, 0, len(tps))
	for _, tp := range tps {
		p := committed[tp]
		if p.Offset < 0 {
			offset, err := g.cfg.Client.ListOffset(ctx, tp.Topic, tp.Partition, wire.Earliest, false)
			if err != nil {
				return nil, err
			}
			p = Commit{Offset: offset}
			found[tp] = p
		}
		id, err := g.cfg.Client.TopicID(ctx, tp.Topic, tp.Partition)
		if err != nil {
			return nil, err
		}
		out = append(out, Assignment{Topic: tp.Topic, Partition: tp.Partition, Committed: p.Offset, Metadata: p.Metadata, Generation: m.Generation, TopicID: id})
	}
	return out, g.cfg.Client.Commit(ctx, m, found)
}
