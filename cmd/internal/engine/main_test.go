package engine

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// asEngine turns this test program into bin/engine, so that tests run it as a real process.
const asEngine = "PROFILESTREAM_TEST_AS_ENGINE"

func TestMain(m *testing.M) {
	if os.Getenv(asEngine) != "" {
		os.Exit(Main(os.Args[1:], os.Stdin, os.Stderr))
	}
	os.Exit(m.Run())
}

// testLimit bounds every wait; nothing here takes a tenth of it on an idle machine.
const testLimit = 2 * time.Minute

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	t.Cleanup(cancel)
	return ctx
}

// start runs an engine as a process of its own; it is killed at the end of the test.
func start(t testing.TB, path string, flags ...string) *Process {
	t.Helper()
	p, err := tryStart(t, path, flags...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func tryStart(t testing.TB, path string, flags ...string) (*Process, error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(asEngine, "1")
	return Start(testContext(t), Options{Binary: self, Path: path, Flags: flags, Log: t.Output()})
}

// connect opens an unmodified clickhouse-go client. "" is no compression.
func connect(t testing.TB, addr string, method clickhouse.CompressionMethod) clickhouse.Conn {
	t.Helper()
	conn, err := clickhouse.Open(&clickhouse.Options{
		Addr: []string{addr}, Protocol: clickhouse.HTTP, MaxOpenConns: 8,
		Auth:        clickhouse.Auth{Database: "default", Username: "default"},
		Compression: &clickhouse.Compression{Method: method, Level: 1},
		Settings:    clickhouse.Settings{"max_execution_time": 60},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return conn
}

func execute(t testing.TB, conn clickhouse.Conn, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		if err := conn.Exec(testContext(t), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

func count(t testing.TB, conn clickhouse.Conn, from string) uint64 {
	t.Helper()
	var n uint64
	if err := conn.QueryRow(testContext(t), "SELECT count() FROM "+from).Scan(&n); err != nil {
		t.Fatalf("counting %s: %v", from, err)
	}
	return n
}
