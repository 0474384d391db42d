package clickhouse

import (
	"fmt"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// OpenReader prepares connections whose current database is the run's and whose
// statements only read: ClickHouse itself refuses others (readonly = 2), and
// ends one that takes longer than limit. A user of its own with the grants of
// SELECT alone, and readonly 0 or 2, fits it.
func OpenReader(cfg Config, limit time.Duration) (driver.Conn, error) {
	return openAt(cfg, ch.Settings{"readonly": 2, "max_execution_time": max(1, int(limit.Seconds()))})
}

// OpenWriter is OpenReader without its limits, for the few statements that
// create something.
func OpenWriter(cfg Config) (driver.Conn, error) { return openAt(cfg, nil) }

func openAt(cfg Config, settings ch.Settings) (driver.Conn, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	o, err := cfg.options(cfg.RunDatabase())
	if err != nil {
		return nil, err
	}
	o.Settings = settings
	conn, err := ch.Open(o)
	if err != nil {
		return nil, fmt.Errorf("opening clickhouse: %w", err)
	}
	return conn, nil
}
