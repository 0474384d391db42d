package stage

import (
	"context"
	"errors"
	"os"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"

	"profilestream/cmd/internal/process"
	"profilestream/cmd/internal/watch"
	"profilestream/stream"
	"profilestream/stream/clickhouse"
)

// sinkMemory is when garbage is collected at the latest: a full queue is most of
// the heap, and is not to be there once more as garbage.
const sinkMemory = 640 << 20

// Sink migrates the tables and writes rows, dead letters and late events until
// ctx ends or, when draining, until those that were there at the start are
// acknowledged by ClickHouse.
func Sink(ctx context.Context, env *process.Env) error {
	cfg := env.Config
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(sinkMemory)
	}
	env.Health.Set("clickhouse", errors.New("migrating"))
	ch, err := ClickHouse(cfg)
	if err != nil {
		return err
	}
	defer ch.Close()
	err = ch.Wait(ctx, func(err error) {
		env.Health.Set("clickhouse", err)
		env.Log.Warn("ClickHouse does not answer, trying again", "error", err)
	})
	if err != nil {
		return err
	}
	migrated, err := clickhouse.Migrate(ctx, ch)
	if err != nil {
		return err
	}
	env.Log.Info("migrated", "database", migrated.Database, "schema_version", migrated.Version, "applied", migrated.Applied)
	var settings [][2]string
	for _, s := range cfg.Settings() {
		settings = append(settings, [2]string{s.Key, s.Value})
	}
	if err := clickhouse.WriteConfiguration(ctx, ch, cfg.Version(), settings); err != nil {
		return err
	}
	c, err := connect(ctx, env)
	if err != nil {
		return err
	}
	defer c.Close()
	erased, err := loadErasures(ctx, env, c)
	if err != nil {
		return err
	}
	metrics, err := stream.NewMetrics(env.Metrics, "sink")
	if err != nil {
		return err
	}
	t := cfg.Topics()
	group, err := stream.NewGroup(stream.GroupConfig{
		Client: c, ID: cfg.Group("sink"), Topics: []string{t.Scored, t.DLQ, t.Late}, Component: "sink",
		FlushInterval: cfg.ClickHouse.BatchInterval, FetchWait: 250 * time.Millisecond, FetchBytes: 1 << 20, BufferBytes: 2 << 20,
		SessionTimeout: cfg.Kafka.SessionTimeout, StopDeadline: cfg.Admin.DrainDeadline,
		Drain: drainNow(env), Metrics: metrics, Log: env.Log,
	})
	if err != nil {
		return err
	}
	writer := clickhouse.NewWriter(ch, clickhouse.Deps{
		Metrics: clickhouse.NewMetrics(env.Metrics), Log: env.Log, OnRejected: (&refused{client: c, topics: t}).keep,
	})
	env.Health.Set("clickhouse", nil)
	env.Health.Check("clickhouse", func() error {
		if writer.BreakerOpen() {
			return errors.New("the breaker is open")
		}
		return nil
	})
	// The writer outlives the group, whose last flush needs it.
	writing, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	watcher := watch.New(cfg, ch, env.Metrics, env.Log)
	return erased.during(ctx, func(ctx context.Context) error {
		g, groupCtx := errgroup.WithContext(ctx)
		if !env.Drain {
			g.Go(func() error { watcher.Run(groupCtx); return nil })
		}
		g.Go(func() error {
			if err := writer.Run(writing); !errors.Is(err, context.Canceled) {
				return wrap("writing to ClickHouse", err)
			}
			return nil
		})
		g.Go(func() error {
			defer stop()
			_, err := group.Run(groupCtx, func(_ context.Context, a stream.Assignment) (stream.Processor, int64, error) {
				if a.Topic == t.Scored {
					return &rowsSink{writer: writer, erased: erased.set, acks: acks{done: a.Committed}}, a.Committed, nil
				}
				return &divertedSink{writer: writer, erased: erased.set, late: a.Topic == t.Late, acks: acks{done: a.Committed}}, a.Committed, nil
			})
			if err == nil && env.Drain && cfg.ClickHouse.WatchInterval > 0 {
				watcher.Try(ctx, false)
			}
			return wrap("sinking", err)
		})
		return g.Wait()
	})
}
