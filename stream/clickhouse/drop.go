package clickhouse

import (
	"context"
	"fmt"

	"profilestream/schemas"
)

// kept are the tables of the base database that outlive its run: which run the
// views show, and how far the schema is.
const kept = "'serving', 'goose_db_version'"

// Drop removes the rows of the run: its database, or, where that is the base
// database with the serving views, what is in every other table.
func Drop(ctx context.Context, c *Client) error {
	database := c.Database()
	if database != c.cfg.Database {
		if err := c.conn.Exec(ctx, "DROP DATABASE IF EXISTS "+schemas.QuoteIdentifier(database)+" SYNC"); err != nil {
			return fmt.Errorf("dropping database %s: %w", database, err)
		}
		return nil
	}
	var tables []string
	err := c.conn.QueryRow(ctx, "SELECT groupArray(name) FROM system.tables WHERE database = ? AND engine LIKE '%MergeTree' AND NOT startsWith(name, '.') AND name NOT IN ("+kept+")", database).Scan(&tables)
	if err != nil {
		return fmt.Errorf("listing the tables of database %s: %w", database, err)
	}
	for _, t := range tables {
		if err := c.conn.Exec(ctx, "TRUNCATE TABLE IF EXISTS "+schemas.QuoteIdentifier(database)+"."+schemas.QuoteIdentifier(t)); err != nil {
			return fmt.Errorf("emptying table %s.%s: %w", database, t, err)
		}
	}
	return RefreshSummaries(ctx, c, database)
}
