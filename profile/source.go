package profile

import (
	"encoding/binary"

	"github.com/zeebo/xxh3"
)

// source is what the partition knows of one source partition.
type source struct {
	Source
	seed       uint64 // hash of the topic's name, seeds the hashes of event ids
	listed     bool   // in the newest source set: W waits for it
	marked     bool   // has a watermark
	wMillis    int64
	seen       int64 // largest source offset of an event, -1 before the first
	nextOffset int64 // of the newest watermark

	records, rejected              int64 // totals of the source partition, from its watermarks
	applied, duplicates, late, hot int64 // of this log partition
}

// sources finds the sources; one partition has a handful.
type sources struct {
	list []*source
	last *source // the one found last: records come in runs of a source
}

func (t *sources) find(s *Source) *source {
	if l := t.last; l != nil && l.Source == *s {
		return l
	}
	for _, l := range t.list {
		if l.Source == *s {
			t.last = l
			return l
		}
	}
	l := &source{Source: *s, seed: xxh3.HashString(s.Topic), seen: -1}
	t.list = append(t.list, l)
	t.last = l
	return l
}

// setListed replaces the set of listed sources. A partition stays listed as long as its topic is:
// Kafka's topics lose none, so that a set without it was made from older metadata than the set
// before, by a worker that has not seen the partition yet; W must go on waiting for it. In the same
// way the epoch of a partition only grows: a set with a smaller one is taken for one of the largest
// known, and a partition of an older epoch is listed no more. What was counted of it stays.
func (t *sources) setListed(set *SourceSet) {
	current := make([]Source, len(set.Sources))
	for i, s := range set.Sources {
		for _, l := range t.list {
			if l.Topic == s.Topic && l.Partition == s.Partition {
				s.Epoch = max(s.Epoch, l.Epoch)
			}
		}
		current[i] = s
	}
	for _, l := range t.list {
		l.listed = l.listed && !supersedes(current, &l.Source)
	}
	for i := range current {
		t.find(&current[i]).listed = true
	}
}

// supersedes says whether a set that replaces another ends a source of that: it lists the partition in a
// later epoch, or its topic no more in this one.
func supersedes(set []Source, of *Source) bool {
	held := false
	for i := range set {
		if set[i].Topic != of.Topic {
			continue
		}
		if set[i].Partition == of.Partition && set[i].Epoch > of.Epoch {
			return true
		}
		held = held || set[i].Epoch == of.Epoch
	}
	return !held
}

// watermark folds a watermark record in. Records of a zombie may be older than what is known.
func (t *sources) watermark(w *Watermark) {
	s := t.find(&w.Source)
	if !s.marked || w.WMillis > s.wMillis {
		s.marked, s.wMillis = true, w.WMillis
	}
	if w.NextOffset >= s.nextOffset {
		s.nextOffset, s.records, s.rejected = w.NextOffset, w.Records, w.Rejected
	}
}

// minWatermark is the smallest w(s) of the listed sources; false while one has none.
func (t *sources) minWatermark() (int64, bool) {
	var w int64
	found := false
	for _, l := range t.list {
		if !l.listed {
			continue
		}
		if !l.marked {
			return 0, false
		}
		if !found || l.wMillis < w {
			w, found = l.wMillis, true
		}
	}
	return w, found
}

// eventID hashes what makes an event a duplicate within its user and day: topic and event id,
// or the source position if there is no id.
func (s *source) eventID(e *Event) uint64 {
	if len(e.ID) > 0 {
		return xxh3.HashSeed(e.ID, s.seed)
	}
	var b [16]byte
	binary.LittleEndian.PutUint32(b[:], uint32(s.Partition))
	binary.LittleEndian.PutUint32(b[4:], uint32(s.Epoch))
	binary.LittleEndian.PutUint64(b[8:], uint64(e.Offset))
	return xxh3.HashSeed(b[:], ^s.seed)
}

func hashValue(s []byte) uint64 { return xxh3.Hash(s) }
