package stage

import (
	"context"
	"errors"
	"time"

	"profilestream/cmd/internal/process"
	"profilestream/stream"
)

// Score runs scoring until ctx ends or, when draining, until the rows that were
// there at the start are scored.
func Score(ctx context.Context, env *process.Env) (err error) {
	cfg := env.Config
	env.Health.Set("model", errors.New("loading"))
	sc, err := OpenScorer(cfg.Model)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sc.Close()) }()
	env.Log.Info("loaded the model", "model_version", sc.Version())
	c, err := connect(ctx, env)
	if err != nil {
		return err
	}
	defer c.Close()
	registerEncoder(env.Metrics, sc.Encoder)
	metrics, err := stream.NewMetrics(env.Metrics, "scorer")
	if err != nil {
		return err
	}
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
	env.Health.Set("model", nil)
	sm, queue := newScorerMetrics(env.Metrics), new(turns)
	_, err = group.Run(ctx, func(reading context.Context, a stream.Assignment) (stream.Processor, int64, error) {
		return &scoring{
			log: env.Log, metrics: sm, health: env.Health, scorer: sc, turns: queue, now: time.Now,
			live: a.Topic == t.Windows, stopping: reading.Done(), out: newMessageWriter(c, t.Scored, a.Partition), next: a.Committed,
		}, a.Committed, nil
	})
	return wrap("scoring", err)
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
