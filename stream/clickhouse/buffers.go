package clickhouse

import "sync"

// buffers keeps the memory of encoded blocks for the next ones.
type buffers struct {
	mu   sync.Mutex
	free [][]byte
}

// maxFreeBuffers is one for each table of rows.
const maxFreeBuffers = 2

func (b *buffers) get() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.free); n > 0 {
		buf := b.free[n-1]
		b.free = b.free[:n-1]
		return buf[:0]
	}
	return nil
}

func (b *buffers) put(buf []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.free) < maxFreeBuffers {
		b.free = append(b.free, buf)
	}
}
