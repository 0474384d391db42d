package profile

import (
	"math"
	"math/bits"
	"slices"

	"profilestream/schemas"
)

// complete is the limit of a set that lacks no hash.
const complete uint64 = math.MaxUint64

// windowCounts is one number a window.
type windowCounts = [schemas.NumWindows]int64

// distinct counts the distinct values of one set in every window.
func (p *LogPartition) distinct(u *user, top *openDay, s edges, set int) windowCounts {
	var out windowCounts
	if !p.exact(u, top, s, set) {
		for w := range out {
			out[w] = p.estimate(u, top, s, set, w)
		}
		return out
	}
	p.shortDistinct(&out, top, s, set)
	p.dayDistinct(&out, u, top, s, set)
	return out
}

// exact says whether all days of all windows hold all their hashes.
func (p *LogPartition) exact(u *user, top *openDay, s edges, set int) bool {
	for d := top; d != nil && (!d.folded || d.day >= s.day-1); d = d.older {
		if len(d.sets[set].keys) > sketchSize {
			return false
		}
	}
	for i := range u.base.limits {
		if l := &u.base.limits[i]; l.day >= s.from(schemas.Window365d) && l.limit[set] != 0 {
			return false
		}
	}
	return true
}

// shortDistinct counts the windows of one hour and of 24 hours.
func (p *LogPartition) shortDistinct(out *windowCounts, top *openDay, s edges, set int) {
	d := top
	var today []uint64
	if d != nil && d.day == s.day {
		k := &d.sets[set]
		today = k.keys
		out[schemas.Window24h] = int64(len(today))
		for _, slot := range k.slots {
			if int(slot) >= s.hour {
				out[schemas.Window1h]++
			}
		}
		d = d.older
	}
	if d == nil || d.day != s.day-1 || s.hours24 >= 0 {
		return
	}
	p.scratch.reset(len(today))
	for _, h := range today {
		p.scratch.insert(h)
	}
	k := &d.sets[set]
	for i, slot := range k.slots {
		if int(slot) < s.hours24+slotsDay || p.scratch.has(k.keys[i]) {
			continue
		}
		out[schemas.Window24h]++
		if int(slot) >= s.hour+slotsDay {
			out[schemas.Window1h]++
		}
	}
}

// dayDistinct counts the windows of whole days. The base's hashes each stand under one day only,
// so those that no other day has are counted by their tiles.
func (p *LogPartition) dayDistinct(out *windowCounts, u *user, top *openDay, s edges, set int) {
	w, n := schemas.Window7d, int64(0)
	start := s.from(w)
	next := func(day int32) bool {
		for day < start {
			out[w] = n
			if w++; w == schemas.NumWindows {
				return false
			}
			start = s.from(w)
		}
		return true
	}
	open := 0
	for d := top; d != nil && !d.folded; d = d.older {
		open += len(d.sets[set].keys)
	}
	union := open > 0
	if union {
		p.scratch.reset(open)
	}
	for d := top; d != nil && !d.folded && next(d.day); d = d.older {
		for _, h := range d.sets[set].keys {
			if p.scratch.insert(h) {
				n++
			}
		}
	}
	hashes := u.base.hashes[set]
	for i := len(u.base.tiles) - 1; i >= 0 && w < schemas.NumWindows; i-- {
		t := &u.base.tiles[i]
		if !next(t.day) {
			break
		}
		from := len(hashes) - int(t.distinct[set])
		n += int64(len(hashes) - from)
		if union {
			for _, h := range hashes[from:] {
				if p.scratch.has(h) {
					n--
				}
			}
		}
		hashes = hashes[:from]
	}
	for ; w < schemas.NumWindows; w++ {
		out[w] = n
	}
}

// estimate counts one window's distinct values where a day of it may have more than a sketch
// keeps: the hashes below the smallest limit are all there, and their share of the hash space is
// known. The limit is a function of the days' values, so is the estimate.
func (p *LogPartition) estimate(u *user, top *openDay, s edges, set, w int) int64 {
	parts := p.openParts(top, s, set, w)
	limit, size := complete, 0
	for _, k := range parts {
		limit = min(limit, p.limitSince(k.sketch, k.slot))
		size += len(k.sketch.keys)
	}
	base := &u.base
	first := len(base.tiles)
	at := len(base.hashes[set])
	if windowDays[w] > 0 {
		for first > 0 && base.tiles[first-1].day >= s.from(w) {
			first--
			at -= int(base.tiles[first].distinct[set])
		}
		for i := range base.limits {
			if l := &base.limits[i]; l.day >= s.from(w) && l.limit[set] != 0 {
				limit = min(limit, l.limit[set])
			}
		}
	}
	p.scratch.reset(size + len(base.hashes[set]) - at)
	n := uint64(0)
	count := func(h uint64) {
		if (h < limit || limit == complete) && p.scratch.insert(h) {
			n++
		}
	}
	for _, k := range parts {
		for i, h := range k.sketch.keys {
			if int(k.sketch.slots[i]) >= k.slot {
				count(h)
			}
		}
	}
	for _, h := range base.hashes[set][at:] {
		count(h)
	}
	if limit == complete || n >= limit {
		return int64(n)
	}
	estimate, _ := bits.Div64(n, 0, limit)
	return int64(estimate)
}

// part is the end of an open day, from a slot on.
type part struct {
	sketch *sketch
	slot   int
}

// openParts lists what of the open days lies in a window, and not in the base.
func (p *LogPartition) openParts(top *openDay, s edges, set, w int) []part {
	var parts []part
	for d := top; d != nil; d = d.older {
		slot := 0
		switch w {
		case schemas.Window1h, schemas.Window24h: // folded or not: the base has no such tiles
			slot = s.hour
			if w == schemas.Window24h {
				slot = s.hours24
			}
			slot += int(s.day-d.day) * slotsDay
		default:
			if d.folded || d.day < s.from(w) {
				slot = slotsDay
			}
		}
		if slot < slotsDay {
			parts = append(parts, part{&d.sets[set], slot})
		}
	}
	return parts
}

// limitSince is the hash from which on a sketch may lack values of its end from a slot on.
func (p *LogPartition) limitSince(k *sketch, slot int) uint64 {
	hashes := p.hashes[:0]
	for i, h := range k.keys {
		if int(k.slots[i]) >= slot {
			hashes = append(hashes, h)
		}
	}
	p.hashes = hashes
	if len(hashes) <= sketchSize {
		return complete
	}
	slices.Sort(hashes)
	return hashes[sketchSize]
}
