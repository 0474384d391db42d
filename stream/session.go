package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	kafka "github.com/segmentio/kafka-go"

	"profilestream/stream/wire"
)

// errMemberLost cancels work whose results could not be committed any more.
var errMemberLost = errors.New("the group went on without this member")

// Causes for which a session stops reading.
var (
	errRevoked = errors.New("generation ended")
	errStopped = errors.New("stopping")
	errFailed  = errors.New("another partition failed")
)

// session is the work of one generation. It has two contexts: reading ends the moment the generation ends, a stop is
// asked for or a partition fails; work outlives that, so that what was read is finished and committed, and ends when
// the deadline for that has passed.
//
// Interleaving of a rebalance: the coordinator wants members to rejoin and answers heartbeats with that; kafka-go closes
// the generation; reading stops; each processor finishes and its position is committed with this generation's number.
// The coordinator takes it, since the generation only changes once every member has rejoined or timed out, and kafka-go
// rejoins only after run has returned. If this process slept through all that (SIGSTOP), the generation has changed, and
// the commit is refused; what was not committed is processed again by the new owner.
type session struct {
	g      *Group
	member wire.Member
	owned  []TopicPartition
	dealt  int // partitions of the topics in this generation, 0 where another member leads

	reading     context.Context
	stopReading context.CancelCauseFunc
	work        context.Context
	stopWork    context.CancelCauseFunc
	unwatch     func() bool // stops waiting for the caller's context

	mu     sync.Mutex
	err    error // first failure
	ending Ending
}

func newSession(g *Group, ctx context.Context, gen *kafka.Generation) *session {
	s := &session{g: g, member: wire.Member{Group: gen.GroupID, Generation: gen.ID, ID: gen.MemberID}}
	for topic, ps := range gen.Assignments {
		for _, p := range ps {
			s.owned = append(s.owned, TopicPartition{Topic: topic, Partition: int32(p.ID)})
		}
	}
	base := context.WithoutCancel(ctx)
	s.work, s.stopWork = context.WithCancelCause(base)
	s.reading, s.stopReading = context.WithCancelCause(base)
	s.unwatch = context.AfterFunc(ctx, func() { s.stopReading(errStopped) })
	return s
}

// run does the work of the generation and returns when all of it has ended.
func (s *session) run(genCtx context.Context, work func(*session)) {
	defer s.stopWork(nil)
	defer s.stopReading(nil)
	defer s.unwatch()
	s.g.cfg.Metrics.joined(len(s.owned))
	s.g.cfg.Log.Info("joined", "generation", s.member.Generation, "partitions", len(s.owned))
	var helpers sync.WaitGroup
	over := make(chan struct{})
	helpers.Add(3)
	go func() {
		defer helpers.Done()
		select {
		case <-genCtx.Done():
			s.stopReading(errRevoked)
		case <-over:
		}
	}()
	go func() {
		defer helpers.Done()
		s.limitStop(genCtx, over)
	}()
	go func() {
		defer helpers.Done()
		s.watchPartitions(over)
	}()
	work(s)
	close(over)
	helpers.Wait()
	if s.ending != Drained {
		s.ending = s.why()
	}
	s.g.cfg.Log.Info("generation over", "generation", s.member.Generation, "ending", s.ending.String())
}

// watchPartitions has the leader end the generation when the topics have more partitions than it dealt out. kafka-go's
// own watch compares with what it reads once the generation runs, and so never sees one that came just before.
func (s *session) watchPartitions(over <-chan struct{}) {
	if s.dealt == 0 {
		return
	}
	tick := time.NewTicker(s.g.cfg.PartitionWatch)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-s.reading.Done():
			return
		case <-over:
			return
		}
		tps, err := s.g.cfg.Client.Partitions(s.reading, s.g.cfg.Topics...)
		if err == nil && len(tps) > s.dealt {
			s.g.cfg.Log.Info("the topics have new partitions, sharing them out", "partitions", len(tps), "before", s.dealt)
			s.stopReading(errRevoked)
			return
		}
	}
}

// why translates the reason for which reading stopped.
func (s *session) why() Ending {
	if errors.Is(context.Cause(s.reading), errRevoked) {
		return Revoked
	}
	return Stopped
}

// limitStop waits for reading to stop and then bounds the rest of the work in time. While it lasts it keeps the seat:
// kafka-go sends no heartbeats any more once a generation has ended.
func (s *session) limitStop(genCtx context.Context, over <-chan struct{}) {
	select {
	case <-s.reading.Done():
	case <-over:
		return
	}
	limit, cause := s.g.cfg.StopDeadline, ErrDeadline
	if s.why() == Revoked {
		limit, cause = s.g.cfg.RebalanceTimeout*3/4, errMemberLost
	}
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	beat := time.NewTicker(s.g.cfg.Heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-over:
			return
		case <-deadline.C:
			s.stopWork(cause)
			return
		case <-beat.C:
			if genCtx.Err() == nil {
				continue
			}
			ctx, cancel := context.WithTimeout(s.work, s.g.cfg.SessionTimeout)
			err := s.g.cfg.Client.Heartbeat(ctx, s.member)
			cancel()
			if errors.Is(err, wire.ErrIllegalGeneration) {
				s.stopWork(errMemberLost)
				return
			}
		}
	}
}

// fail records an error and stops the other partitions. Errors that only say that work was cut off carry its cause.
func (s *session) fail(err error) {
	if err == nil {
		return
	}
	if s.work.Err() != nil {
		if cause := context.Cause(s.work); cause != nil && !errors.Is(err, cause) && !errors.Is(cause, context.Canceled) {
			err = fmt.Errorf("%w: %w", cause, err)
		}
	}
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.mu.Unlock()
	s.stopReading(errFailed)
}

// commit stores positions under this generation, unless they are what was stored last.
func (s *session) commit(last, positions map[TopicPartition]Commit) error {
	changed := make(map[TopicPartition]Commit, len(positions))
	for tp, p := range positions {
		if p.Offset >= 0 && p != last[tp] {
			changed[tp] = p
		}
	}
	if len(changed) == 0 {
		return nil
	}
	if err := s.g.cfg.Client.Commit(s.work, s.member, changed); err != nil {
		return err
	}
	for tp, p := range changed {
		last[tp] = p
	}
	s.g.cfg.Metrics.committed()
	return nil
}

// fetcher reads a partition from start in fetches that fit its share of the buffer.
func (s *session) fetcher(a Assignment, start, share int64) *wire.Fetcher {
	cfg := &s.g.cfg
	return cfg.Client.NewFetcher(a.Topic, a.Partition, start, wire.FetchConfig{
		MaxWait: cfg.FetchWait, MaxBytes: int32(min(int64(cfg.FetchBytes), share)), Committed: cfg.Committed, TopicID: a.TopicID,
	})
}
