package stage

import (
	"context"
	"errors"
	"fmt"

	"profilestream/cmd/internal/config"
	"profilestream/profile"
	"profilestream/stream"
	"profilestream/stream/wire"
)

// gap is why a source cannot be read on from its committed place, and where a
// new epoch of it would begin.
type gap struct {
	err   error // says what has happened
	start int64 // first offset of the new epoch
	lost  int64 // offsets that nobody can read any more; -1: nobody knows how many
	// same: what is read from start on follows what was read, so that the time
	// that the source has reached still holds.
	same bool
}

// errForgotten: there is no telling a topic that was made anew from a place
// that Kafka has forgotten.
var errForgotten = errors.New("the group has no place in a partition that it has read, and the cluster tells no ids of topics: the topic was made anew, or Kafka has forgotten the place")

// findGap compares a source's place, and what the run knows of its topic, with
// the topic as it is. It returns nil where admission can go on.
func findGap(ctx context.Context, c *wire.Client, as stream.Assignment, s *source, k known) (*gap, error) {
	was := s.topicID
	if as.Metadata == "" {
		was = k.ID
	}
	forgotten := as.Metadata == "" && int(as.Partition) < k.Partitions
	if was != "" && as.TopicID != "" && was != as.TopicID || forgotten && as.TopicID == "" {
		start, err := c.ListOffset(ctx, as.Topic, as.Partition, wire.Earliest, false)
		g := &gap{err: errForgotten, start: start, lost: -1}
		if as.TopicID != "" {
			g.err = &wire.RecreatedError{Topic: as.Topic, Was: was, Is: as.TopicID}
		}
		return g, err
	}
	err := c.Within(ctx, as.Topic, as.Partition, as.Committed)
	var out *wire.OffsetOutOfRangeError
	switch {
	case !errors.As(err, &out):
		return nil, err
	case out.Offset < out.Start:
		return &gap{err: err, start: out.Start, lost: out.Start - out.Offset, same: true}, nil
	}
	// It is shorter than it was: which of its records are those that were read,
	// it does not tell, so all of them are read.
	return &gap{err: err, start: out.Start, lost: -1}, nil
}

// refuse is the error that stops admission at a gap.
func (g *gap) refuse(tp wire.TopicPartition) error {
	return fmt.Errorf("%v cannot be read on: %w; start another run, or set input.on_gap: %s to go on at offset %d", tp, g.err, config.OnGapNewEpoch, g.start)
}

// beginEpoch has a source go on behind a gap. The totals of the epoch that ends
// are told to the log for the last time, since no owner will do so again.
func (a *admission) beginEpoch(ctx context.Context, s *source, g *gap, epoch int32) error {
	if s.records > 0 || s.w != noWatermark {
		w := s.record()
		if err := a.toAll(ctx, profile.AppendWatermark(nil, &w)); err != nil {
			return err
		}
	}
	if !g.same {
		s.w = noWatermark
	}
	s.id.Epoch = epoch
	s.records, s.rejected, s.next = 0, 0, g.start
	s.tellable = s.w != noWatermark
	a.metrics.gap(s.id.Topic, g.lost)
	a.log.Warn("a source goes on in a new epoch, as input.on_gap says", "topic", s.id.Topic, "partition", s.id.Partition,
		"epoch", epoch, "offset", g.start, "lost", g.lost, "cause", g.err)
	return nil
}

// resumes says of an error that admission can go on behind it in a new epoch.
func resumes(cfg *config.Config) func(error) bool {
	if cfg.Input.OnGap != config.OnGapNewEpoch {
		return nil
	}
	return func(err error) bool {
		return errors.Is(err, wire.ErrRecreated) || errors.Is(err, wire.ErrOffsetOutOfRange)
	}
}

// Gaps says of the sources of an input topic why admission could not go on
// where the run's group has committed.
func Gaps(ctx context.Context, cfg *config.Config, c *wire.Client, topic string) (causes []error, err error) {
	all, err := startedRegistry(ctx, c, cfg)
	if err != nil || all == nil {
		return nil, err
	}
	tps, err := c.Partitions(ctx, topic)
	if err != nil {
		return nil, err
	}
	at, err := c.CommittedOffsets(ctx, cfg.Group("admission"), tps)
	if err != nil {
		return nil, err
	}
	for _, tp := range tps {
		_, g, err := gapAt(ctx, c, tp, at[tp], all[topic])
		if err != nil {
			return nil, err
		}
		if g != nil {
			causes = append(causes, g.refuse(tp))
		}
	}
	return causes, nil
}

// startedRegistry is what a run knows of its input topics; nil where it reads
// none, or has not been started.
func startedRegistry(ctx context.Context, c *wire.Client, cfg *config.Config) (map[string]known, error) {
	topics, err := c.Topics(ctx)
	if err != nil || topics[cfg.Topics().Sources] == 0 {
		return nil, err
	}
	return readRegistry(ctx, c, cfg.Topics().Sources)
}

// gapAt looks at a source as the run's group has committed it. It returns the
// epoch in which the records that the source holds now are read from there on.
func gapAt(ctx context.Context, c *wire.Client, tp wire.TopicPartition, at wire.Position, k known) (epoch int32, g *gap, err error) {
	as := stream.Assignment{Topic: tp.Topic, Partition: tp.Partition, Committed: at.Offset, Metadata: at.Metadata}
	s := source{id: profile.Source{Topic: tp.Topic, Partition: tp.Partition}}
	if err := s.restore(as.Metadata); err != nil {
		return 0, nil, err
	}
	if as.Metadata == "" {
		s.id.Epoch = k.Epoch
	}
	if as.TopicID, err = c.TopicID(ctx, tp.Topic, tp.Partition); err != nil {
		return 0, nil, err
	}
	if as.Committed < 0 { // it begins at the beginning
		if as.Committed, err = c.ListOffset(ctx, tp.Topic, tp.Partition, wire.Earliest, false); err != nil {
			return 0, nil, err
		}
	}
	if g, err = findGap(ctx, c, as, &s, k); err != nil || g == nil {
		return s.id.Epoch, nil, err
	}
	return k.behind(g, as.TopicID), g, nil
}

// behind is the epoch that begins behind a gap of a topic.
func (k known) behind(g *gap, topicID string) int32 {
	if k.ID == topicID && errors.Is(g.err, wire.ErrRecreated) {
		return k.Epoch // the owner of another partition was first to notice
	}
	return k.Epoch + 1
}

// SourceEpochs are the epochs in which a run reads, or will read, what some input
// partitions hold now.
func SourceEpochs(ctx context.Context, c *wire.Client, run string, tps []wire.TopicPartition) ([]int32, error) {
	out := make([]int32, len(tps))
	cfg := &config.Config{Run: run}
	all, err := startedRegistry(ctx, c, cfg)
	if err != nil || all == nil {
		return out, err
	}
	at, err := c.CommittedOffsets(ctx, cfg.Group("admission"), tps)
	if err != nil {
		return nil, err
	}
	for i, tp := range tps {
		if out[i], _, err = gapAt(ctx, c, tp, at[tp], all[tp.Topic]); err != nil {
			return nil, fmt.Errorf("telling the epoch of %v in run %s: %w", tp, run, err)
		}
	}
	return out, nil
}
