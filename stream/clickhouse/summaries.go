package clickhouse

import (
	"context"
	"fmt"
	"strings"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"

	"profilestream/schemas"
)

// refreshPoll is how often RefreshSummaries looks.
const refreshPoll = 50 * time.Millisecond

// RefreshSummaries fills the summaries of a database anew and waits until they
// are there. Without it each is at most its refresh interval old. A reader sees
// the old contents of a summary until the new ones are complete.
//
// Only the first is asked for: the others follow, one by one. The server tells
// the second in which a refresh began, so the asking waits until the next one.
// One that is at work may have begun before the newest rows came; another then
// comes after it.
func RefreshSummaries(ctx context.Context, c *Client, database string) error {
	var asked time.Time
	if err := c.conn.QueryRow(ctx, "SELECT now()").Scan(&asked); err != nil {
		return fmt.Errorf("refreshing the summaries of %s: %w", database, err)
	}
	if err := sleep(ctx, time.Second); err != nil {
		return err
	}
	first := schemas.QuoteIdentifier(database) + "." + schemas.QuoteIdentifier(schemas.Summaries[0])
	if err := c.conn.Exec(ctx, "SYSTEM REFRESH VIEW "+first); err != nil {
		return fmt.Errorf("refreshing the summary %s: %w", first, err)
	}
	for {
		var done uint64
		var failed string
		err := c.conn.QueryRow(ctx, `SELECT countIf(last_success_time > @asked), arrayStringConcat(groupArrayIf(view || ': ' || exception, exception != '' AND status != 'Running' AND last_refresh_time > @asked), '; ')
			FROM system.view_refreshes WHERE database = @database AND view IN (@views)`,
			ch.Named("asked", asked), ch.Named("database", database), ch.Named("views", schemas.Summaries)).Scan(&done, &failed)
		if err == nil && failed != "" {
			failed, _, _ = strings.Cut(failed, ", Stack trace")
			err = fmt.Errorf("the server says of %s", failed)
		}
		if err != nil {
			return fmt.Errorf("refreshing the summaries of %s: %w", database, err)
		}
		if done == uint64(len(schemas.Summaries)) {
			return nil
		}
		if err := sleep(ctx, refreshPoll); err != nil {
			return err
		}
	}
}
