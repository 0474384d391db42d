package history

import (
	"fmt"

	"profilestream/profile"
)

// Partition takes one partition of a run's event log in: events that admission
// appended more than once count once, and those of erased customers not at all.
// What windowing found late does count: here time is known to the end.
type Partition struct {
	h      *History
	record profile.Record
	seen   map[profile.Source]int64 // next offset of a source
	erased map[string]profile.Erase // by user
}

// NewPartition begins with a log partition.
func (h *History) NewPartition() *Partition {
	return &Partition{h: h, seen: map[profile.Source]int64{}, erased: map[string]profile.Erase{}}
}

// Add takes the next record of the partition.
func (p *Partition) Add(offset int64, value []byte) error {
	r := &p.record
	if err := profile.DecodeRecord(value, r); err != nil {
		return fmt.Errorf("log record %d: %w", offset, err)
	}
	switch r.Kind {
	case profile.KindEvent:
		e := &r.Event
		if e.Offset < p.seen[e.Source] {
			return nil
		}
		p.seen[e.Source] = e.Offset + 1
		if x, ok := p.erased[string(e.User)]; ok && x.Covers(&e.Source, e.Offset) {
			return nil
		}
		return p.h.Add(e.Source.Topic, e.KafkaMillis, e.Raw)
	case profile.KindErase:
		p.h.forget(string(r.Erase.User))
		p.erased[string(r.Erase.User)] = r.Erase.Clone()
	}
	return nil
}

// forget drops what a customer has done so far.
func (h *History) forget(user string) {
	kept := h.events[:0]
	for _, e := range h.events {
		if e.user == user {
			clear(h.text[e.from:e.to])
			continue
		}
		kept = append(kept, e)
	}
	h.events = kept
}
