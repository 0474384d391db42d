package stream

import (
	"sync"
	"time"
)

// Pace bounds how many records a second are processed, over all partitions that share it. What was processed at once is
// paid for by waiting afterwards. A nil pace bounds nothing.
type Pace struct {
	perSecond int
	mu        sync.Mutex
	free      time.Time // when all is paid for
}

// NewPace returns the bound, nil for 0.
func NewPace(recordsPerSecond int) *Pace {
	if recordsPerSecond <= 0 {
		return nil
	}
	return &Pace{perSecond: recordsPerSecond}
}

// spend notes records that were processed.
func (p *Pace) spend(now time.Time, records int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free.Before(now) {
		p.free = now
	}
	p.free = p.free.Add(time.Duration(records) * time.Second / time.Duration(p.perSecond))
}

// wait is how long to process nothing.
func (p *Pace) wait(now time.Time) time.Duration {
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.free.Sub(now)
}

// chunk is how many records to process at most between two looks at the pace.
func (p *Pace) chunk(most int64) int64 {
	if p == nil {
		return most
	}
	return min(most, max(1, int64(p.perSecond)/4))
}

// pacedBytes is about what a second of records may take, so that fetches do not hold many.
func (p *Pace) pacedBytes(most int32) int32 {
	if p == nil {
		return most
	}
	const record, least = 128, 16 << 10
	return int32(min(int64(most), max(least, int64(p.perSecond)*record)))
}
