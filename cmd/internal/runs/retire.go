package runs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/stage"
	"profilestream/schemas"
	"profilestream/stream/clickhouse"
	"profilestream/stream/wire"
)

// ErrNeeded: a run cannot be retired.
var ErrNeeded = errors.New("the run is needed")

// Remains is what there is of a run.
type Remains struct {
	Topics   []string
	Groups   []string
	Database string // "" where there is none
	StateDir string // "" where there is none
}

// Left finds what there is of a run, and refuses one that serves or whose log is
// read.
func Left(ctx context.Context, c *wire.Client, cfg *config.Config) (*Remains, error) {
	promoted, err := Promoted(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if promoted == cfg.Database() {
		return nil, fmt.Errorf("%w: the serving views show run %s: promote another one first", ErrNeeded, cfg.Run)
	}
	others, err := readers(ctx, c, cfg.Run)
	if err != nil {
		return nil, err
	}
	if len(others) > 0 {
		return nil, fmt.Errorf("%w: run %s reads the event log of run %s: retire that one first", ErrNeeded, strings.Join(others, ", "), cfg.Run)
	}
	r := &Remains{}
	topics, err := c.Topics(ctx)
	if err != nil {
		return nil, err
	}
	for name := range topics {
		if strings.HasPrefix(name, schemas.TopicPrefix(cfg.Run)) {
			r.Topics = append(r.Topics, name)
		}
	}
	slices.Sort(r.Topics)
	for _, stage := range []string{"admission", "windowing", "scorer", "sink"} {
		r.Groups = append(r.Groups, cfg.Group(stage))
	}
	ch, err := stage.ClickHouse(cfg)
	if err != nil {
		return nil, err
	}
	defer ch.Close()
	if at, err := clickhouse.Served(ctx, ch, cfg.Database()); err != nil {
		return nil, err
	} else if at != "" {
		r.Database = cfg.Database()
	}
	if dir := cfg.Profile.StateDir; dir != "" {
		if _, err := os.Stat(filepath.Join(dir, cfg.Run)); err == nil {
			r.StateDir = filepath.Join(dir, cfg.Run)
		}
	}
	return r, nil
}

// Empty says that nothing is left.
func (r *Remains) Empty() bool { return len(r.Topics) == 0 && r.Database == "" && r.StateDir == "" }

// Retire removes what there is of a run: its consumer groups first, which fails
// while one of its processes is at work, its record last. Cut off in between it
// is repeated.
func Retire(ctx context.Context, c *wire.Client, cfg *config.Config, r *Remains) error {
	if err := c.DeleteGroups(ctx, r.Groups...); errors.Is(err, wire.ErrGroupInUse) {
		return fmt.Errorf("%w: a process of run %s is at work: stop it first (%w)", ErrNeeded, cfg.Run, err)
	} else if err != nil {
		return err
	}
	if r.Database != "" {
		ch, err := stage.ClickHouse(cfg)
		if err != nil {
			return err
		}
		defer ch.Close()
		if err := clickhouse.Drop(ctx, ch); err != nil {
			return err
		}
	}
	if len(r.Topics) > 0 {
		if err := c.DeleteTopics(ctx, r.Topics...); err != nil {
			return err
		}
	}
	if r.StateDir != "" {
		if err := os.RemoveAll(r.StateDir); err != nil {
			return fmt.Errorf("removing the local state: %w", err)
		}
	}
	_, ok, err := Find(ctx, c, cfg.Run)
	if err != nil || !ok {
		return err
	}
	s, err := takeSeat(ctx, c, cfg.Run)
	if err != nil {
		return err
	}
	return s.write(ctx, nil)
}
