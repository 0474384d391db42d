package score_test

import (
	"syscall"
	"testing"
	"time"

	"profilestream/inference/internal/fixture"
)

// cpu is the processor time that this process has used.
func cpu(b *testing.B) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkScoreFromCache scores 2000 rows whose texts have been read before.
func BenchmarkScoreFromCache(b *testing.B) {
	shop := fixture.New(2000, 1, 9)
	s := scorer(b, &fixture.Embedder{})
	mustScore(b, s, shop.Rows).Release()
	b.ReportAllocs()
	start, n := cpu(b), 0
	for b.Loop() {
		mustScore(b, s, shop.Rows).Release()
		n += 2000
	}
	b.ReportMetric(float64(n)/(cpu(b)-start).Seconds(), "rows/cpu-s")
}
