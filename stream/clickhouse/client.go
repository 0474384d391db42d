package clickhouse

import (
	"context"
	"fmt"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/cenkalti/backoff/v5"
)

// Client is a pool of connections to the database of one run.
type Client struct {
	cfg  Config
	conn driver.Conn
}

// Open prepares the connections; it does not wait for the server. The
// database need not exist before Migrate has made it.
func Open(cfg Config) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	// The statements name their database, so that the connection also works
	// before the database exists.
	o, err := cfg.options("")
	if err != nil {
		return nil, err
	}
	conn, err := ch.Open(o)
	if err != nil {
		return nil, fmt.Errorf("opening clickhouse: %w", err)
	}
	return &Client{cfg: cfg, conn: conn}, nil
}

// Conn is the pool itself, for queries. Its current database is the server's
// default: statements must name theirs.
func (c *Client) Conn() driver.Conn { return c.conn }

// Database is the database of the run.
func (c *Client) Database() string { return c.cfg.RunDatabase() }

// Ping asks the server whether it answers queries.
func (c *Client) Ping(ctx context.Context) error {
	if err := c.conn.Exec(ctx, "SELECT 1"); err != nil {
		return fmt.Errorf("pinging clickhouse: %w", err)
	}
	return nil
}

// Wait returns once the server answers, however long that takes. It tells each
// failure to failed.
func (c *Client) Wait(ctx context.Context, failed func(error)) error {
	pause := backoff.NewExponentialBackOff()
	pause.MaxInterval = breakerTimeout
	for {
		err := c.Ping(ctx)
		if err == nil || Classify(err) == Fatal {
			return err
		}
		failed(err)
		if err := sleep(ctx, pause.NextBackOff()); err != nil {
			return err
		}
	}
}

// Close closes the connections.
func (c *Client) Close() error { return c.conn.Close() }
