package stage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/cenkalti/backoff/v5"

	"profilestream/cmd/internal/admin"
	"profilestream/inference/embed"
	"profilestream/schemas"
	"profilestream/stream"
	"profilestream/stream/failpoint"
	"profilestream/stream/wire"
)

const (
	// liveRows and dayRows bound the rows scored together: a live row waits for
	// at most one such batch of day rows.
	liveRows = 512
	dayRows  = 128
	// fewRows are scored together while it is not known how long they take: with
	// a new encoder no text is in the cache.
	fewRows = 32
	// batchTarget is how long a batch should take, and sendInterval how long scored
	// rows wait for those after them: with the turns of others between, rows come
	// out at least once a second.
	batchTarget  = 250 * time.Millisecond
	sendInterval = 250 * time.Millisecond
	// maxRetryInterval is how late at most the end of an outage is noticed.
	maxRetryInterval = 5 * time.Second
)

// rowScorer scores window rows; *score.Scorer is the real one.
type rowScorer interface {
	Score(ctx context.Context, rows arrow.Record) (arrow.Record, error)
	// ScoreNumeric scores without the encoder; its rows are marked degraded.
	ScoreNumeric(ctx context.Context, rows arrow.Record) (arrow.Record, error)
}

// scoring scores one partition of the topic windows or days. Its rows are
// acknowledged by Kafka before the offsets they came from are committed; a
// crash in between scores some rows again, with equal results.
type scoring struct {
	log     *slog.Logger
	metrics *scorerMetrics
	health  *admin.Health
	models  *seat
	turns   *turns
	live    bool
	// stopping closes when the partition is to be given up; nil never.
	stopping <-chan struct{}
	out      *messageWriter
	next     int64
	at       int64 // offset of the first message at work
	low      degraded
	sent     time.Time // when rows were last sent, or a fetch began
	pace     pace
	now      func() time.Time
}

// Process scores the rows of a fetch. When the owner is asked to stop, the rows
// that are not scored yet are left to the next one: a stop or a rebalance never
// waits for more than the batch at the encoder.
func (s *scoring) Process(ctx context.Context, rs *wire.Records) error {
	scoring, cancel := s.untilStopped(ctx)
	defer cancel()
	s.sent = s.now()
	work := s.dayMessages
	if s.live {
		work = s.liveMessages
	}
	err := work(scoring, ctx, rs)
	if err == nil || scoring.Err() == nil || ctx.Err() != nil {
		return err
	}
	s.out.discard()
	for rs.Next() != nil { // their offsets are not committed
	}
	return rs.Err()
}

