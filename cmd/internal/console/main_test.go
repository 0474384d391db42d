package console

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"profilestream/stream/clickhouse"
	"profilestream/stream/clickhouse/clickhousetest"
)

// shop is an engine with the made-up customers of .docker/clickhouse/sample.sql.
var shop clickhouse.Config

func TestMain(m *testing.M) {
	os.Exit(clickhousetest.Main(m, func(e *clickhousetest.Engine) error {
		shop = clickhouse.Config{Addr: []string{e.Addr}, Database: "profilestream", Run: "live", BatchRows: 1000, BatchInterval: time.Second}
		return fill(context.Background())
	}))
}

// fill makes the tables and the customers.
func fill(ctx context.Context) error {
	c, err := clickhouse.Open(shop)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := clickhouse.Migrate(ctx, c); err != nil {
		return err
	}
	sample, err := os.ReadFile("../../../.docker/clickhouse/sample.sql")
	if err != nil {
		return err
	}
	for _, statement := range strings.Split(string(sample), ";\n") {
		if statement = strings.TrimSpace(statement); statement == "" {
			continue
		}
		if err := c.Conn().Exec(ctx, strings.TrimSuffix(statement, ";")); err != nil {
			return fmt.Errorf("%.60s: %w", statement, err)
		}
	}
	return clickhouse.RefreshSummaries(ctx, c, "profilestream")
}

// testOptions are those of a console over the shop. The log is the test's.
func testOptions(t testing.TB) Options {
	t.Helper()
	reader, err := clickhouse.OpenReader(shop, QueryLimit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = reader.Close() })
	return Options{
		Reader: reader, Database: "profilestream", Run: "live", Currency: "GBP", Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
		Lag: func(context.Context) ([]StageLag, error) {
			return []StageLag{{Stage: "sink", Topic: "profile.live.scored", Partitions: 8, Behind: 12}}, nil
		},
	}
}

// serve answers requests as a console of o would.
func serve(t testing.TB, o Options) http.Handler {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c.Handler()
}

// get asks for a path; status and body come back.
func get(t testing.TB, h http.Handler, path string) (int, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost"+path, nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func post(t testing.TB, h http.Handler, path string, form url.Values, header http.Header) (int, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost"+path, bytes.NewBufferString(form.Encode()))
	for name, values := range header {
		r.Header[name] = values
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}
