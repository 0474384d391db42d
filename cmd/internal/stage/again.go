package stage

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"time"

	"profilestream/cmd/internal/config"
	"profilestream/profile"
	"profilestream/stream/clickhouse"
	"profilestream/stream/wire"
)

// Outcome is what would become of a dead letter that is sent again.
type Outcome string

// The outcomes of sending a dead letter again.
const (
	OutcomeAdmitted Outcome = "admitted"
	OutcomeLate     Outcome = "late"     // valid, but its UTC day is closed
	OutcomeRejected Outcome = "rejected" // for the reason that is told
	OutcomeCut      Outcome = "cut"      // the DLQ could not hold all of it
)

// Again judges dead letters by the configuration of now. It is not for
// concurrent use.
type Again struct {
	parser *profile.Parser
	// closed is the last UTC day, in days since 1970, that is closed by what the
	// inputs have told the log.
	closed int64
	event  profile.Event
}

// NewAgain reads how far the run's time has come. Before every input has been
// read nothing is closed.
func NewAgain(ctx context.Context, cfg *config.Config, c *wire.Client) (*Again, error) {
	p, err := profile.NewParser(profile.ParserConfig{
		MaxFutureSkewMillis: cfg.Profile.MaxFutureSkew.Milliseconds(), Currency: cfg.Profile.Currency, Rates: cfg.Profile.Rates,
	})
	if err != nil {
		return nil, &config.Error{Key: "profile", Reason: err.Error()}
	}
	tps, err := c.Partitions(ctx, cfg.Input.Topics...)
	if err != nil {
		return nil, err
	}
	at, err := c.CommittedOffsets(ctx, cfg.Group("admission"), tps)
	if err != nil {
		return nil, err
	}
	w := int64(math.MaxInt64)
	for _, tp := range tps {
		s := source{id: profile.Source{Topic: tp.Topic, Partition: tp.Partition}}
		if text := at[tp].Metadata; text == "" {
			w = 0
		} else if err := s.parse(text); err != nil {
			return nil, err
		}
		w = min(w, s.w)
	}
	const dayMillis = 24 * 3600 * 1000
	return &Again{parser: p, closed: (w+1-cfg.Profile.Lateness.Milliseconds())/dayMillis - 1}, nil
}

// Judge tells what would become of a dead letter, and the value to send.
func (a *Again) Judge(d *clickhouse.Diverted, now time.Time) (value []byte, out Outcome, why profile.Reject) {
	if d.Truncated {
		return nil, OutcomeCut, why
	}
	kind, ok := profile.KindOfTopic(d.SourceTopic)
	if !ok {
		return nil, OutcomeRejected, profile.Reject{Reason: "not an input topic", Field: d.SourceTopic}
	}
	if reject := a.parser.Parse(d.Value, kind, now.UnixMilli(), &a.event); reject != nil {
		return nil, OutcomeRejected, *reject
	}
	const dayMillis = 24 * 3600 * 1000
	if a.event.TimeMillis/dayMillis <= a.closed {
		return nil, OutcomeLate, why
	}
	return named(d, len(a.event.ID) > 0), OutcomeAdmitted, why
}

// named gives an event without an id the one of its first place: sent twice, it
// is then a duplicate like any other. Of a name given twice the last counts.
func named(d *clickhouse.Diverted, has bool) []byte {
	if has {
		return d.Value
	}
	end := bytes.LastIndexByte(d.Value, '}')
	id := fmt.Sprintf("%s/%d/%d", d.SourceTopic, d.SourcePartition, d.SourceOffset)
	if d.SourceEpoch > 0 {
		id += fmt.Sprintf("/%d", d.SourceEpoch)
	}
	return fmt.Appendf(bytes.Clone(d.Value[:end]), `,"event_id":%q}%s`, id, d.Value[end+1:])
}
