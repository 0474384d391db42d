package runs

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/stage"
	"profilestream/schemas"
	"profilestream/stream/clickhouse"
	"profilestream/stream/wire"
)

// Listed is a run that has topics, tables or a record.
type Listed struct {
	Run      string
	Start    string // "earliest", a time, "log of live"; "" where nobody wrote it down
	End      string // "never", or when
	Config   string // config_version of its record or its newest row
	Model    string // model_version of its newest row, else the bundle of its record
	Topics   int
	Users    uint64
	Database string // "" where there is none
	Promoted bool
	Behind   int64 // records before all its stages; -1: it has no topics
}

// List finds all runs of the cluster and of the configured base database.
func List(ctx context.Context, c *wire.Client, load Loader) ([]Listed, error) {
	base, err := load(nil)
	if err != nil {
		return nil, err
	}
	records, err := All(ctx, c)
	if err != nil {
		return nil, err
	}
	found := map[string]*Listed{}
	at := func(run string) *Listed {
		if found[run] == nil {
			found[run] = &Listed{Run: run, Behind: -1}
		}
		return found[run]
	}
	for run, r := range records {
		l := at(run)
		l.Start, l.End, l.Config, l.Model = r.From(), r.end(), r.ConfigVersion, r.Bundle
	}
	topics, err := c.Topics(ctx)
	if err != nil {
		return nil, err
	}
	for name := range topics {
		if run, ok := schemas.RunOfTopic(name); ok {
			at(run).Topics++
		}
	}
	if err := tables(ctx, base, at); err != nil {
		return nil, err
	}
	out := make([]Listed, 0, len(found))
	for _, l := range found {
		if err := l.behind(ctx, c, load, topics); err != nil {
			return nil, err
		}
		out = append(out, *l)
	}
	slices.SortFunc(out, func(a, b Listed) int { return strings.Compare(a.Run, b.Run) })
	return out, nil
}

// behind fills in the lag of a run whose topics are there.
func (l *Listed) behind(ctx context.Context, c *wire.Client, load Loader, topics map[string]int) error {
	cfg, err := Config(ctx, c, load, l.Run)
	if err != nil {
		return err
	}
	for _, p := range Parts(cfg) {
		for _, t := range p.Topics {
			if topics[t] == 0 {
				return nil
			}
		}
	}
	l.Behind, err = Behind(ctx, c, cfg)
	return err
}

// tables fills in what ClickHouse knows.
func tables(ctx context.Context, base *config.Config, at func(run string) *Listed) error {
	ch, err := stage.ClickHouse(serving(base))
	if err != nil {
		return err
	}
	defer ch.Close()
	promoted, err := clickhouse.Served(ctx, ch, ch.Database())
	if err != nil {
		return err
	}
	var databases []string
	err = ch.Conn().QueryRow(ctx, "SELECT groupArray(database) FROM system.tables WHERE name = 'serving' AND (database = ? OR startsWith(database, ?))",
		base.ClickHouse.Database, base.ClickHouse.Database+"_").Scan(&databases)
	if err != nil {
		return err
	}
	for _, db := range databases {
		var users uint64
		var version, model string
		q := schemas.QuoteIdentifier(db) + ".profiles"
		err := ch.Conn().QueryRow(ctx, fmt.Sprintf("SELECT uniq(user_id), argMax(config_version, scored_at), argMax(model_version, scored_at) FROM %s", q)).Scan(&users, &version, &model)
		if err != nil {
			return fmt.Errorf("reading database %s: %w", db, err)
		}
		run, ok := schemas.RunOfDatabase(base.ClickHouse.Database, db)
		if !ok || users == 0 && run == schemas.BaseRun && promoted != db {
			continue // the base database holds only the views
		}
		l := at(run)
		l.Users, l.Database, l.Promoted = users, db, promoted == db
		if users > 0 {
			l.Config, l.Model = version, model
		}
	}
	return nil
}
