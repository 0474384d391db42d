package clickhouse

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/pressly/goose/v3"

	"profilestream/schemas"
)

// migrateAttempts bounds how often Migrate starts again after a failure: two
// processes that migrate at once may trip over each other's statements.
const migrateAttempts = 8

// Migrated says what Migrate found and did.
type Migrated struct {
	Database      string
	Version       int64 // of the schema, afterwards
	Applied       int   // migrations applied by this call
	NewerSchema   bool  // a newer program has been here; its views were left alone
	ServingSource string
}

// Migrate brings the run's database to this program's schema, makes it if it
// does not exist, and points its views at the promoted run. It may run in any
// number of processes at once: every statement is idempotent, and what fails
// because another process was faster is tried again.
func Migrate(ctx context.Context, c *Client) (Migrated, error) {
	var m Migrated
	var err error
	for attempt := range migrateAttempts {
		if m, err = migrate(ctx, c); err == nil || ctx.Err() != nil || Classify(err) == Fatal && !schemaRace(err) {
			break
		}
		if e := sleep(ctx, time.Duration(attempt+1)*200*time.Millisecond); e != nil {
			break
		}
	}
	if err != nil {
		return Migrated{}, fmt.Errorf("migrating database %s: %w", c.Database(), err)
	}
	return m, nil
}

// schemaRace reports whether an error can come from another process that is
// half-way through the same migrations.
func schemaRace(err error) bool {
	var ex *ch.Exception
	if !errors.As(err, &ex) {
		return false
	}
	switch ex.Code {
	case 57, 60, 81, 82: // table or database: already there, or not yet
		return true
	}
	return false
}

func migrate(ctx context.Context, c *Client) (Migrated, error) {
	m := Migrated{Database: c.Database()}
	if err := c.conn.Exec(ctx, "CREATE DATABASE IF NOT EXISTS "+schemas.QuoteIdentifier(m.Database)); err != nil {
		return m, fmt.Errorf("making the database: %w", err)
	}
	files, err := schemas.Migrations()
	if err != nil {
		return m, err
	}
	o, err := c.cfg.options(m.Database)
	if err != nil {
		return m, err
	}
	db := ch.OpenDB(o)
	defer func() { _ = db.Close() }()
	p, err := goose.NewProvider(goose.DialectClickHouse, db, files)
	if err != nil {
		return m, fmt.Errorf("reading the migrations: %w", err)
	}
	results, err := p.Up(ctx)
	if err != nil {
		return m, err
	}
	m.Applied = len(results)
	if m.Version, err = p.GetDBVersion(ctx); err != nil {
		return m, fmt.Errorf("reading the schema version: %w", err)
	}
	known := p.ListSources()
	m.NewerSchema = m.Version > known[len(known)-1].Version
	if m.ServingSource, err = promoted(ctx, db, m.Database); err != nil {
		return m, err
	}
	if m.NewerSchema {
		return m, nil
	}
	return m, c.createViews(ctx, m.Database, m.ServingSource)
}

// Served is the database whose rows the views of a database show, "" where there
// is no such database.
func Served(ctx context.Context, c *Client, database string) (string, error) {
	var n uint64
	err := c.conn.QueryRow(ctx, "SELECT count() FROM system.tables WHERE database = ? AND name = 'serving'", database).Scan(&n)
	if err != nil || n == 0 {
		return "", err
	}
	o, err := c.cfg.options(database)
	if err != nil {
		return "", err
	}
	db := ch.OpenDB(o)
	defer func() { _ = db.Close() }()
	return promoted(ctx, db, database)
}

// promoted is the database whose rows the views of database show.
func promoted(ctx context.Context, db *sql.DB, database string) (string, error) {
	var source string
	err := db.QueryRowContext(ctx, "SELECT database FROM "+schemas.QuoteIdentifier(database)+".serving ORDER BY promoted_at DESC LIMIT 1").Scan(&source)
	if errors.Is(err, sql.ErrNoRows) {
		return database, nil
	}
	if err != nil {
		return "", fmt.Errorf("reading the promoted run: %w", err)
	}
	return source, nil
}

func (c *Client) createViews(ctx context.Context, database, source string) error {
	views, err := schemas.Views(database, source)
	if err != nil {
		return err
	}
	for _, v := range views {
		if err := c.conn.Exec(ctx, v.Statement); err != nil {
			return fmt.Errorf("making the view %s: %w", v.Name, err)
		}
	}
	return nil
}

// Serve points the views of the base database at a run, whose database must
// have been migrated. The promotion is written down first: should the process
// end before all views are replaced, the next Migrate finishes the change.
// Each view changes in one step; a reader never sees a mixture within one. The
// run's summaries are refreshed before, so that they are no older than its rows.
func Serve(ctx context.Context, c *Client, run string) error {
	base, source := c.cfg.Database, schemas.Database(c.cfg.Database, run)
	if err := RefreshSummaries(ctx, c, source); err != nil {
		return fmt.Errorf("promoting run %s: %w", run, err)
	}
	err := c.conn.Exec(ctx, "INSERT INTO "+schemas.QuoteIdentifier(base)+".serving (run, database) VALUES (?, ?)", run, source)
	if err != nil {
		return fmt.Errorf("writing down the promotion of run %s: %w", run, err)
	}
	if err := c.createViews(ctx, base, source); err != nil {
		return fmt.Errorf("promoting run %s: %w", run, err)
	}
	return nil
}
