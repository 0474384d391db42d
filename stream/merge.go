package stream

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"profilestream/stream/failpoint"
)

const (
	// mergeSlackMillis is how far a chunk may run past the other sources' next record, in Kafka time: exact order costs a
	// call a record in a sparse history, and nothing but the amount of state held open depends on it.
	mergeSlackMillis = 3_600_000
	// mergeChunk bounds the records of one call, so that flushes and stops come in time.
	mergeChunk = 4096
	// stalledAfter is how long a source that is known to have data may take to deliver it before the others go on.
	stalledAfter = 2 * time.Second
)

// source is one partition of a merge.
type source struct {
	tp       TopicPartition
	pre      *prefetch
	cur      fetched // being processed; records is nil where nothing is at hand
	position int64
	newest   int64 // largest timestamp read, -1 before the first
	backlog  int64 // offsets known to lie beyond what was delivered; -1 before the first fetch
	waiting  time.Time
	empty    time.Time // since when it is at its end; zero while it is not
	counted  int64
	metrics  *partitionMetrics
}

// merge reads all sources of a worker as one stream.
type merge struct {
	s         *session
	p         MergeProcessor
	sources   []*source
	committed map[TopicPartition]Commit
	wake      chan struct{}
}

func (s *session) merged(f MergeFactory) {
	assigned, err := s.g.assignments(s.reading, s.member, s.owned)
	if err != nil {
		if s.reading.Err() == nil {
			s.fail(err)
		}
		return
	}
	m := &merge{s: s, committed: make(map[TopicPartition]Commit), wake: make(chan struct{}, 1)}
	ending, err := m.run(f, assigned)
	s.fail(err)
	if err == nil && ending == Drained {
		s.ending = Drained
	}
}

func (m *merge) run(f MergeFactory, assigned []Assignment) (ending Ending, err error) {
	s := m.s
	p, err := f(s.reading)
	if err != nil {
		if s.reading.Err() != nil {
			return s.why(), nil
		}
		return 0, fmt.Errorf("taking over: %w", err)
	}
	m.p = p
	defer func() { err = errors.Join(err, p.Close()) }()
	moved, err := p.Assigned(s.reading, assigned)
	if err != nil {
		if s.reading.Err() != nil {
			return s.why(), nil
		}
		return 0, fmt.Errorf("taking over: %w", err)
	}
	for _, a := range assigned {
		m.committed[a.TP()] = Commit{Offset: a.Committed, Metadata: a.Metadata}
	}
	if err := m.commit(moved); err != nil {
		return 0, fmt.Errorf("taking over: %w", err)
	}
	ctx, cancel := context.WithCancel(s.reading)
	limit := max(1<<20, s.g.cfg.BufferBytes/int64(max(1, len(assigned))))
	for _, a := range assigned {
		start := m.committed[a.TP()].Offset
		src := &source{tp: a.TP(), position: start, newest: -1, backlog: -1, waiting: time.Now(), metrics: s.g.cfg.Metrics.partition(a.TP())}
		src.pre = startPrefetch(ctx, s.fetcher(a, start, limit), limit, m.notify)
		m.sources = append(m.sources, src)
	}
	defer func() {
		cancel()
		for _, src := range m.sources {
			src.pre.wait()
			src.metrics.lost()
		}
	}()
	return m.loop()
}

func (m *merge) notify() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func (m *merge) loop() (Ending, error) {
	s := m.s
	tick := time.NewTicker(s.g.cfg.FlushInterval)
	defer tick.Stop()
	look := time.NewTicker(stalledAfter / 2) // pick changes its mind with time
	defer look.Stop()
	drain := s.g.cfg.Drain
	for {
		if err := m.collect(); errors.As(err, new(*fetchError)) {
			return 0, errors.Join(err, m.finish(Stopped)) // what was read before is still good
		} else if err != nil {
			return 0, err
		}
		if done, err := m.done(); err != nil {
			return 0, err
		} else if done {
			return Drained, m.finish(Drained)
		}
		if s.reading.Err() != nil {
			return s.why(), m.finish(s.why())
		}
		next, until := m.pick(time.Now())
		var paid <-chan time.Time
		if d := s.g.cfg.Pace.wait(time.Now()); d > 0 {
			next, paid = nil, time.After(d)
		}
		if next != nil {
			if err := m.process(next, until); err != nil {
				return 0, err
			}
			select {
			case <-tick.C:
				if err := m.flush(); err != nil {
					return 0, err
				}
			default:
			}
			continue
		}
		select {
		case <-s.reading.Done():
		case <-drain:
			drain = nil
		case <-m.wake:
		case <-paid:
		case <-look.C:
		case <-tick.C:
			if err := m.flush(); err != nil {
				return 0, err
			}
		}
	}
}

// fetchError is the end of a source that cannot be read on, as opposed to a failure of the processor.
type fetchError struct{ err error }

// Error is the error of the fetch.
func (e *fetchError) Error() string { return e.err.Error() }

// Unwrap returns the error of the fetch.
func (e *fetchError) Unwrap() error { return e.err }

