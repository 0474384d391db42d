package stage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/apache/arrow/go/v17/arrow/memory"

	"profilestream/stream"
	"profilestream/stream/wire"
)

// againBytes is how much is read again at a time: what comes in waits for no
// more than the rows in it.
const againBytes = 256 << 10

// degraded keeps where the rows of a partition begin that were scored from
// numbers alone. The place travels in the commit's metadata, so that whoever
// owns the partition when the encoder works again reads from there, and scores
// the rows anew. A row that was scored in full has the larger version.
type degraded struct {
	allowed   bool      // model.degraded
	from      int64     // offset of the first message of such rows, -1: there are none
	promotion int64     // largest that scored any of them
	again     bool      // scoring them anew, for which numbers alone will not do
	notBefore time.Time // of the next try
	fetch     func(ctx context.Context, from int64) (*wire.Records, error)
}

// newDegraded takes over what the metadata of the committed offset says.
func newDegraded(c *wire.Client, a stream.Assignment, allowed bool) (degraded, error) {
	d := degraded{allowed: allowed, from: -1}
	d.fetch = func(ctx context.Context, from int64) (*wire.Records, error) {
		return c.NewFetcher(a.Topic, a.Partition, from, wire.FetchConfig{MaxBytes: againBytes, TopicID: a.TopicID}).Fetch(ctx)
	}
	if a.Metadata == "" {
		return d, nil
	}
	if _, err := fmt.Sscanf(a.Metadata, "v1 degraded=%d promotion=%d", &d.from, &d.promotion); err != nil || d.from < 0 {
		return d, fmt.Errorf("metadata of the committed offset of %v is not ours: %q", a.TP(), a.Metadata)
	}
	return d, nil
}

func (d *degraded) metadata() string {
	if d.from < 0 {
		return ""
	}
	return fmt.Sprintf("v1 degraded=%d promotion=%d", d.from, d.promotion)
}

// note notes that rows of the message at an offset were scored from numbers
// alone, and whether they are the first.
func (d *degraded) note(offset, promotion int64) (first bool) {
	first = d.from < 0
	if first {
		d.from, d.promotion = offset, promotion
	}
	d.promotion = max(d.promotion, promotion)
	return first
}

// errStillDown: the encoder does not work yet.
var errStillDown = errors.New("the encoder is still down")

// improve scores some of the rows anew that were scored from numbers alone, if
// there are any and the encoder works. It gives up when the owner is to stop.
func (s *scoring) improve(ctx context.Context) error {
	d := &s.low
	if d.from < 0 || s.now().Before(d.notBefore) {
		return nil
	}
	select {
	case <-s.stopping:
		return nil
	default:
	}
	scoring, cancel := s.untilStopped(ctx)
	defer cancel()
	next, err := s.scoreAgain(scoring, ctx)
	var lost *wire.OffsetOutOfRangeError
	switch {
	case err == nil:
	case errors.Is(err, errStillDown):
		s.out.discard()
		d.notBefore = s.now().Add(maxRetryInterval / 2)
		return nil
	case errors.As(err, &lost) && lost.Offset < lost.Start:
		s.log.Warn("rows scored from numbers alone are not in their topic any more and stay as they are", "offset", d.from, "begins", lost.Start)
		next = lost.Start
	case scoring.Err() != nil && ctx.Err() == nil:
		s.out.discard()
		return nil
	default:
		return fmt.Errorf("scoring rows again from offset %d: %w", d.from, err)
	}
	if d.from = next; next >= s.next {
		d.from = -1
		s.log.Info("no row is left that was scored from numbers alone", "offset", s.next)
	}
	return nil
}

// scoreAgain reads once from where such rows begin and scores what it has read.
// It returns the offset behind that.
func (s *scoring) scoreAgain(ctx, sending context.Context) (next int64, err error) {
	d := &s.low
	if d.from >= s.next {
		return s.next, nil
	}
	rs, err := d.fetch(ctx, d.from)
	if err != nil {
		return 0, err
	}
	defer rs.Release()
	var msgs []message
	defer func() {
		for _, m := range msgs {
			m.rows.Release()
		}
	}()
	for r := rs.Next(); r != nil && r.Offset < s.next; r = rs.Next() {
		m, err := decodeMessage(r, memory.DefaultAllocator)
		if err != nil {
			return 0, fmt.Errorf("%s[%d]@%d: %w", rs.Topic, rs.Partition, r.Offset, err)
		}
		m.promotion = max(m.promotion, d.promotion) // an older model's row would not win
		msgs = append(msgs, m)
	}
	if err := rs.Err(); err != nil {
		return 0, err
	}
	if s.live {
		msgs = s.newest(msgs)
	}
	d.again, s.sent = true, s.now()
	defer func() { d.again = false }()
	for _, m := range msgs {
		if err := s.message(ctx, sending, m); err != nil {
			return 0, err
		}
	}
	return min(rs.To, s.next), s.out.flush(sending)
}

// Drained says that no row is left that was scored from numbers alone.
func (s *scoring) Drained() bool { return s.low.from < 0 }
