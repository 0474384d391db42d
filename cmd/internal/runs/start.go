package runs

import (
	"context"
	"fmt"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/stage"
	"profilestream/schemas"
	"profilestream/stream"
	"profilestream/stream/wire"
)

// Run is a run that this process may work on.
type Run struct {
	Record Record
	Config *config.Config
	Again  bool // it was started before

	client *wire.Client
	seat   *seat
}

// Prepare makes what a run needs, record first, or finds it where the run was
// started before. What does not fit the run as it was started is an ErrInUse.
func Prepare(ctx context.Context, c *wire.Client, load Loader, r *Request) (*Run, error) {
	if err := createTopic(ctx, c, load); err != nil {
		return nil, err
	}
	s, err := takeSeat(ctx, c, r.Name)
	if err != nil {
		return nil, err
	}
	all, err := All(ctx, c)
	if err != nil {
		return nil, err
	}
	run := &Run{client: c, seat: s}
	if run.Record, run.Again = all[r.Name]; run.Again {
		run.Config, err = run.Record.goOn(load, r)
		return run, err
	}
	topics, err := c.Topics(ctx)
	if err != nil {
		return nil, err
	}
	if name := schemas.RunTopics(r.Name).State; topics[name] > 0 {
		return nil, fmt.Errorf("%w: topic %s is there, of a run that profilectl run start did not make", ErrInUse, name)
	}
	rec, cfg, err := plan(ctx, c, load, r)
	if err != nil {
		return nil, err
	}
	run.Record, run.Config = *rec, cfg
	if err := s.write(ctx, rec); err != nil {
		return nil, err
	}
	return run, stage.CreateTopics(ctx, cfg, c)
}

// Load brings the run's archive, if it has one, into its topics. It goes on where
// it was interrupted.
func (r *Run) Load(ctx context.Context, progress func(what string, done, total int)) error {
	a := r.Record.Archive
	if a == nil {
		return nil
	}
	if !a.Loaded {
		err := a.load(ctx, r.client, r.Config, func(done, total int) { progress("loading the archive, bytes", done, total) })
		if err != nil {
			return err
		}
		a.Loaded = true
		if err := r.seat.write(ctx, &r.Record); err != nil {
			return err
		}
	}
	return a.begin(ctx, r.client, r.Config)
}

// createTopic makes the topic of the records.
func createTopic(ctx context.Context, c *wire.Client, load Loader) error {
	base, err := load(nil)
	if err != nil {
		return err
	}
	return c.CreateTopics(ctx, stream.SharedTopics(base.Log.Replication)...)
}

// Config is the configuration of a run: of one that was started beside others as
// its record says, else the operator's with the run's name.
func Config(ctx context.Context, c *wire.Client, load Loader, run string) (*config.Config, error) {
	rec, ok, err := Find(ctx, c, run)
	if err != nil {
		return nil, err
	}
	if ok {
		return load(rec.Keys)
	}
	return load(map[string]string{"run": run})
}