// collect takes delivered sets until every source has records at hand or nothing more was delivered.
func (m *merge) collect() error {
	for _, src := range m.sources {
		for src.cur.records == nil {
			var f fetched
			select {
			case f = <-src.pre.sets:
			default:
			}
			if f.records == nil && f.err == nil {
				break
			}
			if f.err != nil && m.s.reading.Err() != nil {
				return nil
			}
			if f.err != nil {
				return &fetchError{f.err}
			}
			if err := m.deliver(src, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// deliver puts a set at hand, or accounts for one without visible records.
func (m *merge) deliver(src *source, f fetched) error {
	rs := f.records
	src.waiting = time.Now()
	src.backlog = rs.Backlog()
	if rs.Peek() != nil {
		failpoint.Hit(m.s.g.points.fetched)
		src.cur, src.counted, src.empty = f, 0, time.Time{}
		return nil
	}
	defer src.pre.release(f)
	if err := m.unreadable(src, rs); err != nil {
		return err
	}
	src.position = rs.Offset()
	src.metrics.processed(0, rs.Size(), rs.Backlog())
	if !rs.AtEnd() {
		return nil
	}
	if src.empty.IsZero() {
		src.empty = rs.SentAt
	}
	if err := m.p.Idle(m.s.work, src.tp, src.empty, rs.SentAt); err != nil {
		return fmt.Errorf("%v: %w", src.tp, err)
	}
	return nil
}

// unreadable leaves it to the processor to pass over a damaged batch that comes next; it then processes the rest of
// the set at once, in the order of its source alone.
func (m *merge) unreadable(src *source, rs *Records) error {
	for rs.Peek() == nil && rs.Err() != nil {
		rs.Limit(math.MaxInt64, math.MaxInt64)
		if err := m.p.Process(m.s.work, src.tp, rs); err != nil {
			return fmt.Errorf("%v: %w", src.tp, err)
		}
	}
	return nil
}

// pick returns the source to read from and the Kafka time to stop at, or nil where it is better to wait. The source
// with the smallest next timestamp goes first. One that is known to have more but has not delivered it yet is waited
// for; if it takes too long, the others go on until they are MaxSourceLead ahead of it.
func (m *merge) pick(now time.Time) (next *source, until int64) {
	until = math.MaxInt64
	var first int64
	for _, src := range m.sources {
		if src.cur.records == nil {
			continue
		}
		switch ts := src.cur.records.Peek().Timestamp; {
		case next == nil:
			next, first = src, ts
		case ts < first:
			next, first, until = src, ts, first
		default:
			until = min(until, ts)
		}
	}
	if next == nil {
		return nil, 0
	}
	for _, src := range m.sources {
		if src.cur.records != nil || src.backlog == 0 || src.newest > first {
			continue
		}
		if now.Sub(src.waiting) < stalledAfter || src.newest < 0 || first > src.newest+m.s.g.cfg.MaxSourceLead.Milliseconds() {
			return nil, 0
		}
	}
	if until < math.MaxInt64-mergeSlackMillis {
		until += mergeSlackMillis
	}
	return next, until
}

func (m *merge) process(src *source, until int64) error {
	rs := src.cur.records
	rs.Limit(until, m.s.g.cfg.Pace.chunk(mergeChunk))
	before := rs.Offset()
	if err := m.p.Process(m.s.work, src.tp, rs); err != nil {
		return fmt.Errorf("%v: processing records from offset %d: %w", src.tp, before, err)
	}
	if rs.Offset() == before && rs.Err() == nil {
		return fmt.Errorf("bug: the processor read nothing of %v from offset %d", src.tp, before)
	}
	n, newest := rs.Count()
	m.s.g.cfg.Pace.spend(time.Now(), n-src.counted)
	src.newest = max(src.newest, newest)
	size := 0
	more := rs.Peek() != nil
	if !more {
		if err := m.unreadable(src, rs); err != nil {
			return err
		}
		size = rs.Size()
	}
	src.position = rs.Offset()
	src.metrics.processed(n-src.counted, size, rs.Backlog()+rs.To-rs.Offset())
	src.counted = n
	if !more {
		src.pre.release(src.cur)
		src.cur, src.waiting = fetched{}, time.Now()
	}
	return nil
}

func (m *merge) done() (bool, error) {
	for _, src := range m.sources {
		target, begun, err := m.s.g.drain.target(m.s.work, src.tp)
		if err != nil || !begun || src.position < target {
			return false, err
		}
	}
	if len(m.sources) == 0 && !m.s.draining() {
		return false, nil
	}
	d, ok := m.p.(Drainer)
	return !ok || d.Drained(), nil
}

func (m *merge) flush() error {
	start := time.Now()
	positions, err := m.p.Flush(m.s.work)
	if err != nil {
		return fmt.Errorf("flushing: %w", err)
	}
	m.s.g.cfg.Metrics.flushed(time.Since(start))
	return m.commit(positions)
}

func (m *merge) finish(why Ending) error {
	f, ok := m.p.(MergeFinisher)
	if !ok {
		return m.flush()
	}
	positions, err := f.Finish(m.s.work, why)
	if err != nil {
		return fmt.Errorf("finishing (%v): %w", why, err)
	}
	return m.commit(positions)
}

func (m *merge) commit(positions map[TopicPartition]Commit) error {
	for tp, p := range positions {
		if p.Offset > max(0, m.committed[tp].Offset) { // records are at stake, not only metadata
			failpoint.Hit(m.s.g.points.commit)
			break
		}
	}
	return m.s.commit(m.committed, positions)
}
