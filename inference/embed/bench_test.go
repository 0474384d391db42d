package embed_test

import (
	"syscall"
	"testing"

	"profilestream/inference/embed"
	"profilestream/inference/encoder/encodertest"
)

// BenchmarkEmbed reports texts a CPU second from text to vector without a cache. Input:
// the reference texts of under 60 tokens, in their own order.
func BenchmarkEmbed(b *testing.B) {
	var texts []string
	for _, r := range encodertest.Reference(b) {
		if len(r.IDs) < 60 {
			texts = append(texts, r.Text)
		}
	}
	e := open(b, embed.Config{})
	cpu := func() float64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
	}
	b.ReportAllocs()
	n, before := 0, cpu()
	for b.Loop() {
		if _, err := e.Embed(b.Context(), texts); err != nil {
			b.Fatal(err)
		}
		n += len(texts)
	}
	b.ReportMetric(float64(n)/(cpu()-before), "texts/cpu-s")
	s := e.Stats()
	b.ReportMetric(float64(s.Tokens)/float64(s.Rows), "tokens/text")
	b.ReportMetric(float64(s.PaddedTokens)/float64(s.Tokens), "padded/token")
}
