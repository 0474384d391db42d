package embed

import (
	"encoding/binary"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/zeebo/xxh3"
)

// Key identifies a vector: 128 bits over weights, encoder version and token ids.
type Key [16]byte

// entryOverhead is what an entry costs beside its vector: key, list element, map slot,
// slice header.
const entryOverhead = 192

func (e *Embedder) key(ids []int32) Key {
	var stack [1024]byte
	b := append(stack[:0], e.salt...)
	for _, id := range ids {
		b = binary.LittleEndian.AppendUint32(b, uint32(id))
	}
	return xxh3.Hash128(b).Bytes()
}

// cache keeps the most recently used vectors in memory.
type cache struct {
	mu      sync.Mutex
	lru     *simplelru.LRU[Key, []float32] // nil: switched off
	cost    int64
	evicted uint64
}

func newCache(bytes int64, dim int) *cache {
	c := &cache{cost: int64(4*dim + entryOverhead)}
	if n := bytes / c.cost; n > 0 {
		// The only error is a size below one.
		c.lru, _ = simplelru.NewLRU[Key, []float32](int(n), nil)
	}
	return c
}

func (c *cache) get(k Key) ([]float32, bool) {
	if c.lru == nil {
		return nil, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lru.Get(k)
}

// put keeps a copy: v is part of its batch's result, which would stay alive whole.
func (c *cache) put(k Key, v []float32) {
	if c.lru == nil {
		return
	}
	own := append(make([]float32, 0, len(v)), v...)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lru.Add(k, own) {
		c.evicted++
	}
}

func (c *cache) stats() (entries int, bytes int64, evicted uint64) {
	if c.lru == nil {
		return 0, 0, 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.lru.Len()
	return n, int64(n) * c.cost, c.evicted
}
