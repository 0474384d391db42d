package runs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"profilestream/cmd/internal/admin"
	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/process"
	"profilestream/cmd/internal/stage"
	"profilestream/stream/wire"
)

// Job is a run at work in this process: all stages, through the assembly of the
// three binaries.
type Job struct {
	Config *config.Config
	Log    *slog.Logger
	Force  bool // work with a model that the gate refused
	// Drain: end when what is in the inputs now is worked off through to
	// ClickHouse; Until is where time then moves to, zero: nowhere.
	Drain bool
	Until time.Time
	// Progress is told how far the stage at work has come, in records.
	Progress func(what string, done, total int)
	// CaughtUp, if set, is told when a run that goes on has caught up.
	CaughtUp func(records int)

	records int // read so far
}

// poll is how often a job looks how far it is.
const poll = 500 * time.Millisecond

// env is what a process would give its stage.
func (j *Job) env(drain bool, until time.Time) *process.Env {
	return &process.Env{Config: j.Config, Log: j.Log, Metrics: process.NewRegistry(), Health: &admin.Health{}, Drain: drain, Until: until, Force: j.Force}
}

// Work runs the stages until ctx ends or, when draining, until all is done; then
// it returns how many records of the inputs were read.
func (j *Job) Work(ctx context.Context) (records int, err error) {
	c, err := stage.Client(j.Config, j.Log)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	outer, stop := context.WithCancel(ctx)
	defer stop()
	// One that fails ends the others, and the waiting for what it would have done.
	g, running := errgroup.WithContext(outer)
	ingested := make(chan struct{})
	g.Go(func() error { return stage.Score(running, j.env(false, time.Time{})) })
	g.Go(func() error { return stage.Sink(running, j.env(false, time.Time{})) })
	g.Go(func() error {
		err := stage.Ingest(running, j.env(j.Drain, j.Until))
		if err == nil {
			close(ingested)
		}
		return err
	})
	err = j.follow(running, c, ingested)
	if err == nil && !j.Drain {
		<-running.Done()
	}
	stop()
	if failed := g.Wait(); failed != nil {
		return j.records, failed
	}
	if ctx.Err() != nil {
		err = nil
		if j.Drain {
			err = fmt.Errorf("stopped before all was done: %w", ctx.Err())
		}
	}
	return j.records, err
}

// reading is what stands at the run's beginning: admission, or, over another
// run's log, windowing.
func (j *Job) reading() Part {
	if j.Config.Log.Of != "" {
		return Parts(j.Config)[0]
	}
	p := Parts(j.Config)[0]
	p.what = "admitting and windowing"
	return p
}

// follow shows the way through the stages until all of it has been gone.
func (j *Job) follow(ctx context.Context, c *wire.Client, ingested <-chan struct{}) error {
	if err := j.read(ctx, c, ingested); err != nil {
		return err
	}
	for _, p := range Parts(j.Config)[1:] {
		if err := j.reach(ctx, c, p, func(int, int) {}); err != nil {
			return fmt.Errorf("%s: %w", p.what, err)
		}
	}
	if !j.Drain && j.CaughtUp != nil {
		j.CaughtUp(j.records)
	}
	return nil
}

// read waits until the inputs have been worked off: when draining, until ingest
// has ended, else until what is missing came within the last seconds.
func (j *Job) read(ctx context.Context, c *wire.Client, ingested <-chan struct{}) error {
	p, first := j.reading(), -1
	note := func(at, _ int) {
		if first < 0 {
			first = at
		}
		j.records = at - first
	}
	if !j.Drain {
		for {
			begun := time.Now()
			if err := j.reach(ctx, c, p, note); err != nil {
				return fmt.Errorf("%s: %w", p.what, err)
			}
			if time.Since(begun) < freshness(j.Config) {
				return nil
			}
		}
	}
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for done := false; !done; {
		select {
		case <-ingested:
			done = true
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if at, end, known, err := p.position(ctx, c); err == nil && known { // a bar that cannot be drawn is no reason to stop
			note(at, end)
			j.Progress(p.what, at-first, end-first)
		}
	}
	return nil
}

// reach waits until a part has done what there is for it now.
func (j *Job) reach(ctx context.Context, c *wire.Client, p Part, note func(at, end int)) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	targets, err := p.ends(ctx, c)
	if err != nil {
		return err
	}
	first := -1
	for {
		at, end, known, err := p.toward(ctx, c, targets)
		if err != nil && (ctx.Err() != nil || wire.Classify(err) != wire.Retryable) {
			return errors.Join(err, ctx.Err())
		}
		if err == nil && known {
			if first < 0 {
				first = at
			}
			note(at, end)
			j.Progress(p.what, at-first, end-first)
			if at >= end {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
