package clickhouse

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"profilestream/stream/clickhouse/clickhousetest"
)

// engine is shared by the tests of the package; each uses databases of its own.
var engine *clickhousetest.Engine

func TestMain(m *testing.M) {
	code := clickhousetest.Main(m, func(e *clickhousetest.Engine) error { engine = e; return nil })
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Println(err)
		code = 1
	}
	os.Exit(code)
}

// testConfig is a configuration for a database of the test's own.
func testConfig(t testing.TB, database string) Config {
	t.Helper()
	return Config{
		Addr: []string{engine.Addr}, Database: database, Run: "live",
		BatchRows: 20000, BatchInterval: 50 * time.Millisecond, HistoryEmbedding: false,
	}
}

// testClient opens a client on a fresh, migrated database.
func testClient(t testing.TB, cfg Config) *Client {
	t.Helper()
	c, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	exec(t, c, "DROP DATABASE IF EXISTS "+c.Database())
	if _, err := Migrate(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return c
}

func exec(t testing.TB, c *Client, statement string) {
	t.Helper()
	if err := c.Conn().Exec(context.Background(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// scalar reads one value.
func scalar[T any](t testing.TB, c *Client, query string) T {
	t.Helper()
	var v T
	if err := c.Conn().QueryRow(context.Background(), query).Scan(&v); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return v
}
