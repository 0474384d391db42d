package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"profilestream/cmd/internal/engine/chdb"
)

// drainDeadline is how long running statements may take once the server is told to stop.
const drainDeadline = 20 * time.Second

// Server is the engine with its data folder open. A process has at most one.
type Server struct {
	config   Config
	library  *chdb.Library
	root     *chdb.Conn // keeps the engine up while no statement runs
	pool     *pool
	identity identity
}

// New starts the engine on its data folder.
func New(config Config) (*Server, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(config.Path, 0o750); err != nil {
		return nil, fmt.Errorf("making the data folder: %w", err)
	}
	library, err := chdb.Load(config.Library)
	if err != nil {
		return nil, err
	}
	root, err := library.Connect(config.arguments()...)
	if err != nil {
		return nil, fmt.Errorf("opening %s, which another process may hold: %w", config.Path, err)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	id, err := readIdentity(root, host)
	if err != nil {
		root.Close()
		return nil, err
	}
	connect := func() (*chdb.Conn, error) { return library.Connect("--path=" + config.Path) }
	return &Server{
		config: config, library: library, root: root, identity: id,
		pool: newPool(config.MaxQueries, config.sessionDefaults(), connect),
	}, nil
}

// Version is the engine's ClickHouse version.
func (s *Server) Version() string { return s.identity.version }

// Serve answers on the listener until ctx ends; then it lets running statements finish. After an error one may still
// run, and Close must not take the engine from under it.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    1 << 20,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	select {
	case err := <-served:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainDeadline)
	defer cancel()
	err := server.Shutdown(drain)
	if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	if err != nil {
		return fmt.Errorf("waiting %s for running statements: %w", drainDeadline, err)
	}
	return nil
}

// Close ends every session and asks the engine to join its threads. No statement may be running. The engine declines
// where tables are open, as they are once one was made; what it has acknowledged is stored all the same, and its
// threads end with the process.
func (s *Server) Close() {
	s.pool.close()
	s.root.Close()
	s.library.Shutdown()
}
