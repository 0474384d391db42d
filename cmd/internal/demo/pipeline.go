package demo

import (
	"context"
	"time"

	"profilestream/cmd/internal/runs"
)

// pipeline works the whole history off, through to ClickHouse; a model that the
// gate refused is forced, see model.
func (d *demo) pipeline(ctx context.Context, until time.Time) error {
	j := &runs.Job{Config: d.cfg, Log: d.o.Log, Force: true, Drain: true, Until: until, Progress: d.o.Progress}
	_, err := j.Work(ctx)
	return err
}
