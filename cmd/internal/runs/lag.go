package runs

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/console"
	"profilestream/cmd/internal/stage"
	"profilestream/stream/wire"
)

// Part is one stage of a run with the topics that it reads.
type Part struct {
	Stage  string // of the consumer group
	Topics []string
	group  string
	what   string
}

// Parts are the stages of a run in the order of an event's way. Over another
// run's log there is no admission.
func Parts(cfg *config.Config) []Part {
	t := cfg.Topics()
	all := []Part{
		{"admission", cfg.Input.Topics, cfg.Group("admission"), "admitting"},
		{"windowing", []string{t.Events}, cfg.Group("windowing"), "windowing"},
		{"scorer", []string{t.Windows, t.Days}, cfg.Group("scorer"), "scoring"},
		{"sink", []string{t.Scored, t.DLQ, t.Late}, cfg.Group("sink"), "writing to ClickHouse"},
	}
	if cfg.Log.Of != "" {
		return all[1:]
	}
	return all
}

// ends are where the part's topics end now.
func (p *Part) ends(ctx context.Context, c *wire.Client) (map[wire.TopicPartition]int64, error) {
	tps, err := c.Partitions(ctx, p.Topics...)
	if err != nil {
		return nil, err
	}
	out := make(map[wire.TopicPartition]int64, len(tps))
	for _, tp := range tps {
		if out[tp], err = c.ListOffset(ctx, tp.Topic, tp.Partition, wire.Latest, true); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// toward sums, over the partitions, how far the part's group has committed toward
// the targets. known is false until it has committed anywhere.
func (p *Part) toward(ctx context.Context, c *wire.Client, targets map[wire.TopicPartition]int64) (at, end int, known bool, err error) {
	tps := make([]wire.TopicPartition, 0, len(targets))
	for tp := range targets {
		tps = append(tps, tp)
	}
	committed, err := c.CommittedOffsets(ctx, p.group, tps)
	for tp, target := range targets {
		known = known || committed[tp].Offset >= 0 || target == 0
		at += int(min(max(committed[tp].Offset, 0), target))
		end += int(target)
	}
	return at, end, known, err
}

// position is toward the ends of now.
func (p *Part) position(ctx context.Context, c *wire.Client) (at, end int, known bool, err error) {
	targets, err := p.ends(ctx, c)
	if err != nil {
		return 0, 0, false, err
	}
	return p.toward(ctx, c, targets)
}

// freshness is how old the inputs' ends may be that a run has reached when it has
// caught up: windowing says where it is once a checkpoint.
func freshness(cfg *config.Config) time.Duration {
	return 10*time.Second + 2*cfg.Profile.CheckpointInterval
}

// CaughtUp waits until every stage has gone through what the inputs hold now.
// After the patience it is an error that says who is behind.
func CaughtUp(ctx context.Context, c *wire.Client, cfg *config.Config, patience time.Duration) error {
	limit := time.NewTimer(patience)
	defer limit.Stop()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for _, p := range Parts(cfg) {
		targets, err := p.ends(ctx, c)
		if err != nil {
			return err
		}
		for {
			at, end, _, err := p.toward(ctx, c, targets)
			if err != nil {
				return err
			}
			if at >= end {
				break
			}
			select {
			case <-tick.C:
			case <-limit.C:
				return fmt.Errorf("run %s lags: its %s is %d records behind what there was %s ago", cfg.Run, p.Stage, end-at, patience)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

// Lags tells how far each stage of a run is behind in each of its topics, in the
// order of an event's way.
func Lags(ctx context.Context, c *wire.Client, cfg *config.Config) ([]console.StageLag, error) {
	var out []console.StageLag
	for _, p := range Parts(cfg) {
		lags, err := c.GroupLag(ctx, p.group, p.Topics...)
		if err != nil {
			return nil, fmt.Errorf("asking for the lag of %s: %w", p.Stage, err)
		}
		for _, topic := range p.Topics {
			l := console.StageLag{Stage: p.Stage, Topic: topic}
			for tp, lag := range lags {
				if tp.Topic == topic {
					l.Partitions, l.Behind = l.Partitions+1, l.Behind+lag.Records()
				}
			}
			out = append(out, l)
		}
	}
	return out, nil
}

// ConsoleLag is Lags for a console, which asks now and then.
func ConsoleLag(cfg *config.Config, log *slog.Logger) func(context.Context) ([]console.StageLag, error) {
	return func(ctx context.Context) ([]console.StageLag, error) {
		c, err := stage.Client(cfg, log)
		if err != nil {
			return nil, err
		}
		defer c.Close()
		return Lags(ctx, c, cfg)
	}
}

// Behind is how many records all stages of a run have before them.
func Behind(ctx context.Context, c *wire.Client, cfg *config.Config) (records int64, err error) {
	lags, err := Lags(ctx, c, cfg)
	for _, l := range lags {
		records += l.Behind
	}
	return records, err
}
