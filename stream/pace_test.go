package stream

import (
	"testing"
	"time"
)

// TestPaceIsPaidForAfterwards: what was processed at once is waited for, time
// without work is not saved up, and the bound holds over all who share it.
func TestPaceIsPaidForAfterwards(t *testing.T) {
	p := NewPace(1000)
	begun := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	at := func(d time.Duration) time.Time { return begun.Add(d) }
	for _, c := range []struct {
		name  string
		after time.Duration // since the beginning
		spent int64
		wait  time.Duration
	}{
		{"nothing was spent", 0, 0, 0},
		{"half a second's records", 0, 500, 500 * time.Millisecond},
		{"half of them are paid for", 250 * time.Millisecond, 0, 250 * time.Millisecond},
		{"more on top, by another partition", 250 * time.Millisecond, 1000, 1250 * time.Millisecond},
		{"all is paid for", 1500 * time.Millisecond, 0, 0},
		{"an hour without work saves nothing up", time.Hour, 100, 100 * time.Millisecond},
	} {
		p.spend(at(c.after), c.spent)
		if d := max(0, p.wait(at(c.after))); d != c.wait {
			t.Errorf("%s: %s to wait, want %s", c.name, d, c.wait)
		}
	}
}

func TestPaceBoundsWhatIsReadAtOnce(t *testing.T) {
	for _, c := range []struct {
		perSecond   int
		chunk       int64
		bytes, most int32
	}{
		{0, 4096, 4 << 20, 4 << 20}, // no bound
		{-5, 4096, 4 << 20, 4 << 20},
		{1, 1, 16 << 10, 4 << 20},
		{1000, 250, 128_000, 4 << 20},
		{100_000, 4096, 4 << 20, 4 << 20},
		{1_000_000_000, 4096, 4 << 20, 4 << 20}, // no overflow
	} {
		p := NewPace(c.perSecond)
		if n, b := p.chunk(4096), p.pacedBytes(c.most); n != c.chunk || b != c.bytes {
			t.Errorf("%d a second: %d records and %d bytes at once, want %d and %d", c.perSecond, n, b, c.chunk, c.bytes)
		}
	}
	var none *Pace
	if none.spend(time.Now(), 1000); none.wait(time.Now()) != 0 {
		t.Error("no pace makes one wait")
	}
}
