package stage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/privacy"
	"profilestream/cmd/internal/process"
	"profilestream/profile"
	"profilestream/stream"
	"profilestream/stream/wire"
)

// drainPoll is how often a draining worker looks whether the others are done.
const drainPoll = 200 * time.Millisecond

// Ingest runs admission and windowing until ctx ends or, when draining, until
// what was in the inputs at the start has been admitted by all workers and its
// log partitions are worked off. A run that reads another one's log has no
// admission; its draining with -until ends when that log's own time has come as
// far.
func Ingest(ctx context.Context, env *process.Env) error {
	cfg := env.Config
	env.Health.Set("admission", errors.New("joining"))
	c, err := connect(ctx, env)
	if err != nil {
		return err
	}
	defer c.Close()
	local, err := newLocalState(ctx, cfg, env.Log, c)
	if err != nil {
		return err
	}
	defer local.close()
	erased, err := loadErasures(ctx, env, c)
	if err != nil {
		return err
	}
	local.erased = erased.set
	m := newIngestMetrics(env.Metrics)
	admitted := make(chan struct{}) // windowing may drain
	windowingGroup, err := logGroup(env, c, admitted)
	if err != nil {
		return err
	}
	return erased.during(ctx, func(ctx context.Context) error {
		g, ctx := errgroup.WithContext(ctx)
		if cfg.Log.Of != "" {
			env.Health.Set("admission", nil)
			if env.Drain {
				close(admitted)
			}
		} else if err := startAdmission(ctx, g, env, c, m, erased.set, admitted); err != nil {
			return err
		}
		g.Go(func() error {
			_, err := windowingGroup.Run(ctx, func(ctx context.Context, a stream.Assignment) (stream.Processor, int64, error) {
				w, start, err := takeOver(ctx, env, c, a.Partition, m, local)
				if err != nil {
					return nil, 0, err
				}
				return w, start, nil
			})
			return wrap("windowing", err)
		})
		return g.Wait()
	})
}

// startAdmission has g run admission, which closes admitted once all workers have drained.
func startAdmission(ctx context.Context, g *errgroup.Group, env *process.Env, c *wire.Client, m *ingestMetrics, erased *privacy.Set, admitted chan<- struct{}) (err error) {
	var targets map[wire.TopicPartition]target
	if env.Drain {
		if targets, err = ends(ctx, c, env.Config.Input.Topics); err != nil {
			return err
		}
	}
	group, err := inputGroup(ctx, env, c, drainNow(env))
	if err != nil {
		return err
	}
	g.Go(func() error {
		res, err := group.RunMerge(ctx, func(context.Context) (stream.MergeProcessor, error) {
			a, err := newAdmission(env, c, m)
			if err == nil {
				a.erased = erased
			}
			return a, err
		})
		if err != nil || !res.Drained {
			return wrap("admission", err)
		}
		if err := allAdmitted(ctx, c, env.Config, targets); err != nil {
			return wrap("admission", err)
		}
		close(admitted)
		return nil
	})
	return nil
}

