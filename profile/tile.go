package profile

import (
	"math/bits"

	"profilestream/schemas"
)

// Lengths of the tiles, in ms or in tiles of a day. All days are UTC.
const (
	dayMillis   = 86_400_000
	hourMillis  = 3_600_000
	slotMillis  = 300_000 // a five-minute tile, "slot"
	slotsDay    = dayMillis / slotMillis
	slotsHour   = hourMillis / slotMillis
	slotsHalf   = slotsHour / 2
	lastHalf    = 47 // the last half-hour of a day
	botSlotPeak = 100
)

// noDay stands for "no such day"; it is later than every day, so that a minimum works.
const noDay int32 = 1<<31 - 1

func dayOf(millis int64) int32 { return int32(floorDiv(millis, dayMillis)) }
func dayStart(day int32) int64 { return int64(day) * dayMillis }
func dayEnd(day int32) int64   { return dayStart(day) + dayMillis - 1 }

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// counts are the sums of a tile. 32 bits suffice for what the cap of events a user and day lets
// in. Items and revenue (millionths) are sums that wrap: they are exact while a user's sum stays
// below 2^63, that is 9.2e12 units of currency, and commute always.
type counts struct {
	pageViews, productViews, searches, cartAdds uint32
	adClicks, refunds, orders, events           uint32
	items, revenue                              int64
}

func (c *counts) addEvent(e *Event) {
	c.events++
	switch e.Type {
	case TypePageView:
		c.pageViews++
	case TypeProductView:
		c.pageViews++
		c.productViews++
	case TypeSearch:
		c.searches++
	case TypeAddToCart:
		c.cartAdds++
	case TypeAdClick:
		c.adClicks++
	case TypePurchase:
		c.orders++
		c.items += e.Quantity
		c.revenue += e.AmountMicros
	case TypeRefund:
		c.refunds++
		c.revenue -= e.AmountMicros
	}
}

func (c *counts) add(o *counts) {
	c.pageViews += o.pageViews
	c.productViews += o.productViews
	c.searches += o.searches
	c.cartAdds += o.cartAdds
	c.adClicks += o.adClicks
	c.refunds += o.refunds
	c.orders += o.orders
	c.events += o.events
	c.items += o.items
	c.revenue += o.revenue
}

// measures are the sums of a window in column order.
type measures = [schemas.NumMeasures]int64

func (c *counts) sumInto(m *measures) {
	m[schemas.PageViews] += int64(c.pageViews)
	m[schemas.ProductViews] += int64(c.productViews)
	m[schemas.Searches] += int64(c.searches)
	m[schemas.CartAdds] += int64(c.cartAdds)
	m[schemas.AdClicks] += int64(c.adClicks)
	m[schemas.Refunds] += int64(c.refunds)
	m[schemas.Orders] += int64(c.orders)
	m[schemas.Items] += c.items
	m[schemas.Revenue] += c.revenue
}

// slotTile is the five-minute tile of an open day.
type slotTile struct {
	counts
	slot uint16
}

// Flags of a day, above the 48 bits of its half-hours.
const (
	halfHourBits uint64 = 1<<48 - 1
	dayPeak      uint64 = 1 << 62 // a five-minute tile of the day holds botSlotPeak events
	dayHot       uint64 = 1 << 63 // events of the day were over the cap
)

// dayTile is the tile of a closed day: one cache line.
type dayTile struct {
	counts
	// bits holds the day's active half-hours, and its flags.
	bits uint64
	day  int32
	// distinct counts the hashes of each set that were last seen on this day.
	distinct [numSets]uint16
}

// runs counts the maximal runs of set half-hours of one day.
func runs(day uint64) int64 {
	m := day & halfHourBits
	return int64(bits.OnesCount64(m &^ (m << 1)))
}

// joined says (1 or 0) whether a run goes on from one day into the next.
func joined(older, newer uint64) int64 {
	return int64(older >> lastHalf & newer & 1)
}
