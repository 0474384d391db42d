package clickhouse

import (
	"context"
	"fmt"
	"strings"

	"profilestream/schemas"
)

// WriteConfiguration writes down what a config_version of the rows stands for,
// as pairs of key and value. Writing it again changes nothing.
func WriteConfiguration(ctx context.Context, c *Client, version string, settings [][2]string) error {
	var args []any
	for _, s := range settings {
		args = append(args, version, s[0], s[1])
	}
	values := strings.TrimSuffix(strings.Repeat("(?, ?, ?), ", len(settings)), ", ")
	err := c.conn.Exec(ctx, "INSERT INTO "+schemas.QuoteIdentifier(c.Database())+".configurations (config_version, key, value) VALUES "+values, args...)
	if err != nil {
		return fmt.Errorf("writing down configuration %s: %w", version, err)
	}
	return nil
}