func wrap(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// flushInterval is how often a stage looks whether something is due: a few times
// a live_interval, since a look that comes just too early costs all of the next.
func flushInterval(cfg *config.Config) time.Duration {
	return min(max(cfg.Profile.LiveInterval/4, 20*time.Millisecond), 250*time.Millisecond)
}

// inputGroup owns the source partitions. A run that has read before and whose
// places Kafka has forgotten begins at the beginning, whatever input.start says:
// what it reads again drops out by its position.
func inputGroup(ctx context.Context, env *process.Env, c *wire.Client, drain <-chan struct{}) (*stream.Group, error) {
	cfg := env.Config
	metrics, err := stream.NewMetrics(env.Metrics, "admission")
	if err != nil {
		return nil, err
	}
	start, err := stream.ParseStart(cfg.Input.Start)
	if err != nil {
		return nil, &config.Error{Key: "input.start", Reason: err.Error()}
	}
	if known, err := readRegistry(ctx, c, cfg.Topics().Sources); err != nil {
		return nil, err
	} else if len(known) > 0 {
		start = stream.Earliest
	}
	return stream.NewGroup(stream.GroupConfig{
		Client: c, ID: cfg.Group("admission"), Topics: cfg.Input.Topics, Component: "admission", Start: start, Committed: true,
		FlushInterval:  flushInterval(cfg),
		FetchWait:      250 * time.Millisecond,
		FetchBytes:     2 << 20,
		BufferBytes:    16 << 20,
		SessionTimeout: cfg.Kafka.SessionTimeout, StopDeadline: cfg.Admin.DrainDeadline, MaxSourceLead: cfg.Profile.MaxSourceLead,
		Pace: stream.NewPace(cfg.Input.Rate), Drain: drain, Resumes: resumes(cfg), Metrics: metrics, Log: env.Log,
	})
}

// logGroup owns the log partitions.
func logGroup(env *process.Env, c *wire.Client, drain <-chan struct{}) (*stream.Group, error) {
	cfg := env.Config
	metrics, err := stream.NewMetrics(env.Metrics, "windowing")
	if err != nil {
		return nil, err
	}
	var pace *stream.Pace
	if cfg.Log.Of != "" {
		pace = stream.NewPace(cfg.Input.Rate)
	}
	return stream.NewGroup(stream.GroupConfig{
		Client: c, ID: cfg.Group("windowing"), Topics: []string{cfg.Topics().Events}, Component: "windowing",
		FlushInterval:  flushInterval(cfg),
		FetchWait:      250 * time.Millisecond,
		FetchBytes:     1 << 20,
		BufferBytes:    2 << 20,
		SessionTimeout: cfg.Kafka.SessionTimeout, StopDeadline: cfg.Admin.DrainDeadline,
		Pace: pace, Drain: drain, Metrics: metrics, Log: env.Log,
	})
}

// connect opens a stage's client of Kafka and makes the run's topics that do not
// exist yet.
func connect(ctx context.Context, env *process.Env) (*wire.Client, error) {
	c, err := Client(env.Config, env.Log)
	if err != nil {
		return nil, err
	}
	if err := CreateTopics(ctx, env.Config, c); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// CreateTopics makes the run's topics that do not exist yet.
func CreateTopics(ctx context.Context, cfg *config.Config, c *wire.Client) error {
	err := stream.CreateTopics(ctx, c, stream.TopicsConfig{Run: cfg.Run, OthersLog: cfg.Log.Of != "", Partitions: cfg.Log.Partitions, Replication: cfg.Log.Replication})
	var count *wire.PartitionCountError
	if errors.As(err, &count) {
		return &config.Error{Key: "log.partitions", Reason: err.Error()}
	}
	return err
}

// target is where a source ended when the drain began, and the id of its topic.
type target struct {
	offset  int64
	topicID string
}

// ends are the ends of topics now.
func ends(ctx context.Context, c *wire.Client, topics []string) (map[wire.TopicPartition]target, error) {
	tps, err := c.Partitions(ctx, topics...)
	if err != nil {
		return nil, err
	}
	out := make(map[wire.TopicPartition]target, len(tps))
	for _, tp := range tps {
		var t target
		if t.topicID, err = c.TopicID(ctx, tp.Topic, tp.Partition); err != nil {
			return nil, err
		}
		if t.offset, err = c.ListOffset(ctx, tp.Topic, tp.Partition, wire.Latest, true); err != nil {
			return nil, err
		}
		out[tp] = t
	}
	return out, nil
}

// told says that the log holds a source's records up to the target and the
// watermark that covers them. The commit alone would not do: the watermark may
// still be on its way, and a log partition drained before it lacks the rows that
// it makes due. A place in a topic that was made anew since says nothing.
func told(tp wire.TopicPartition, at stream.Commit, to target) (bool, error) {
	if to.offset <= 0 {
		return true, nil
	}
	s := source{id: profile.Source{Topic: tp.Topic, Partition: tp.Partition}}
	if at.Offset < to.offset || at.Metadata == "" {
		return false, nil // without metadata nobody has worked on it yet
	}
	if err := s.parse(at.Metadata); err != nil {
		return false, err
	}
	if s.topicID != "" && to.topicID != "" && s.topicID != to.topicID {
		return false, nil
	}
	return s.told.next >= to.offset || s.records == 0 && s.w == noWatermark, nil
}

// allAdmitted waits until the log holds every source up to its target, whoever
// admits it.
func allAdmitted(ctx context.Context, c *wire.Client, cfg *config.Config, targets map[wire.TopicPartition]target) error {
	tps := make([]wire.TopicPartition, 0, len(targets))
	for tp := range targets {
		tps = append(tps, tp)
	}
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	for {
		at, err := c.CommittedOffsets(ctx, cfg.Group("admission"), tps)
		if err != nil {
			return err
		}
		behind := 0
		for tp, target := range targets {
			done, err := told(tp, at[tp], target)
			if err != nil {
				return err
			}
			if !done {
				behind++
			}
		}
		if behind == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
