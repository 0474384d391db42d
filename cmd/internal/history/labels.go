package history

import (
	"cmp"
	"slices"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"profilestream/inference/train"
	"profilestream/profile"
	"profilestream/schemas"
)

// Labels is what the horizon after a row's time brought its user, row by row
// through all records, and what the user had bought before it.
type Labels struct {
	Churn    []bool    // no purchase
	Spend    []float64 // purchases less refunds, in the currency
	Category []string  // of the first purchase; "" if none
	// Returns says whether a purchase came within some days; only spans that the
	// horizon covers are there.
	Returns []train.Return
	// Bought counts the purchases before the row by category, most first, equal
	// counts by name: what a table of orders alone would tell of the next.
	Bought [][]train.Count
}

// returnDays are the spans of Labels.Returns.
var returnDays = []int{7, 30}

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
			k := dedup{e.user, e.id, e.millis / dayMillis}
			if seen[k] {
				continue
			}
			seen[k] = true
		}
		byUser[e.user] = append(byUser[e.user], i)
	}
	var l Labels
	for _, d := range returnDays {
		if time.Duration(d)*24*time.Hour <= horizon {
			l.Returns = append(l.Returns, train.Return{Days: d})
		}
	}
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
	next, micros, category := int64(-1), int64(0), ""
	bought := map[string]int{}
	for _, i := range events {
		e := &h.events[i]
		if e.millis <= asOf && e.kind == profile.TypePurchase && e.category != "" {
			bought[e.category]++
		}
		if e.millis <= asOf || e.millis > asOf+horizon {
			continue
		}
		micros += e.micros
		if e.kind == profile.TypePurchase {
			if next < 0 {
				next = e.millis - asOf
			}
			if category == "" {
				category = e.category
			}
		}
	}
	l.Churn = append(l.Churn, next < 0)
	l.Spend = append(l.Spend, float64(micros)/1e6)
	l.Category = append(l.Category, category)
	for k := range l.Returns {
		r := &l.Returns[k]
		r.Came = append(r.Came, next >= 0 && next <= int64(r.Days)*dayMillis)
	}
	var counts []train.Count
	for c, n := range bought {
		counts = append(counts, train.Count{Category: c, N: n})
	}
	slices.SortFunc(counts, func(a, b train.Count) int { return cmp.Or(b.N-a.N, cmp.Compare(a.Category, b.Category)) })
	l.Bought = append(l.Bought, counts)
}
