// Package admin serves a process's metrics and health: /metrics, /healthz (the
// process runs), /readyz (each of its parts says that it can work), and pprof
// with a bearer token only. It owns no state of the pipeline.
package admin

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Health collects what each part of a process says of its readiness.
type Health struct {
	mu     sync.Mutex
	parts  map[string]error
	checks map[string]func() error
}

// Set records that a part is ready (nil) or why it is not.
func (h *Health) Set(part string, why error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.parts == nil {
		h.parts = map[string]error{}
	}
	h.parts[part] = why
}

// Check has a part asked each time: nil means ready. It comes on top of what Set
// recorded.
func (h *Health) Check(part string, ready func() error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.checks == nil {
		h.checks = map[string]func() error{}
	}
	h.checks[part] = ready
}

// Unready lists the parts that are not ready, one "part: reason" each.
func (h *Health) Unready() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []string
	for part, why := range h.parts {
		if why != nil {
			out = append(out, part+": "+why.Error())
		}
	}
	for part, ready := range h.checks {
		if why := ready(); why != nil && h.parts[part] == nil {
			out = append(out, part+": "+why.Error())
		}
	}
	if h.parts == nil {
		out = append(out, "process: starting")
	}
	sort.Strings(out)
	return out
}

// Server is the admin port of a process.
type Server struct {
	http *http.Server
	addr string
	done chan error
}

// Listen opens the port and serves until Close. token guards pprof; empty
// means that pprof is off.
func Listen(addr, token string, reg *prometheus.Registry, h *Health) (*Server, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("opening the admin port: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if bad := h.Unready(); len(bad) > 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, strings.Join(bad, "\n"))
			return
		}
		fmt.Fprintln(w, "ok")
	})
	if token != "" {
		for path, handler := range map[string]http.HandlerFunc{
			"/debug/pprof/": pprof.Index, "/debug/pprof/profile": pprof.Profile,
			"/debug/pprof/trace": pprof.Trace, "/debug/pprof/symbol": pprof.Symbol,
		} {
			mux.Handle(path, withToken(token, handler))
		}
	}
	s := &Server{
		http: &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second},
		addr: l.Addr().String(), done: make(chan error, 1),
	}
	go func() { s.done <- s.http.Serve(l) }()
	return s, nil
}

// Addr is the address in use, with the port that was chosen for ":0".
func (s *Server) Addr() string { return s.addr }

// Close stops the server and waits for it.
func (s *Server) Close(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if e := <-s.done; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}

func withToken(token string, next http.Handler) http.Handler {
	want := []byte("Bearer " + token)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), want) != 1 {
			http.Error(w, "a bearer token is needed", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}
