package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"profilestream/stream/failpoint"
)

// partitions runs one goroutine a partition and returns when all have ended.
func (s *session) partitions(f Factory) {
	assigned, err := s.g.assignments(s.reading, s.member, s.owned)
	if err != nil {
		if s.reading.Err() == nil {
			s.fail(err)
		}
		return
	}
	var running sync.WaitGroup
	for _, a := range assigned {
		if s.g.drain.isFinished(a.TP()) { // in an earlier generation
			continue
		}
		running.Add(1)
		go func() {
			defer running.Done()
			r := &runner{s: s, a: a, tp: a.TP(), committed: map[TopicPartition]Commit{a.TP(): {Offset: a.Committed, Metadata: a.Metadata}}}
			ending, err := r.run(f)
			if err != nil {
				s.fail(fmt.Errorf("%v: %w", r.tp, err))
			}
			if err == nil && ending == Drained {
				s.g.drain.finish(r.tp)
			}
		}()
	}
	if len(assigned) == 0 {
		s.idle()
	}
	running.Wait()
	unfinished := func(a Assignment) bool { return !s.g.drain.isFinished(a.TP()) }
	if s.err != nil || !s.draining() || slices.ContainsFunc(assigned, unfinished) {
		return
	}
	switch err := s.g.drain.wait(s.reading); {
	case err == nil:
		s.ending = Drained
	case s.reading.Err() == nil:
		s.fail(fmt.Errorf("waiting for the other workers: %w", err))
	}
}

// idle waits, for a worker that owns nothing, until reading stops or a drain begins.
func (s *session) idle() {
	select {
	case <-s.reading.Done():
	case <-s.g.cfg.Drain:
	}
}

func (s *session) draining() bool {
	select {
	case <-s.g.cfg.Drain:
		return true
	default:
		return false
	}
}

// runner owns one partition in one generation.
type runner struct {
	s         *session
	a         Assignment
	tp        TopicPartition
	p         Processor
	position  int64
	committed map[TopicPartition]Commit
	metrics   *partitionMetrics
}

func (r *runner) run(f Factory) (ending Ending, err error) {
	p, start, err := f(r.s.reading, r.a)
	if err != nil {
		if r.s.reading.Err() != nil {
			return r.s.why(), nil
		}
		return 0, fmt.Errorf("taking over: %w", err)
	}
	r.p, r.position = p, start
	r.metrics = r.s.g.cfg.Metrics.partition(r.tp)
	defer r.metrics.lost()
	defer func() { err = errors.Join(err, p.Close()) }()
	ctx, cancel := context.WithCancel(r.s.reading)
	pre := startPrefetch(ctx, r.s.fetcher(r.a, start, r.s.g.cfg.BufferBytes), r.s.g.cfg.BufferBytes, nil)
	defer pre.wait()
	defer cancel()
	return r.loop(pre)
}

func (r *runner) loop(pre *prefetch) (Ending, error) {
	cfg := &r.s.g.cfg
	tick := time.NewTicker(cfg.FlushInterval)
	defer tick.Stop()
	drain := cfg.Drain
	for {
		if done, err := r.done(); err != nil {
			return 0, err
		} else if done {
			return Drained, r.finish(Drained)
		}
		// A closed generation must win over data that is ready: what is read from here on could not be committed.
		if r.s.reading.Err() != nil {
			return r.s.why(), r.finish(r.s.why())
		}
		sets, paid := pre.sets, (<-chan time.Time)(nil)
		if d := cfg.Pace.wait(time.Now()); d > 0 {
			sets, paid = nil, time.After(d)
		}
		select {
		case <-r.s.reading.Done():
		case <-drain:
			drain = nil
		case <-paid:
		case f := <-sets:
			if f.err != nil {
				if r.s.reading.Err() != nil {
					continue
				}
				return 0, errors.Join(f.err, r.finish(Stopped))
			}
			failpoint.Hit(r.s.g.points.fetched)
			err := r.process(f)
			pre.release(f)
			if err != nil {
				return 0, err
			}
		case <-tick.C:
			if err := r.flush(); err != nil {
				return 0, err
			}
		}
	}
}

// done reports that a drain was asked for and nothing is left to do.
func (r *runner) done() (bool, error) {
	target, begun, err := r.s.g.drain.target(r.s.work, r.tp)
	if err != nil || !begun || r.position < target {
		return false, err
	}
	d, ok := r.p.(Drainer)
	return !ok || d.Drained(), nil
}

func (r *runner) process(f fetched) error {
	rs := f.records
	if rs.Peek() != nil { // else only markers, or nothing
		if err := r.p.Process(r.s.work, rs); err != nil {
			return fmt.Errorf("processing records from offset %d: %w", rs.From, err)
		}
	}
	if err := rs.Err(); err != nil {
		return err
	}
	if rs.Peek() != nil {
		return fmt.Errorf("bug: the processor left records unread from offset %d", rs.Offset())
	}
	r.position = rs.Offset()
	n, _ := rs.Count()
	r.metrics.processed(n, rs.Size(), rs.Backlog())
	r.s.g.cfg.Pace.spend(time.Now(), n)
	return nil
}

func (r *runner) flush() error {
	start := time.Now()
	c, err := r.p.Flush(r.s.work)
	if err != nil {
		return fmt.Errorf("flushing: %w", err)
	}
	r.s.g.cfg.Metrics.flushed(time.Since(start))
	return r.commit(c)
}

// finish is the last flush and commit.
func (r *runner) finish(why Ending) error {
	f, ok := r.p.(Finisher)
	if !ok {
		return r.flush()
	}
	c, err := f.Finish(r.s.work, why)
	if err != nil {
		return fmt.Errorf("finishing (%v): %w", why, err)
	}
	return r.commit(c)
}

func (r *runner) commit(c Commit) error {
	if c.Offset >= 0 && c != r.committed[r.tp] {
		failpoint.Hit(r.s.g.points.commit)
	}
	return r.s.commit(r.committed, map[TopicPartition]Commit{r.tp: c})
}
