package console

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Server serves the console on an address of its own.
type Server struct {
	http *http.Server
	addr string
	o    Options
	done chan error
}

// Listen opens the address and serves until Close, which closes the
// connections to ClickHouse too.
func Listen(addr string, o Options) (*Server, error) {
	if err := CheckListen(addr, o.Token); err != nil {
		return nil, err
	}
	c, err := New(o)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("opening the console: %w", err)
	}
	s := &Server{
		http: &http.Server{Handler: c.Handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10},
		addr: l.Addr().String(), o: o, done: make(chan error, 1),
	}
	go func() { s.done <- s.http.Serve(l) }()
	return s, nil
}

// Addr is the address in use, with the port that was chosen for ":0".
func (s *Server) Addr() string { return s.addr }

// Run returns when ctx ends, after Close, or when serving fails.
func (s *Server) Run(ctx context.Context) error {
	select {
	case err := <-s.done:
		s.done <- err
	case <-ctx.Done():
	}
	return s.Close(context.WithoutCancel(ctx))
}

// Close stops the server, giving answers five seconds to end, and waits for it.
func (s *Server) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	if e := <-s.done; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	err = errors.Join(err, s.o.Reader.Close())
	if s.o.Writer != nil {
		err = errors.Join(err, s.o.Writer.Close())
	}
	return err
}
