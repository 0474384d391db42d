package store

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// BenchmarkPrefix reads the pairs of users at random, of whom one in twelve fits into the cache of blocks: 100,000 users
// with three pairs of 300 bytes; and looks for users that are not there.
func BenchmarkPrefix(b *testing.B) {
	const users, memTable = 100_000, 4 << 20
	cache := NewCache(8<<20 + 2*memTable)
	defer cache.Unref()
	s, err := Open(Config{Dir: b.TempDir(), Cache: cache, MemTableBytes: memTable})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	rnd := rand.New(rand.NewPCG(1, 2))
	value := make([]byte, 300)
	batch := s.Batch()
	for i, u := range rnd.Perm(users) {
		for k := range 3 {
			for j := range value[:200] { // a third is easily compressed
				value[j] = byte(rnd.Uint32())
			}
			if err := batch.Set(fmt.Appendf(nil, "r%036d\x00d%d", u, k), value); err != nil {
				b.Fatal(err)
			}
		}
		if i%2000 == 1999 {
			if err := s.Commit(batch, Position{Offset: int64(i)}); err != nil {
				b.Fatal(err)
			}
			batch = s.Batch()
		}
	}
	for name, form := range map[string]string{"present": "r%036d\x00", "absent": "r%036d-\x00"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			pairs := 0
			for b.Loop() {
				if err := s.Prefix(fmt.Appendf(nil, form, rnd.IntN(users)), func(_, _ []byte) error { pairs++; return nil }); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(pairs)/float64(b.N), "pairs/op")
		})
	}
}
