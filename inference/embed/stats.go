package embed

import (
	"sync/atomic"
	"time"

	"profilestream/inference/encoder"
)

type counters struct {
	texts, hits, misses, failures      atomic.Uint64
	disk, diskErrors                   atomic.Uint64
	batches, rows, tokens, paid, nanos atomic.Uint64
}

func (c *counters) observe(rows [][]int32, took time.Duration) {
	longest, sum := 0, 0
	for _, r := range rows {
		longest, sum = max(longest, len(r)), sum+len(r)
	}
	c.batches.Add(1)
	c.rows.Add(uint64(len(rows)))
	c.tokens.Add(uint64(sum))
	c.paid.Add(uint64(len(rows) * encoder.PaddedLen(longest)))
	c.nanos.Add(uint64(took))
}

// Stats are totals since the Embedder was made, and the present size of its cache.
type Stats struct {
	Texts, Hits, Misses, Evictions uint64 // Hits in memory or within a call; Misses were encoded
	DiskHits, DiskErrors           uint64 // texts found on disk; failed writes and broken records
	Failures                       uint64 // calls of Embed that returned an error
	Batches, Rows                  uint64 // encoded
	Tokens, PaddedTokens           uint64 // of the encoded rows, without and with padding
	EncodeTime                     time.Duration
	CacheEntries                   int
	CacheBytes                     int64
	DiskBytes                      int64  // of this model's vectors
	BreakerState                   string // closed, half-open, open
}

// Stats returns a snapshot for metrics.
func (e *Embedder) Stats() Stats {
	s := Stats{
		Texts: e.count.texts.Load(), Hits: e.count.hits.Load(), Misses: e.count.misses.Load(),
		Failures: e.count.failures.Load(), Batches: e.count.batches.Load(), Rows: e.count.rows.Load(),
		Tokens: e.count.tokens.Load(), PaddedTokens: e.count.paid.Load(),
		EncodeTime:   time.Duration(e.count.nanos.Load()),
		BreakerState: e.breaker.State().String(),
	}
	s.DiskHits, s.DiskErrors = e.count.disk.Load(), e.count.diskErrors.Load()
	if e.disk != nil {
		var broken uint64
		s.DiskBytes, broken = e.disk.size()
		s.DiskErrors += broken
	}
	s.CacheEntries, s.CacheBytes, s.Evictions = e.cache.stats()
	return s
}
