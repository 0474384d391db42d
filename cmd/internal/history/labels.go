package history

import (
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"profilestream/profile"
	"profilestream/schemas"
)

// Labels is what the horizon after a row's time brought its user, row by row
// through all records.
type Labels struct {
	Churn    []bool    // no purchase
	Spend    []float64 // purchases less refunds, in the currency
	Category []string  // of the first purchase; "" if none
}

// Labels looks ahead from each row: events with as_of < ts <= as_of + horizon,
// an identical event id of a user and day once.
func (h *History) Labels(rows []arrow.Record, horizon time.Duration) Labels {
	h.sorted()
	byUser := map[string][]int{}
	seen := map[dedup]bool{}
	for i := range h.events {
		e := &h.events[i]
		if e.kind != profile.TypePurchase && e.kind != profile.TypeRefund {
			continue
		}
		if e.id != "" {
			k := dedup{e.user, e.id, e.millis / (24 * 3600 * 1000)}
			if seen[k] {
				continue
			}
			seen[k] = true
		}
		byUser[e.user] = append(byUser[e.user], i)
	}
	var l Labels
	for _, rec := range rows {
		ids := rec.Column(schemas.ColUserID).(*array.String)
		at := rec.Column(schemas.ColAsOf).(*array.Timestamp).TimestampValues()
		for i := range at {
			h.label(&l, byUser[ids.Value(i)], int64(at[i]), horizon.Milliseconds())
		}
	}
	return l
}

type dedup struct {
	user, id string
	day      int64
}

func (h *History) label(l *Labels, events []int, asOf, horizon int64) {
	churn, micros, category := true, int64(0), ""
	for _, i := range events {
		e := &h.events[i]
		if e.millis <= asOf || e.millis > asOf+horizon {
			continue
		}
		micros += e.micros
		if e.kind == profile.TypePurchase {
			churn = false
			if category == "" {
				category = e.category
			}
		}
	}
	l.Churn = append(l.Churn, churn)
	l.Spend = append(l.Spend, float64(micros)/1e6)
	l.Category = append(l.Category, category)
}
