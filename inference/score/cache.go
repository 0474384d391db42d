package score

import "sync"

// cache remembers a function of short texts. It holds at most twice limit
// entries in two generations: when the young one is full it becomes the old one,
// so what is used stays. It is safe for concurrent use.
type cache[K comparable, V any] struct {
	mu         sync.Mutex
	limit      int
	young, old map[K]V
}

func newCache[K comparable, V any](limit int) *cache[K, V] {
	return &cache[K, V]{limit: limit, young: make(map[K]V)}
}

func (m *cache[K, V]) get(k K) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.find(k)
}

// find is get under a lock that the caller holds.
func (m *cache[K, V]) find(k K) (V, bool) {
	if v, ok := m.young[k]; ok {
		return v, true
	}
	v, ok := m.old[k]
	if ok {
		m.add(k, v)
	}
	return v, ok
}

func (m *cache[K, V]) put(k K, v V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.add(k, v)
}

func (m *cache[K, V]) add(k K, v V) {
	if len(m.young) >= m.limit {
		m.old, m.young = m.young, make(map[K]V)
	}
	m.young[k] = v
}
