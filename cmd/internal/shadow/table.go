package shadow

import (
	"context"
	"fmt"
	"time"

	"profilestream/schemas"
	"profilestream/stream/clickhouse"
)

// Keep writes the moves into the run's table shadow_move_rows. A second shadow run of
// the same two bundles over a day replaces its rows.
func Keep(ctx context.Context, c *clickhouse.Client, r *Report) error {
	batch, err := c.Conn().PrepareBatch(ctx, "INSERT INTO "+schemas.QuoteIdentifier(c.Database())+
		".shadow_move_rows (candidate, current, day, kind, from_band, to_band, users, churn_current, churn_candidate, value_current, value_candidate)")
	if err != nil {
		return fmt.Errorf("writing shadow_move_rows: %w", err)
	}
	defer func() { _ = batch.Close() }()
	for _, m := range r.Moves {
		day, err := time.Parse(time.DateOnly, m.Day)
		if err == nil {
			err = batch.Append(r.Candidate, r.Current, day, m.Kind, m.From, m.To, m.Users, m.ChurnCurrent, m.ChurnCandidate, m.ValueCurrent, m.ValueCandidate)
		}
		if err != nil {
			return fmt.Errorf("writing shadow_move_rows: %w", err)
		}
	}
	if err := batch.Send(); err != nil {
		return fmt.Errorf("writing shadow_move_rows: %w", err)
	}
	return nil
}
