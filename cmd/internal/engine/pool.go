package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"profilestream/cmd/internal/engine/chdb"
)

// session is a database and a list of settings, as the engine's SET takes it.
type session struct {
	database string
	settings string
}

func settingList(settings map[string]string) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		list = append(list, name+" = "+quoted(settings[name], '\''))
	}
	return strings.Join(list, ", ")
}

// pool holds the engine's connections: at most max in use, and as many idle, the least recently used closed first.
type pool struct {
	connect  func() (*chdb.Conn, error)
	defaults string // settings of every session, before its own
	slots    chan struct{}

	mu   sync.Mutex
	idle []idleConn // the most recently used last
}

type idleConn struct {
	conn    *chdb.Conn
	session session
}

func newPool(max int, defaults string, connect func() (*chdb.Conn, error)) *pool {
	return &pool{connect: connect, defaults: defaults, slots: make(chan struct{}, max)}
}

// acquire waits for a slot and gives a connection that is set to the session; release ends its use.
func (p *pool) acquire(ctx context.Context, s session) (*chdb.Conn, error) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the engine: %w", context.Cause(ctx))
	}
	if conn := p.takeIdle(s); conn != nil {
		return conn, nil
	}
	conn, err := p.open(s)
	if err != nil {
		<-p.slots
	}
	return conn, err
}

// release gives the slot back. A connection whose statement failed may be in any state and is closed.
func (p *pool) release(conn *chdb.Conn, s session, failed bool) {
	defer func() { <-p.slots }()
	if failed {
		conn.Close()
		return
	}
	p.mu.Lock()
	p.idle = append(p.idle, idleConn{conn, s})
	var oldest *chdb.Conn
	if len(p.idle) > cap(p.slots) {
		oldest = p.idle[0].conn
		p.idle = slices.Delete(p.idle, 0, 1)
	}
	p.mu.Unlock()
	if oldest != nil {
		oldest.Close()
	}
}

func (p *pool) takeIdle(s session) *chdb.Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := len(p.idle) - 1; i >= 0; i-- {
		if p.idle[i].session == s {
			conn := p.idle[i].conn
			p.idle = slices.Delete(p.idle, i, i+1)
			return conn
		}
	}
	return nil
}

func (p *pool) open(s session) (*chdb.Conn, error) {
	conn, err := p.connect()
	if err != nil {
		return nil, err
	}
	statements := []string{"SET " + p.defaults}
	if s.database != "default" {
		statements = append(statements, "USE "+quoted(s.database, '`'))
	}
	if s.settings != "" {
		statements = append(statements, "SET "+s.settings)
	}
	for _, sql := range statements {
		result, err := conn.Query(sql, "Null", nil)
		if err != nil {
			conn.Close()
			return nil, err
		}
		result.Free()
	}
	return conn, nil
}

// close closes the idle connections; none may be in use.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, idle := range p.idle {
		idle.conn.Close()
	}
	p.idle = nil
}
