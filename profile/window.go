package profile

import (
	"profilestream/schemas"
)

// windowDays are the lengths of the windows in days; 0 for those with smaller tiles.
var windowDays = [schemas.NumWindows]int32{
	schemas.Window7d: 7, schemas.Window30d: 30, schemas.Window90d: 90, schemas.Window365d: 365,
}

// row is the content of one row.
type row struct {
	features    [schemas.NumFeatures]int64 // the bits of a float64 where the type is Ratio
	hasOrder    bool                       // else last_order_at and days_since_last_order are NULL
	hasGap      bool                       // else mean_order_gap_days is NULL
	flags       uint32
	kafkaMillis int64
	recent      []entry
	feedback    entry // no content: NULL
}

func (r *row) window(w int) *measures {
	return (*measures)(r.features[schemas.At(w, 0):])
}

// edges is where the windows of a row begin.
type edges struct {
	day int32 // of as_of
	// First slots of the short windows, counted from the day's start: negative ones lie in the
	// day before. Their end is the day's: a row's as_of is the end of its day or the user's
	// last event, so no event of the day lies beyond it.
	hour, hours24 int
}

func edgesOf(asOf int64) edges {
	day := dayOf(asOf)
	in := asOf - dayStart(day)
	return edges{
		day:     day,
		hour:    int(in/slotMillis) + 1 - slotsHour,
		hours24: (int(in/hourMillis) + 1 - 24) * slotsHour,
	}
}

// from is the first day of a window of whole days.
func (s edges) from(w int) int32 { return s.day + 1 - windowDays[w] }

// compute fills p.row with the user's row as of a time, which is the end of a day or the user's
// last event. Windows are nested, so one pass from the newest to the oldest day fills them all.
func (p *LogPartition) compute(u *user, asOf int64) {
	r := &p.row
	*r = row{}
	s := edgesOf(asOf)
	top := u.open
	for top != nil && top.day > s.day {
		top = top.older
	}
	p.shortWindows(top, s)
	p.dayWindows(u, top, s)
	for set, m := range [numSets]int{schemas.DistinctProducts, schemas.DistinctCategories} {
		n := p.distinct(u, top, s, set)
		for w := range n {
			r.features[schemas.At(w, m)] = n[w]
		}
	}
	p.lifeFeatures(u, top, asOf)
	p.lists(u, top, s)
}

// shortWindows fills the windows of one hour and of 24 hours.
func (p *LogPartition) shortWindows(top *openDay, s edges) {
	hour, hours24 := p.row.window(schemas.Window1h), p.row.window(schemas.Window24h)
	var bits1, bits24 [2]uint64 // active half-hours of the day before and of the day
	d := top
	if d != nil && d.day == s.day {
		d.total.sumInto(hours24)
		bits24[1] = d.bits
		bits1[1] = d.since(s.hour, hour)
		d = d.older
	}
	if d != nil && d.day == s.day-1 && s.hours24 < 0 {
		bits24[0] = d.since(s.hours24+slotsDay, hours24)
		if s.hour < 0 {
			bits1[0] = d.since(s.hour+slotsDay, hour)
		}
	}
	fillActivity(hour, bits1)
	fillActivity(hours24, bits24)
}

func fillActivity(m *measures, b [2]uint64) {
	for _, day := range b {
		if day&halfHourBits != 0 {
			m[schemas.ActiveDays]++
		}
		m[schemas.Sessions] += runs(day)
	}
	m[schemas.Sessions] -= joined(b[0], b[1])
}

// since sums the day's tiles from a slot on and returns their half-hours.
func (d *openDay) since(slot int, m *measures) uint64 {
	var half uint64
	for i := len(d.tiles) - 1; i >= 0 && int(d.tiles[i].slot) >= slot; i-- {
		t := &d.tiles[i]
		t.sumInto(m)
		half |= 1 << (t.slot / slotsHalf)
	}
	return half
}

// dayWindows fills the windows of whole days, and the flags.
func (p *LogPartition) dayWindows(u *user, top *openDay, s edges) {
	r := &p.row
	var sum measures
	w := schemas.Window7d
	start := s.from(w)
	var flags, newer uint64
	newerDay := noDay
	next := func(day int32, bits uint64) bool {
		for day < start {
			*r.window(w) = sum
			if w++; w == schemas.NumWindows {
				return false
			}
			start = s.from(w)
		}
		if w <= schemas.Window30d {
			flags |= bits
		}
		sum[schemas.ActiveDays]++
		sum[schemas.Sessions] += runs(bits)
		if day == newerDay-1 {
			sum[schemas.Sessions] -= joined(bits, newer)
		}
		newerDay, newer = day, bits
		return true
	}
	for d := top; d != nil && !d.folded && w < schemas.NumWindows; d = d.older {
		bits := d.bits
		if d.peak() {
			bits |= dayPeak
		}
		if next(d.day, bits) {
			d.total.sumInto(&sum)
		}
	}
	for i := len(u.base.tiles) - 1; i >= 0 && w < schemas.NumWindows; i-- {
		if t := &u.base.tiles[i]; next(t.day, t.bits) {
			t.sumInto(&sum)
		}
	}
	for ; w < schemas.NumWindows; w++ {
		*r.window(w) = sum
	}
	if flags&dayHot != 0 {
		r.flags |= schemas.FlagHot
	}
	if flags&dayPeak != 0 && r.window(schemas.Window30d)[schemas.Orders] == 0 {
		r.flags |= schemas.FlagBot
	}
}
