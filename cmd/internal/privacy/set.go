package privacy

import (
	"maps"
	"sync"
	"sync/atomic"

	"profilestream/profile"
)

// Set is what a run goes by: the erasures as they concern it. It is for many
// goroutines; a nil Set erases nobody.
type Set struct {
	key  *Key   // nil: none is configured, and the topic must be empty
	log  string // topic of the event log that the run reads
	mu   sync.RWMutex
	rule map[Hash]*rule
	// near says, without a hash, that a place may lie below some erasure.
	near atomic.Pointer[limits]
}

// rule is an erasure in terms of one event log.
type rule struct {
	erase profile.Erase // without the user
	// listed: the log was there and holds, or gets, the erase record.
	listed    bool
	partition int32
	offset    int64 // of the erase record, -1 while it is not there
}

// limits are the largest positions of all rules.
type limits struct {
	source map[place]int64 // of an input partition, whatever its epoch
	log    map[int32]int64 // of a log partition
}

type place struct {
	topic     string
	partition int32
}

// NewSet returns an empty set for a run over an event log.
func NewSet(key *Key, log string) *Set {
	s := &Set{key: key, log: log, rule: map[Hash]*rule{}}
	s.near.Store(&limits{map[place]int64{}, map[int32]int64{}})
	return s
}

// put takes an erasure in, or its newer record.
func (s *Set) put(h Hash, r *rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rule[h] = r
	old := s.near.Load()
	l := &limits{maps.Clone(old.source), maps.Clone(old.log)}
	for _, p := range r.erase.Positions {
		at := place{p.Source.Topic, p.Source.Partition}
		l.source[at] = max(l.source[at], p.NextOffset)
		if p.Source.Epoch > 0 {
			l.source[at] = 1<<63 - 1 // all of an older epoch lies below
		}
	}
	if r.listed {
		l.log[r.partition] = max(l.log[r.partition], r.offset)
	}
	s.near.Store(l)
}

// Record takes in an erase record that stands in the run's log: from there on it
// holds, whenever the topic of erasures is read.
func (s *Set) Record(e *profile.Erase, partition int32, offset int64) {
	if s == nil || s.key == nil {
		return
	}
	h := s.key.Hash(e.User)
	kept := e.Clone()
	kept.User = nil
	s.put(h, &rule{kept, true, partition, offset})
}

func (s *Set) find(id []byte) *rule {
	h := s.key.Hash(id)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.rule[h]
}

// Near says whether a source position may lie below an erasure, of whomever.
func (s *Set) Near(src *profile.Source, offset int64) bool {
	return s != nil && offset < s.near.Load().source[place{src.Topic, src.Partition}]
}

// Covers says whether a record of a user at a source position is to leave no
// trace. listed: the run's log knows of it by a record.
func (s *Set) Covers(id []byte, src *profile.Source, offset int64) (covers, listed bool) {
	if !s.Near(src, offset) {
		return false, false
	}
	r := s.find(id)
	if r == nil || !r.erase.Covers(src, offset) {
		return false, false
	}
	return true, r.listed
}

// Hides says whether a row that the log record at an offset has caused is of a
// user who was erased after it.
func (s *Set) Hides(id []byte, partition int32, offset int64) bool {
	if s == nil || offset >= s.near.Load().log[partition] {
		return false
	}
	r := s.find(id)
	return r != nil && r.listed && r.partition == partition && offset < r.offset
}
