package history

import (
	"context"
	"fmt"
	"math"
	"slices"

	"profilestream/inference/explain"
	"profilestream/profile"
)

// variant is the customer's events with a change, under an id of its own, so
// that many are replayed side by side.
type variant struct {
	id      string
	without map[int]bool // places in User.log
	add     []step
}

// step is one event of a replay: a log record, with what an addition says
// otherwise.
type step struct {
	millis int64
	hot    bool
	value  []byte // nil: a bare event of the type
	kind   profile.Type
	micros int64 // of a purchase, where not negative

	place   int // in User.log; -1 for an addition
	variant int // whose addition it is
}

// addition turns what explain asks for into a step.
func (u *User) addition(a *explain.Addition) (step, error) {
	s := step{millis: a.At.UnixMilli(), micros: -1, place: -1}
	if a.Amount > 0 {
		s.micros = int64(math.Round(a.Amount * 1e6))
	}
	if a.Like != explain.NoEvent {
		s.value = u.log[u.places[a.Like]].value
		return s, nil
	}
	for t := profile.Type(1); t.Valid(); t++ {
		if t.String() == a.Type {
			s.kind = t
			return s, nil
		}
	}
	return s, fmt.Errorf("adding an event: %q is no type", a.Type)
}

// event writes the step into r, as an event at a place of its own.
func (s *step) event(r *profile.Record, offset int64) error {
	if s.value == nil {
		*r = profile.Record{Kind: profile.KindEvent, Event: profile.Event{
			Source: profile.Source{Topic: s.kind.Kind().String()}, Type: s.kind,
			Product: profile.Product{PriceMicros: profile.NoPrice, Quantity: 1},
		}}
	} else if err := profile.DecodeRecord(s.value, r); err != nil {
		return err
	}
	e := &r.Event
	e.Offset, e.TimeMillis = offset, s.millis
	if s.place < 0 {
		e.ID, e.KafkaMillis = nil, s.millis
	}
	if s.micros >= 0 {
		e.AmountMicros = s.micros
	}
	return nil
}

// replay folds the events of all variants into a partition of their own.
func (u *User) replay(ctx context.Context, vs []variant) (*replayer, error) {
	lateness := u.cfg.Profile.Lateness.Milliseconds()
	p, err := profile.NewPartition(profile.Config{LatenessMillis: lateness, MaxEventsUserDay: u.cfg.Profile.MaxEventsUserDay, ConfigVersion: u.cfg.Version()})
	if err != nil {
		return nil, err
	}
	r := &replayer{h: &History{offsets: map[string]int64{profile.Clickstream.String(): 0}}, p: p}
	if err := r.sources(); err != nil {
		return nil, err
	}
	steps := make([]step, 0, len(u.log))
	for i, e := range u.log {
		steps = append(steps, step{millis: e.millis, hot: e.hot, value: e.value, micros: -1, place: i})
	}
	for k := range vs {
		for _, s := range vs[k].add {
			s.variant = k
			steps = append(steps, s)
		}
	}
	slices.SortStableFunc(steps, func(a, b step) int { return inOrder(a.millis, b.millis, a.hot, b.hot) })
	for i := range steps {
		if i%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err := r.step(&steps[i], vs); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// step applies one step for every variant that has it.
func (r *replayer) step(s *step, vs []variant) error {
	for k := range vs {
		if s.place < 0 && s.variant != k || s.place >= 0 && vs[k].without[s.place] {
			continue
		}
		if err := s.event(&r.record, r.offset); err != nil {
			return err
		}
		r.record.Event.User = []byte(vs[k].id)
		if err := r.p.Apply(r.offset, &r.record); err != nil {
			return err
		}
		r.offset++
	}
	return nil
}
