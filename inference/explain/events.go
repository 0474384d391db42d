package explain

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"profilestream/inference/score"
)

// search scores changed histories of one customer.
type search struct {
	s      *score.Scorer
	h      History
	o      Options
	events []Event
	now    outcome
	asOf   time.Time

	gapDays, meanOrder, activeGap float64 // see rhythm
	last                          int     // position of the last purchase, NoEvent if none
}

// Sizes of the search.
const (
	batch     = 64         // changed histories that are replayed together, at most
	maxHeld   = 2_000_000  // events held by them together, unless one has more
	maxApply  = 20_000_000 // events applied in all, over the changed histories
	maxEvents = 3          // that are named
	minEffect = 1e-3       // of an event that is named, in log-odds
)

// scores scores changed histories; nil where a change leaves no customer. step is
// told how many are done.
func (t *search) scores(ctx context.Context, changes []Change, step func(done int)) ([]*outcome, error) {
	out := make([]*outcome, 0, len(changes))
	batch := max(1, min(batch, maxHeld/max(1, len(t.events))))
	for len(out) < len(changes) {
		step(len(out))
		some := changes[len(out):min(len(out)+batch, len(changes))]
		rows, at, err := t.h.Changed(ctx, some)
		if err != nil {
			return nil, err
		}
		scored, err := t.s.Score(ctx, rows)
		rows.Release()
		if err != nil {
			return nil, err
		}
		all := outcomes(scored)
		scored.Release()
		for _, i := range at {
			if i < 0 {
				out = append(out, nil)
			} else {
				out = append(out, &all[i])
			}
		}
	}
	step(len(out))
	return out, nil
}

// Attribution is what single events did.
type Attribution struct {
	Total int           `json:"total"` // events up to the row's time
	Tried int           `json:"tried"` // that were left out in turn
	Top   []EventEffect `json:"top"`   // largest effect on churn first
}

// EventEffect is the score with an event less the score without it.
type EventEffect struct {
	Event
	// Churn is the effect on the log-odds of churn, Value on the expected value.
	Churn float64 `json:"churn"`
	Value float64 `json:"value"`
	// Without it the score is:
	ChurnWithout float64 `json:"churn_probability_without"`
	BandWithout  string  `json:"churn_band_without"`
	// Only marks the only event: without it there would be no profile, and the
	// effects are 0.
	Only bool `json:"only,omitempty"`
}

// attribute leaves out one event after the other.
func (t *search) attribute(ctx context.Context) (Attribution, error) {
	tried := t.candidates()
	a := Attribution{Total: len(t.events), Tried: len(tried), Top: []EventEffect{}}
	changes := make([]Change, len(tried))
	for k, i := range tried {
		changes[k].Without = []int{i}
	}
	scores, err := t.scores(ctx, changes, func(done int) { t.o.Progress("leaving out events", done, len(changes)) })
	if err != nil {
		return a, err
	}
	for k, o := range scores {
		e := EventEffect{Event: t.events[tried[k]]}
		if o == nil {
			e.Only = true
		} else {
			e.Churn, e.Value = t.now.logOdds()-o.logOdds(), t.now.value-o.value
			e.ChurnWithout, e.BandWithout = o.churn, o.band
			if math.Abs(e.Churn) < minEffect {
				continue
			}
		}
		a.Top = append(a.Top, e)
	}
	slices.SortStableFunc(a.Top, func(x, y EventEffect) int {
		if c := cmp.Compare(math.Abs(y.Churn), math.Abs(x.Churn)); c != 0 {
			return c
		}
		return y.At.Compare(x.At)
	})
	a.Top = a.Top[:min(maxEvents, len(a.Top))]
	return a, nil
}

// candidates are the newest events of any type, and of the rest the newest
// purchases, refunds and feedbacks, newest first.
func (t *search) candidates() []int {
	limit := min(t.o.Events, max(10, maxApply/max(1, len(t.events))))
	var out, rest []int
	for i := len(t.events) - 1; i >= 0; i-- {
		switch e := &t.events[i]; {
		case len(out) < (limit+1)/2 || len(t.events) <= limit:
			out = append(out, i)
		case e.Type == purchase || e.Type == refund || e.Type == feedback:
			rest = append(rest, i)
		}
	}
	return append(out, rest[:min(len(rest), limit-min(limit, len(out)))]...)
}
