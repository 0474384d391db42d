package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	kafka "github.com/segmentio/kafka-go"

	"profilestream/stream/wire"
)

// GroupConfig says how a component reads its topics. Zero values take the defaults named with them.
type GroupConfig struct {
	Client    *wire.Client
	ID        string // consumer group
	Topics    []string
	Component string // name in metrics, logs and failpoints: "admission"
	Start     Start  // Earliest; of a group without positions
	Committed bool   // read committed records only

	FlushInterval time.Duration // 1 s between flushes
	FetchWait     time.Duration // 500 ms a fetch may wait for data
	FetchBytes    int32         // 4 MiB a fetch
	BufferBytes   int64         // 16 MiB fetched ahead, a partition; over all sources where merged

	SessionTimeout   time.Duration // 10 s without a sign of life until a member loses its partitions
	Heartbeat        time.Duration // 300 ms, which is also how fast a rebalance is noticed
	RebalanceTimeout time.Duration // 30 s for the last flush of a revoked partition
	PartitionWatch   time.Duration // 5 s until new partitions are noticed
	StopDeadline     time.Duration // 60 s for the last flush when stopping

	// MaxSourceLead bounds, where merged, how far in Kafka time a source may be read ahead of one that has data but
	// does not deliver it: 24 h.
	MaxSourceLead time.Duration

	// Pace bounds the records a second of this process; nil: no bound.
	Pace *Pace

	// Drain ends the run once everything up to the ends observed when this channel closes is processed; nil never. With
	// Run that is everything in the topics, whichever worker owns it.
	Drain <-chan struct{}

	// Resumes says of further errors that joining again deals with their cause: nil of none.
	Resumes func(error) bool

	Metrics *Metrics
	Log     *slog.Logger
}

func (c *GroupConfig) setDefaults() {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&c.FlushInterval, time.Second)
	def(&c.FetchWait, 500*time.Millisecond)
	def(&c.SessionTimeout, 10*time.Second)
	def(&c.Heartbeat, 300*time.Millisecond)
	def(&c.RebalanceTimeout, 30*time.Second)
	def(&c.PartitionWatch, 5*time.Second)
	def(&c.StopDeadline, 60*time.Second)
	def(&c.MaxSourceLead, 24*time.Hour)
	if c.FetchBytes == 0 {
		c.FetchBytes = 4 << 20
	}
	if c.BufferBytes == 0 {
		c.BufferBytes = 16 << 20
	}
	c.FetchBytes = c.Pace.pacedBytes(c.FetchBytes)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Log = c.Log.With("component", c.Component, "group", c.ID)
}

// Result says how a run ended.
type Result struct {
	Drained bool // the drain target was reached and committed
}

// ErrDeadline means that the last flush did not end in time; what it covered will be processed again.
var ErrDeadline = errors.New("stopping took longer than its deadline")

// Group runs processors over the partitions that a consumer group gives to this process.
type Group struct {
	cfg    GroupConfig
	drain  drain
	points struct{ fetched, commit string }
}

// NewGroup returns a group; Run or RunMerge joins it.
func NewGroup(cfg GroupConfig) (*Group, error) {
	if cfg.Client == nil || cfg.ID == "" || len(cfg.Topics) == 0 || cfg.Component == "" {
		return nil, errors.New("a group needs a client, an id, topics and a component name")
	}
	cfg.setDefaults()
	g := &Group{cfg: cfg}
	g.points.fetched, g.points.commit = cfg.Component+".after_fetch", cfg.Component+".before_commit"
	return g, nil
}

// Run owns partitions until ctx ends (then it stops cleanly and returns nil), the drain target is reached, or an error
// needs a person. What a restart from the committed positions cures (broker trouble, being fenced, a broken append
// stream) makes it leave the group and join again. It returns ErrDeadline where the last flush was cut short.
func (g *Group) Run(ctx context.Context, f Factory) (Result, error) {
	return g.run(ctx, func(s *session) { s.partitions(f) })
}

// RunMerge is Run with all sources of the worker read as one stream.
func (g *Group) RunMerge(ctx context.Context, f MergeFactory) (Result, error) {
	return g.run(ctx, func(s *session) { s.merged(f) })
}

func (g *Group) run(ctx context.Context, work func(*session)) (Result, error) {
	if err := g.resolveStart(ctx); err != nil {
		if ctx.Err() != nil {
			return Result{}, nil
		}
		return Result{}, fmt.Errorf("resolving the start of group %s: %w", g.cfg.ID, err)
	}
	g.drain.init(g.cfg)
	wait := &backoff.ExponentialBackOff{InitialInterval: 200 * time.Millisecond, RandomizationFactor: 0.3, Multiplier: 2, MaxInterval: 5 * time.Second}
	wait.Reset()
	for {
		joined := time.Now()
		ending, err := g.membership(ctx, work)
		switch {
		case err == nil && ending == Drained:
			return Result{Drained: true}, nil
		case err == nil, errors.Is(err, ErrDeadline):
			return Result{}, err
		case ctx.Err() != nil && restartCures(err):
			return Result{}, nil
		case !restartCures(err) && (g.cfg.Resumes == nil || !g.cfg.Resumes(err)):
			return Result{}, err
		}
		g.cfg.Log.Warn("left the group after a failure, joining again", "error", err)
		g.cfg.Metrics.restarted()
		if time.Since(joined) > 30*time.Second {
			wait.Reset()
		}
		select {
		case <-time.After(wait.NextBackOff()):
		case <-ctx.Done():
			return Result{}, nil
		}
	}
}

// restartCures reports errors after which the work can begin again at the committed positions. A fenced processor is
// among them: its partition has a new owner, and this member must leave its seat before it asks for work again.
func restartCures(err error) bool {
	return errors.Is(err, wire.ErrFenced) || errors.Is(err, wire.ErrSequence) || errors.Is(err, wire.ErrIllegalGeneration) ||
		errors.Is(err, errMemberLost) || wire.Classify(err) == wire.Retryable
}

// membership holds one seat in the group, generation after generation, and leaves it at the end.
func (g *Group) membership(ctx context.Context, work func(*session)) (Ending, error) {
	balancer := &spread{topics: g.cfg.Topics}
	cg, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: g.cfg.ID, Brokers: g.cfg.Client.Brokers(), Dialer: g.cfg.Client.Dialer(), Topics: g.cfg.Topics,
		GroupBalancers: []kafka.GroupBalancer{balancer}, HeartbeatInterval: g.cfg.Heartbeat, SessionTimeout: g.cfg.SessionTimeout,
		RebalanceTimeout: g.cfg.RebalanceTimeout, JoinGroupBackoff: 500 * time.Millisecond,
	})
	if err != nil {
		return 0, fmt.Errorf("joining group %s: %w", g.cfg.ID, err)
	}
	defer cg.Close()
	for {
		gen, err := cg.Next(ctx)
		if ctx.Err() != nil {
			return Stopped, nil
		}
		if err != nil {
			if err = wire.WithSentinel(err); !restartCures(err) {
				return 0, fmt.Errorf("joining group %s: %w", g.cfg.ID, err)
			}
			g.cfg.Log.Warn("could not join the group yet", "error", err)
			continue // kafka-go waits between its tries
		}
		s := newSession(g, ctx, gen)
		s.dealt = int(balancer.dealt.Swap(0))
		var over sync.WaitGroup
		over.Add(1)
		gen.Start(func(genCtx context.Context) {
			defer over.Done()
			s.run(genCtx, work)
		})
		over.Wait()
		if s.err != nil || s.ending != Revoked {
			return s.ending, s.err
		}
	}
}
