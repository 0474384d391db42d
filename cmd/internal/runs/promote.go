package runs

import (
	"context"
	"fmt"
	"time"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/stage"
	"profilestream/schemas"
	"profilestream/stream/clickhouse"
	"profilestream/stream/wire"
)

// Shown is what the serving views show.
type Shown struct {
	Database string
	Users    uint64
	Newest   time.Time // largest as_of; zero without users
}

// String says it in a line.
func (s Shown) String() string {
	if s.Users == 0 {
		return "database " + s.Database + ", no users"
	}
	return fmt.Sprintf("database %s, %d users, newest row as of %s", s.Database, s.Users, s.Newest.UTC().Format(time.RFC3339))
}

// Promote points the serving views, those of the database without a run's name,
// at a run. Each view changes in one step. The run's tables are brought to this
// program's schema first.
func Promote(ctx context.Context, cfg *config.Config) (before, after Shown, err error) {
	run, err := stage.ClickHouse(cfg)
	if err != nil {
		return before, after, err
	}
	defer run.Close()
	if _, err := clickhouse.Migrate(ctx, run); err != nil {
		return before, after, err
	}
	base, err := stage.ClickHouse(serving(cfg))
	if err != nil {
		return before, after, err
	}
	defer base.Close()
	if _, err := clickhouse.Migrate(ctx, base); err != nil {
		return before, after, err
	}
	if before, err = shown(ctx, base); err != nil {
		return before, after, err
	}
	if err := clickhouse.Serve(ctx, base, cfg.Run); err != nil {
		return before, after, err
	}
	after, err = shown(ctx, base)
	return before, after, err
}

// serving is the configuration whose database has the serving views.
func serving(cfg *config.Config) *config.Config {
	base := *cfg
	base.Run = schemas.BaseRun
	return &base
}

func shown(ctx context.Context, base *clickhouse.Client) (s Shown, err error) {
	if s.Database, err = clickhouse.Served(ctx, base, base.Database()); err != nil {
		return s, err
	}
	err = base.Conn().QueryRow(ctx, "SELECT count(), max(as_of) FROM "+schemas.QuoteIdentifier(base.Database())+".profiles_latest").Scan(&s.Users, &s.Newest)
	return s, err
}

// Promoted is the database that the serving views show, "" where there are none.
func Promoted(ctx context.Context, cfg *config.Config) (string, error) {
	base, err := stage.ClickHouse(serving(cfg))
	if err != nil {
		return "", err
	}
	defer base.Close()
	return clickhouse.Served(ctx, base, base.Database())
}

// readers are the other runs that read the log of a run.
func readers(ctx context.Context, c *wire.Client, run string) ([]string, error) {
	all, err := All(ctx, c)
	if err != nil {
		return nil, err
	}
	var out []string
	for name, r := range all {
		if r.Keys["log.of"] == run {
			out = append(out, name)
		}
	}
	return out, nil
}
