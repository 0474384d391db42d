package demo

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"profilestream/cmd/internal/admin"
	"profilestream/cmd/internal/process"
	"profilestream/cmd/internal/stage"
	"profilestream/stream/wire"
)

// env is what a process would give its stage; -force is on, see model.
func (d *demo) env(drain bool, until time.Time) *process.Env {
	return &process.Env{Config: d.cfg, Log: d.o.Log, Metrics: process.NewRegistry(), Health: &admin.Health{}, Drain: drain, Until: until, Force: true}
}

// pipeline runs ingest until the whole history is worked off, with scorer and
// sink beside it, and then lets these finish.
func (d *demo) pipeline(ctx context.Context, until time.Time) error {
	c, err := stage.Client(d.cfg, d.o.Log)
	if err != nil {
		return err
	}
	defer c.Close()
	outer, stop := context.WithCancel(ctx)
	defer stop()
	// One that fails ends the others, and the waiting for what it would have done.
	running, beside := errgroup.WithContext(outer)
	running.Go(func() error { return stage.Score(beside, d.env(false, time.Time{})) })
	running.Go(func() error { return stage.Sink(beside, d.env(false, time.Time{})) })
	t := d.cfg.Topics()
	err = d.watched(beside, c, "admitting and windowing", d.cfg.Group("admission"), d.cfg.Input.Topics, func(ctx context.Context) error {
		return stage.Ingest(ctx, d.env(true, until))
	})
	if err == nil {
		err = d.caughtUp(beside, c, "scoring", d.cfg.Group("scorer"), t.Windows, t.Days)
	}
	if err == nil {
		err = d.caughtUp(beside, c, "writing to ClickHouse", d.cfg.Group("sink"), t.Scored, t.DLQ, t.Late)
	}
	stop()
	if failed := running.Wait(); failed != nil {
		return failed
	}
	return err
}

// watched runs work and shows how far the group is meanwhile.
func (d *demo) watched(ctx context.Context, c *wire.Client, what, group string, topics []string, work func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- work(ctx) }()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-tick.C:
			at, end, err := position(ctx, c, group, topics)
			if err == nil { // a bar that cannot be drawn is no reason to stop
				d.o.Progress(what, at, end)
			}
		}
	}
}

// caughtUp waits until the group has committed what the topics hold.
func (d *demo) caughtUp(ctx context.Context, c *wire.Client, what, group string, topics ...string) error {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		at, end, err := position(ctx, c, group, topics)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		d.o.Progress(what, at, end)
		if at == end {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// position sums a group's committed offsets and the ends of its partitions.
func position(ctx context.Context, c *wire.Client, group string, topics []string) (at, end int, err error) {
	lags, err := c.GroupLag(ctx, group, topics...)
	if err != nil {
		return 0, 0, err
	}
	for _, l := range lags {
		at += int(max(0, l.Committed))
		end += int(l.End)
	}
	return at, end, nil
}
