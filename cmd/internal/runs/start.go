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

// Prepare makes what a run needs, record first, or finds it where the run was
// started before; again says so. What does not fit the run as it was started is
// an ErrInUse.
func Prepare(ctx context.Context, c *wire.Client, load Loader, r *Request) (rec *Record, cfg *config.Config, again bool, err error) {
	if err := createTopic(ctx, c, load); err != nil {
		return nil, nil, false, err
	}
	s, err := takeSeat(ctx, c, r.Name)
	if err != nil {
		return nil, nil, false, err
	}
	all, err := read(ctx, c)
	if err != nil {
		return nil, nil, false, err
	}
	if old, ok := all[r.Name]; ok {
		rec = &old
		cfg, err = rec.goOn(ctx, c, load, r)
		return rec, cfg, true, err
	}
	topics, err := c.Topics(ctx)
	if err != nil {
		return nil, nil, false, err
	}
	if name := schemas.RunTopics(r.Name).State; topics[name] > 0 {
		return nil, nil, false, fmt.Errorf("%w: topic %s is there, of a run that profilectl run start did not make", ErrInUse, name)
	}
	if rec, cfg, err = plan(ctx, c, load, r); err != nil {
		return nil, nil, false, err
	}
	if err := s.write(ctx, rec); err != nil {
		return nil, nil, false, err
	}
	return rec, cfg, false, stage.CreateTopics(ctx, cfg, c)
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
