package admin

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func get(t *testing.T, url, token string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(body)
}

func TestHealthMetricsAndToken(t *testing.T) {
	defer goleak.VerifyNone(t)
	defer http.DefaultClient.CloseIdleConnections()
	reg := prometheus.NewRegistry()
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "profilestream_test_total"})
	reg.MustRegister(c)
	c.Add(3)
	var h Health
	s, err := Listen("127.0.0.1:0", "sesame", reg, &h)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	down := errors.New("breaker is open")
	base := "http://" + s.Addr()
	for _, step := range []struct {
		name, path, token string
		set               func()
		code              int
		body              string
	}{
		{"alive before ready", "/healthz", "", nil, 200, "ok"},
		{"starting", "/readyz", "", nil, 503, "starting"},
		{"one part down", "/readyz", "", func() { h.Set("model", errors.New("missing")); h.Set("kafka", nil) }, 503, "model: missing"},
		{"all ready", "/readyz", "", func() { h.Set("model", nil) }, 200, "ok"},
		{"asked each time", "/readyz", "", func() { h.Check("clickhouse", func() error { return down }) }, 503, "clickhouse: breaker"},
		{"and well again", "/readyz", "", func() { down = nil }, 200, "ok"},
		{"metrics", "/metrics", "", nil, 200, "profilestream_test_total 3"},
		{"pprof without token", "/debug/pprof/", "", nil, 401, "token"},
		{"pprof with a wrong token", "/debug/pprof/", "open", nil, 401, "token"},
		{"pprof", "/debug/pprof/", "sesame", nil, 200, "goroutine"},
	} {
		t.Run(step.name, func(t *testing.T) {
			if step.set != nil {
				step.set()
			}
			code, body := get(t, base+step.path, step.token)
			if code != step.code || !strings.Contains(body, step.body) {
				t.Fatalf("got %d %q, want %d with %q", code, body, step.code, step.body)
			}
		})
	}
}
