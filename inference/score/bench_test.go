package score_test

import (
	"syscall"
	"testing"
	"time"

	"profilestream/inference/internal/fixture"
	"profilestream/inference/score"
)

// cpu is the processor time that this process has used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkScore scores 2000 rows whose texts have been read before, with a
// rendering that costs next to nothing and with the real one.
func BenchmarkScore(b *testing.B) {
	m, err := trained()
	if err != nil {
		b.Fatal(err)
	}
	shop := fixture.New(2000, 1, 9)
	for name, texts := range map[string]func() score.Texts{
		"heads":            func() score.Texts { return &fixture.Texts{} },
		"heads and render": nil,
	} {
		b.Run(name, func(b *testing.B) {
			s, err := score.New(m, &fixture.Embedder{}, score.Config{Texts: texts})
			if err != nil {
				b.Fatal(err)
			}
			mustScore(b, s, shop.Rows).Release()
			b.ReportAllocs()
			start, n := cpu(b), 0
			for b.Loop() {
				mustScore(b, s, shop.Rows).Release()
				n += 2000
			}
			b.ReportMetric(float64(n)/(cpu(b)-start).Seconds(), "rows/cpu-s")
		})
	}
}
