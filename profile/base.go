package profile

import "slices"

// keptDays is how far back closed days keep a tile. The longest window reaches 364 days back
// from a row's day, and a silent user's row may be up to 7 days behind W.
const keptDays = 372

// base is everything in closed days.
type base struct {
	first, last           int64 // ms; valid if events > 0
	firstOrder, lastOrder int64 // ms; valid if orders > 0
	orders, events        int64
	revenue               int64
	kafkaMillis           int64

	tiles []dayTile // ascending
	// hashes of each set, each under the newest day that saw it, in the order of the tiles: the
	// distinct count of any window that ends at or after the newest tile is a sum of tile counts.
	hashes [numSets][]uint64
	// limits of the days with more than sketchSize distinct values.
	limits   []dayLimit
	recent   []entry
	feedback entry
}

// dayLimit says from which hash on a closed day's sets are not complete; 0 means complete.
type dayLimit struct {
	day   int32
	limit [numSets]uint64
}

// fold closes the user's oldest open day: d becomes a tile.
func (p *LogPartition) fold(u *user, d *openDay) {
	b := &u.base
	start := dayStart(d.day)
	if n := int64(d.total.events); n > 0 {
		if b.events == 0 {
			b.first = start + int64(d.first)
		}
		b.last = start + int64(d.last)
		b.events += n
	}
	if n := int64(d.total.orders); n > 0 {
		if b.orders == 0 {
			b.firstOrder = start + int64(d.firstOrder)
		}
		b.lastOrder = start + int64(d.lastOrder)
		b.orders += n
	}
	b.revenue += d.total.revenue
	b.kafkaMillis = max(b.kafkaMillis, d.kafkaMillis)

	t := dayTile{counts: d.total, bits: d.bits, day: d.day}
	if d.peak() {
		t.bits |= dayPeak
	}
	limits := dayLimit{day: d.day}
	for s := range d.sets {
		t.distinct[s], limits.limit[s] = p.foldSet(b, s, &d.sets[s])
	}
	if limits.limit != [numSets]uint64{} {
		b.limits = append(b.limits, limits)
	}
	b.tiles = append(grown(b.tiles, 1), t)
	p.merged = mergeRecent(p.merged[:0], d.recent, b.recent)
	b.recent = append(grown(b.recent[:0], len(p.merged)), p.merged...)
	b.feedback = newerFeedback(d.feedback, b.feedback)
	b.trim(d.day)
}

// foldSet moves the hashes of a closing day to the end of the base's and returns how many they
// are and from which hash on they are not complete.
func (p *LogPartition) foldSet(b *base, set int, s *sketch) (uint16, uint64) {
	keys := s.keys
	if len(keys) == 0 {
		return 0, 0
	}
	var limit uint64
	if len(keys) > sketchSize {
		keys = slices.Sorted(slices.Values(keys))
		limit = keys[sketchSize]
		keys = keys[:sketchSize]
	}
	sc := &p.scratch
	sc.reset(len(keys))
	for _, h := range keys {
		sc.insert(h)
	}
	kept, at := b.hashes[set][:0], 0
	for i := range b.tiles {
		t := &b.tiles[i]
		n := int(t.distinct[set])
		for _, h := range b.hashes[set][at : at+n] {
			if sc.has(h) {
				t.distinct[set]--
			} else {
				kept = append(kept, h)
			}
		}
		at += n
	}
	b.hashes[set] = append(grown(kept, len(keys)), keys...)
	return uint16(len(keys)), limit
}

// trim drops what no later row can hold, given the last closed day, and says whether it did.
func (b *base) trim(closed int32) bool {
	last := closed - keptDays
	n := 0
	var drop [numSets]int
	for n < len(b.tiles) && b.tiles[n].day <= last {
		for s := range drop {
			drop[s] += int(b.tiles[n].distinct[s])
		}
		n++
	}
	size := len(b.recent)
	b.recent = slices.DeleteFunc(b.recent, func(e entry) bool { return dayOf(e.atMillis()) <= last })
	b.limits = slices.DeleteFunc(b.limits, func(l dayLimit) bool { return l.day <= last })
	if n == 0 {
		return len(b.recent) < size
	}
	b.tiles = dropFront(b.tiles, n)
	for s, k := range drop {
		b.hashes[s] = dropFront(b.hashes[s], k)
	}
	if len(b.recent) == 0 {
		b.recent, b.limits = nil, nil
	}
	return true
}

// dropFront removes the first n elements, and the memory too if nothing is left.
func dropFront[T any](s []T, n int) []T {
	if n == len(s) {
		return nil
	}
	return slices.Delete(s, 0, n)
}

// grown returns s with room for n more, growing by a quarter: users are many and stay long.
func grown[T any](s []T, n int) []T {
	if cap(s)-len(s) >= n {
		return s
	}
	g := make([]T, len(s), len(s)+n+len(s)/4)
	copy(g, s)
	return g
}