// untilStopped is a context that ends when the owner is asked to stop.
func (s *scoring) untilStopped(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stopping := s.stopping
	go func() {
		select {
		case <-stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// dayMessages scores message by message: each is done before the next begins.
func (s *scoring) dayMessages(ctx, sending context.Context, rs *wire.Records) error {
	for r := rs.Next(); r != nil; r = rs.Next() {
		s.at = r.Offset
		m, err := decodeMessage(r, memory.DefaultAllocator)
		if err == nil {
			err = s.message(ctx, sending, m)
			m.rows.Release()
		}
		if err != nil {
			return fmt.Errorf("%s[%d]@%d: %w", rs.Topic, rs.Partition, r.Offset, err)
		}
		if err := s.send(sending, r.Offset+1); err != nil {
			return err
		}
	}
	return rs.Err()
}

// liveMessages scores of each user the newest row of the whole fetch: the others
// are never read by anyone.
func (s *scoring) liveMessages(ctx, sending context.Context, rs *wire.Records) error {
	var msgs []message
	defer func() {
		for _, m := range msgs {
			m.rows.Release()
		}
	}()
	s.at = rs.Offset()
	for r := rs.Next(); r != nil; r = rs.Next() {
		m, err := decodeMessage(r, memory.DefaultAllocator)
		if err != nil {
			return fmt.Errorf("%s[%d]@%d: %w", rs.Topic, rs.Partition, r.Offset, err)
		}
		msgs = append(msgs, m)
	}
	if err := rs.Err(); err != nil {
		return err
	}
	msgs = s.newest(msgs)
	for _, m := range msgs {
		if err := s.message(ctx, sending, m); err != nil {
			return err
		}
	}
	return s.send(sending, rs.Offset())
}

// send waits until the scored rows are acknowledged; then everything below next
// is done.
func (s *scoring) send(ctx context.Context, next int64) error {
	failpoint.Hit("scorer.before_acknowledged")
	if err := s.out.flush(ctx); err != nil {
		return err
	}
	failpoint.Hit("scorer.after_acknowledged")
	s.next = next
	return nil
}

// errDropped: rows that could not be scored are dropped, as the test asks.
var errDropped = errors.New("rows dropped")

// message scores one message's rows, some at a time. Each batch has one model and
// becomes one message, stamped with that model's promotion. What is scored is sent
// now and then; only after the whole fetch is it committed.
func (s *scoring) message(ctx, sending context.Context, m message) error {
	if s.models.lacks(m.promotion) { // what is scored does not wait with it
		if err := s.out.flush(sending); err != nil {
			return err
		}
	}
	for from := int64(0); from < m.rows.NumRows(); {
		scored, err := s.batch(ctx, m, from)
		if errors.Is(err, errDropped) {
			return nil
		}
		if err != nil {
			return err
		}
		from += scored.rows.NumRows()
		err = s.out.add(scored, s.now().UnixMilli())
		scored.rows.Release()
		if err != nil {
			return err
		}
		if now := s.now(); now.Sub(s.sent) >= sendInterval {
			if err := s.out.flush(sending); err != nil {
				return err
			}
			s.sent = now
		}
	}
	return nil
}

// batch scores some of a message's rows once there is a model for them and the
// turn has come. How many is decided last, when the model is known.
func (s *scoring) batch(ctx context.Context, m message, from int64) (message, error) {
	if _, err := s.models.await(ctx, m.promotion); err != nil {
		return message{}, err
	}
	if err := s.turns.take(ctx, s.live && !s.low.again); err != nil {
		return message{}, err
	}
	defer s.turns.give()
	promotion, err := s.models.await(ctx, m.promotion)
	if err != nil {
		return message{}, err
	}
	most := int64(dayRows)
	if s.live {
		most = liveRows
	}
	part := m.rows.NewSlice(from, min(from+s.pace.next(promotion, most), m.rows.NumRows()))
	defer part.Release()
	start := s.now()
	rows, promotion, err := s.score(ctx, part)
	if err != nil {
		return message{}, err
	}
	took, kind := s.now().Sub(start), "day"
	if s.live {
		kind = "live"
	}
	s.pace.took(took, most)
	s.metrics.batch.Observe(float64(rows.NumRows()))
	s.metrics.rows.WithLabelValues(kind).Add(float64(rows.NumRows()))
	s.metrics.seconds.WithLabelValues(kind).Observe(took.Seconds())
	return message{schemas.ScoredRowsSchema, m.kind, promotion, m.configVersion, rows}, nil
}

// score waits out an encoder that is down: fetching has stopped meanwhile, so
// nothing is dropped, and the process says that it is not ready. Each try takes
// the model anew: a promotion may be what ends the outage. Where the
// configuration says so, an open breaker is no reason to wait: the rows are
// scored from numbers alone, and noted.
func (s *scoring) score(ctx context.Context, rows arrow.Record) (scored arrow.Record, promotion int64, err error) {
	pause := backoff.NewExponentialBackOff()
	pause.MaxInterval = maxRetryInterval
	scored, err = backoff.Retry(ctx, func() (arrow.Record, error) {
		model := s.models.take()
		defer s.models.give(model)
		promotion = model.promotion
		out, err := model.Score(ctx, rows)
		s.health.Set("encoder", err)
		if err != nil && s.low.again {
			return nil, backoff.Permanent(fmt.Errorf("%w: %w", errStillDown, err))
		}
		if errors.Is(err, embed.ErrOpen) && s.low.allowed {
			return s.numbersOnly(ctx, model, rows)
		}
		if err != nil && !errors.Is(err, embed.ErrOpen) {
			s.log.Warn("scoring failed, trying again", "rows", rows.NumRows(), "error", err)
		}
		if err != nil && failpoint.Due("scorer.drop_failed") {
			return nil, backoff.Permanent(errDropped)
		}
		return out, err
	}, backoff.WithBackOff(pause), backoff.WithMaxElapsedTime(0))
	if err != nil {
		return nil, 0, fmt.Errorf("scoring: %w", err)
	}
	return scored, promotion, nil
}

// numbersOnly scores rows without the encoder.
func (s *scoring) numbersOnly(ctx context.Context, model *working, rows arrow.Record) (arrow.Record, error) {
	out, err := model.ScoreNumeric(ctx, rows)
	if err != nil {
		return nil, err
	}
	s.metrics.degraded.Add(float64(rows.NumRows()))
	if s.low.note(s.at, model.promotion) {
		s.log.Warn("the encoder is down, rows are scored from numbers alone", "offset", s.at)
	}
	return out, nil
}

// pace finds how many rows take about batchTarget.
type pace struct{ rows, promotion int64 }

// next is the size of a batch for the model of a promotion.
func (p *pace) next(promotion, most int64) int64 {
	if p.rows == 0 || p.promotion != promotion {
		p.rows, p.promotion = min(fewRows, most), promotion
	}
	return p.rows
}

// took learns from how long a batch took.
func (p *pace) took(d time.Duration, most int64) {
	switch {
	case d > batchTarget:
		p.rows = max(p.rows/2, fewRows/4)
	case d < batchTarget/3:
		p.rows = min(p.rows*2, most)
	}
}

// newest keeps of each user the row with the largest version among all messages,
// and joins what is left into few messages.
func (s *scoring) newest(msgs []message) []message {
	best := map[string]int64{}
	for _, m := range msgs {
		ids, versions := idsAndVersions(m.rows)
		for i := range versions {
			if v, ok := best[ids.Value(i)]; !ok || versions[i] >= v {
				best[ids.Value(i)] = versions[i]
			}
		}
	}
	var out []message
	for _, m := range msgs {
		ids, versions := idsAndVersions(m.rows)
		for from := 0; from < len(versions); {
			if best[ids.Value(from)] != versions[from] {
				s.metrics.skipped.Inc()
				from++
				continue
			}
			to := from + 1
			for to < len(versions) && best[ids.Value(to)] == versions[to] {
				to++
			}
			part := m
			part.rows = m.rows.NewSlice(int64(from), int64(to))
			out = append(out, part)
			from = to
		}
		m.rows.Release()
	}
	return joinMessages(out)
}

func idsAndVersions(rows arrow.Record) (*array.String, []int64) {
	return rows.Column(schemas.ColUserID).(*array.String), rows.Column(schemas.ColVersion).(*array.Int64).Int64Values()
}

// Flush returns the place up to which all rows are acknowledged, and in its
// metadata from where on they are to be scored again.
func (s *scoring) Flush(ctx context.Context) (stream.Commit, error) {
	err := s.improve(ctx)
	return stream.Commit{Offset: s.next, Metadata: s.low.metadata()}, err
}

// Close gives the partition up.
func (s *scoring) Close() error { return nil }
