package wire

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
)

// cutter is a network that can lose the answer to a request: the broker gets it, the connection breaks before the
// client reads.
// It can also damage a byte of large answers.
type cutter struct {
	armed atomic.Bool
	cuts  atomic.Int64
	flips atomic.Int64 // answers still to damage
}

func newCutter() *cutter { return new(cutter) }

func (c *cutter) loseNextAnswer() { c.armed.Store(true) }

func (c *cutter) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &cutConn{Conn: conn, c: c}, nil
}

type cutConn struct {
	net.Conn
	c       *cutter
	mu      sync.Mutex
	produce bool // the request on its way is a produce request
}

// Write notes which kind of request goes out: api key 0 is produce. The header comes at the start of a write.
func (c *cutConn) Write(p []byte) (int, error) {
	if len(p) >= 8 && p[4] == 0 && p[5] == 0 && p[6] == 0 && p[7] == 8 {
		c.mu.Lock()
		c.produce = true
		c.mu.Unlock()
	}
	return c.Conn.Write(p)
}

func (c *cutConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	cut := c.produce && n > 0 && c.c.armed.CompareAndSwap(true, false)
	if n > 0 {
		c.produce = false
	}
	c.mu.Unlock()
	if n > 2000 && c.c.flips.Add(-1) >= 0 {
		p[n/2] ^= 4
	}
	if cut {
		c.c.cuts.Add(1)
		c.Conn.Close()
		return 0, net.ErrClosed
	}
	return n, err
}
