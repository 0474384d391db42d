package stage

import (
	"context"
	"errors"
	"sync"
	"time"

	"profilestream/cmd/internal/models"
	"profilestream/cmd/internal/process"
	"profilestream/stream"
	"profilestream/stream/wire"
)

// Score runs scoring until ctx ends or, when draining, until the rows that were
// there at the start are scored.
func Score(ctx context.Context, env *process.Env) (err error) {
	cfg := env.Config
	seat := newSeat()
	env.Health.Set("model", nil)
	env.Health.Check("model", seat.ready)
	c, err := connect(ctx, env)
	if err != nil {
		return err
	}
	defer c.Close()
	sm, queue := newScorerMetrics(env.Metrics), new(turns)
	registerEncoder(env.Metrics, seat.encoderStats)
	metrics, err := stream.NewMetrics(env.Metrics, "scorer")
	if err != nil {
		return err
	}
	stop, err := keepModel(ctx, env, c, seat, sm)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	t := cfg.Topics()
	group, err := stream.NewGroup(stream.GroupConfig{
		Client: c, ID: cfg.Group("scorer"), Topics: []string{t.Windows, t.Days}, Component: "scorer",
		FlushInterval: 250 * time.Millisecond, FetchWait: 250 * time.Millisecond, FetchBytes: 2 << 20, BufferBytes: 2 << 20,
		SessionTimeout: cfg.Kafka.SessionTimeout, StopDeadline: cfg.Admin.DrainDeadline,
		Drain: drainNow(env), Metrics: metrics, Log: env.Log,
	})
	if err != nil {
		return err
	}
	_, err = group.Run(ctx, func(reading context.Context, a stream.Assignment) (stream.Processor, int64, error) {
		low, err := newDegraded(c, a, cfg.Model.Degraded)
		if err != nil {
			return nil, 0, err
		}
		return &scoring{
			low: low, log: env.Log, metrics: sm, health: env.Health, models: seat, turns: queue, now: time.Now,
			live: a.Topic == t.Windows, stopping: reading.Done(), out: newMessageWriter(c, t.Scored, a.Partition), next: a.Committed,
		}, a.Committed, nil
	})
	s := seat.encoderStats()
	env.Log.Info("scored", "texts", s.Texts, "encoded", s.Misses, "from_memory", s.Hits, "from_disk", s.DiskHits, "encoder_seconds", s.EncodeTime.Seconds())
	return wrap("scoring", err)
}

// keepModel seats the run's model and then follows its promotions, until stop is
// called; no batch may be at a model then. A process without a model joins no
// group: others may have one. When draining, or without a promotion, a model that
// cannot be loaded is an error.
func keepModel(ctx context.Context, env *process.Env, c *wire.Client, s *seat, m *scorerMetrics) (stop func() error, err error) {
	rec, next, err := models.Newest(ctx, c, env.Config.Run)
	if err != nil {
		return nil, err
	}
	k := newKeeper(env.Log, m, s)
	k.open, k.close = modelOpener(env.Config.Model, env.Force), closeModel
	first := rec.Current()
	if err := k.load(ctx, first); err != nil {
		if first.Number == 0 || env.Drain {
			return nil, err
		}
		k.want(first)
	}
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { k.run(background) })
	running.Go(func() { k.follow(background, c, env.Config.Run, next) })
	stop = func() error {
		cancel()
		running.Wait()
		if w := s.seated(); w != nil {
			return closeModel(w)
		}
		return nil
	}
	if _, err := s.await(ctx, 0); err != nil {
		return nil, errors.Join(err, stop())
	}
	return stop, nil
}

// drainNow is a closed channel when the process drains, else nil: never.
func drainNow(env *process.Env) <-chan struct{} {
	if !env.Drain {
		return nil
	}
	ch := make(chan struct{})
	close(ch)
	return ch
}
