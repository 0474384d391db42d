package clickhouse

import (
	"context"
	"fmt"

	"profilestream/schemas"
)

// Drop removes the rows of the run: its database, or, where that is the base
// database with the serving views, what is in the tables of its rows.
func Drop(ctx context.Context, c *Client) error {
	database := c.Database()
	if database != c.cfg.Database {
		if err := c.conn.Exec(ctx, "DROP DATABASE IF EXISTS "+schemas.QuoteIdentifier(database)+" SYNC"); err != nil {
			return fmt.Errorf("dropping database %s: %w", database, err)
		}
		return nil
	}
	for _, t := range newTables(database, false) {
		if err := c.conn.Exec(ctx, "TRUNCATE TABLE IF EXISTS "+schemas.QuoteIdentifier(database)+"."+schemas.QuoteIdentifier(t.name)); err != nil {
			return fmt.Errorf("emptying table %s.%s: %w", database, t.name, err)
		}
	}
	return nil
}
