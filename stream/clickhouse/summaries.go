package clickhouse

import (
	"context"
	"fmt"

	"profilestream/schemas"
)

// RefreshSummaries fills the summaries of a database anew and waits until they
// are there. Without it each is at most its refresh interval old. A reader sees
// the old contents of a summary until the new ones are complete.
func RefreshSummaries(ctx context.Context, c *Client, database string) error {
	// One at work may have begun before the newest rows came: let it end first, well or badly.
	for step, verb := range []string{"WAIT", "REFRESH", "WAIT"} {
		for _, name := range schemas.Summaries {
			view := schemas.QuoteIdentifier(database) + "." + schemas.QuoteIdentifier(name)
			if err := c.conn.Exec(ctx, "SYSTEM "+verb+" VIEW "+view); err != nil && step > 0 {
				return fmt.Errorf("refreshing the summary %s: %w", view, err)
			}
		}
	}
	return nil
}
