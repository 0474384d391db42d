package profile

import (
	"math"

	"profilestream/schemas"
)

// lifeFeatures fills the whole-life features and the newest Kafka time as of a time: the base
// and the days up to top that are not folded into it.
func (p *LogPartition) lifeFeatures(u *user, top *openDay, asOf int64) {
	r, b := &p.row, &u.base
	first, last := b.first, b.last
	firstOrder, lastOrder := b.firstOrder, b.lastOrder
	events, orders, revenue := b.events, b.orders, b.revenue
	r.kafkaMillis = b.kafkaMillis
	// Open days go from new to old and are all newer than the base.
	hadEvents, hadOrders := events > 0, orders > 0
	newest, newestOrder := true, true
	for d := top; d != nil && !d.folded; d = d.older {
		start := dayStart(d.day)
		if newest {
			last, newest = start+int64(d.last), false
		}
		if !hadEvents {
			first = start + int64(d.first)
		}
		if d.total.orders > 0 {
			if newestOrder {
				lastOrder, newestOrder = start+int64(d.lastOrder), false
			}
			if !hadOrders {
				firstOrder = start + int64(d.firstOrder)
			}
		}
		events += int64(d.total.events)
		orders += int64(d.total.orders)
		revenue += d.total.revenue
		r.kafkaMillis = max(r.kafkaMillis, d.kafkaMillis)
	}
	f := (*[schemas.NumLife]int64)(r.features[schemas.NumWindowFeatures:])
	f[schemas.FirstSeen], f[schemas.LastSeen] = first, last
	f[schemas.OrdersTotal], f[schemas.RevenueTotal], f[schemas.EventsTotal] = orders, revenue, events
	f[schemas.DaysSinceLastEvent] = (asOf - last) / dayMillis
	if r.hasOrder = orders > 0; r.hasOrder {
		f[schemas.LastOrderAt] = lastOrder
		f[schemas.DaysSinceLastOrder] = (asOf - lastOrder) / dayMillis
	}
	if r.hasGap = orders > 1; r.hasGap {
		gap := float64(lastOrder-firstOrder) / float64(orders-1) / dayMillis
		f[schemas.MeanOrderGapDays] = int64(math.Float64bits(gap))
	}
}

// lists fills the newest-K lists, of what lies in the longest window, and the newest feedback
// of the whole life.
func (p *LogPartition) lists(u *user, top *openDay, s edges) {
	r := &p.row
	list := u.base.recent
	r.feedback = u.base.feedback
	for d := top; d != nil && !d.folded; d = d.older {
		r.feedback = newerFeedback(r.feedback, d.feedback)
		if len(d.recent) > 0 {
			p.mergedTo = mergeRecent(p.mergedTo[:0], list, d.recent)
			list = p.mergedTo
			p.merged, p.mergedTo = p.mergedTo, p.merged
		}
	}
	r.recent = list
	from := s.from(schemas.Window365d)
	for i := range list {
		if dayOf(list[i].atMillis()) < from {
			r.recent = p.within(list, from)
			return
		}
	}
}

// within copies the entries at or after a day.
func (p *LogPartition) within(list []entry, from int32) []entry {
	kept := p.mergedTo[:0]
	for _, e := range list {
		if dayOf(e.atMillis()) >= from {
			kept = append(kept, e)
		}
	}
	p.mergedTo = kept
	return kept
}
