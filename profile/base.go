package profile

import "slices"

// keptDays is how far back closed days keep a tile. The longest window reaches 364 days back
// from a row's day, and a silent user's row may be up to 7 days behind W.
const keptDays = 372

// life is what a user did up to some day.
type life struct {
	first, last           int64 // ms; valid if events > 0
	firstOrder, lastOrder int64 // ms; valid if orders > 0
	orders, events        int64
	revenue               int64 // millionths
	kafkaMillis           int64
}

// add adds a day that is newer than all before.
func (l *life) add(d *openDay) {
	start := dayStart(d.day)
	if l.events == 0 {
		l.first = start + int64(d.first)
	}
	l.last = start + int64(d.last)
	l.events += int64(d.total.events)
	if d.total.orders > 0 {
		if l.orders == 0 {
			l.firstOrder = start + int64(d.firstOrder)
		}
		l.lastOrder = start + int64(d.lastOrder)
		l.orders += int64(d.total.orders)
	}
	l.revenue += d.total.revenue
	l.kafkaMillis = max(l.kafkaMillis, d.kafkaMillis)
}

// summary is the part of a user's past that cannot be taken back day by day.
type summary struct {
	life
	recent   []entry
	feedback entry
}

// base is everything in closed days and, ahead of their closing, in the open days that are
// folded: those whose rows went out. An event on one of these unfolds it first. So a row reads
// the base and at most the days in progress, however long lateness is.
type base struct {
	summary
	closed summary // of the closed days alone

	tiles []dayTile // ascending
	// hashes of each set, each under the newest day that saw it, in the order of the tiles: the
	// distinct count of any window that ends at or after the newest tile is a sum of tile counts.
	hashes [numSets][]uint64
	// limits of the days with more than sketchSize distinct values.
	limits []dayLimit
}

// dayLimit says from which hash on a day's sets are not complete; 0 means complete.
type dayLimit struct {
	day   int32
	limit [numSets]uint64
}

// movedHash is a hash that folding took from the tile of an older day.
type movedHash struct {
	hash uint64
	day  int32
	set  uint8
}

// foldThrough folds the open days up to the given one that are not folded yet.
func (p *LogPartition) foldThrough(u *user, day int32) { p.foldOlder(u, u.open, day) }

func (p *LogPartition) foldOlder(u *user, d *openDay, day int32) {
	if d == nil || d.folded {
		return
	}
	p.foldOlder(u, d.older, day)
	if d.day <= day {
		p.fold(u, d)
	}
}

// fold makes a tile of an open day; all older ones must be folded.
func (p *LogPartition) fold(u *user, d *openDay) {
	b := &u.base
	t := dayTile{counts: d.total, bits: d.bits, day: d.day}
	if d.peak() {
		t.bits |= dayPeak
	}
	d.moved = d.moved[:0]
	limits := dayLimit{day: d.day}
	for s := range d.sets {
		t.distinct[s], limits.limit[s] = p.foldSet(b, s, d)
	}
	if limits.limit != [numSets]uint64{} {
		b.limits = append(b.limits, limits)
	}
	b.tiles = append(grown(b.tiles, 1), t)
	p.addSummary(b, d)
	d.folded = true
}

func (p *LogPartition) addSummary(b *base, d *openDay) {
	b.life.add(d)
	b.feedback = newerFeedback(d.feedback, b.feedback)
	if len(d.recent) > 0 {
		p.merged = mergeRecent(p.merged[:0], d.recent, b.recent)
		b.recent = replaced(b.recent, p.merged, b.closed.recent)
	}
}

// replaced returns list with the content of with, in its own memory unless keep lives there.
func replaced(list, with, keep []entry) []entry {
	if cap(list) < len(with) || len(keep) > 0 && &list[:1][0] == &keep[0] {
		return append(make([]entry, 0, len(with)), with...)
	}
	return append(list[:0], with...)
}

// foldSet moves the hashes of a day to the end of the base's and returns how many they are and
// from which hash on they are not complete.
func (p *LogPartition) foldSet(b *base, set int, d *openDay) (uint16, uint64) {
	keys := d.sets[set].keys
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
				d.moved = append(d.moved, movedHash{h, t.day, uint8(set)})
			} else {
				kept = append(kept, h)
			}
		}
		at += n
	}
	b.hashes[set] = append(grown(kept, len(keys)), keys...)
	return uint16(len(keys)), limit
}

// unfoldFrom takes the folded open days from the given one on out of the base again.
func (p *LogPartition) unfoldFrom(u *user, day int32) {
	any := false
	for d := u.open; d != nil && d.day >= day; d = d.older {
		if d.folded {
			u.base.unfold(d)
			any = true
		}
	}
	if any {
		u.base.summary = u.base.closed
		p.addFolded(&u.base, u.open)
	}
}

// addFolded adds the summaries of the folded ones of a list of days, oldest first.
func (p *LogPartition) addFolded(b *base, d *openDay) {
	if d != nil {
		p.addFolded(b, d.older)
		if d.folded {
			p.addSummary(b, d)
		}
	}
}

// unfold takes the newest folded day out, all but its summary.
func (b *base) unfold(d *openDay) {
	last := len(b.tiles) - 1
	for s, n := range b.tiles[last].distinct {
		b.hashes[s] = b.hashes[s][:len(b.hashes[s])-int(n)]
	}
	b.tiles = b.tiles[:last]
	if n := len(b.limits); n > 0 && b.limits[n-1].day == d.day {
		b.limits = b.limits[:n-1]
	}
	for _, m := range d.moved {
		b.putBack(m)
	}
	d.moved, d.folded = d.moved[:0], false
}

// putBack puts a hash under the tile that it was taken from, if that is still kept.
func (b *base) putBack(m movedHash) {
	at := 0
	for i := range b.tiles {
		t := &b.tiles[i]
		at += int(t.distinct[m.set])
		if t.day == m.day {
			b.hashes[m.set] = slices.Insert(b.hashes[m.set], at, m.hash)
			t.distinct[m.set]++
			return
		}
	}
}

// closeThrough closes the user's open days up to the given one. It may come at any time after W
// has closed them: no row depends on it.
func (p *LogPartition) closeThrough(u *user, last int32) {
	for {
		d := u.oldest()
		if d == nil || d.day > last {
			return
		}
		p.closeDay(u, d)
	}
}

// closeDay makes the user's oldest open day, folded or not, a part of the base for good.
func (p *LogPartition) closeDay(u *user, d *openDay) {
	p.foldThrough(u, d.day)
	b := &u.base
	p.buryDay(u, d)
	u.remove(d)
	b.closed.life.add(d)
	b.closed.feedback = newerFeedback(d.feedback, b.closed.feedback)
	if u.open == nil {
		b.closed.recent = b.recent
	} else if len(d.recent) > 0 {
		p.merged = mergeRecent(p.merged[:0], d.recent, b.closed.recent)
		b.closed.recent = replaced(b.closed.recent, p.merged, b.recent)
	}
	b.trim(d.day)
	p.freeDay(d)
	u.baseDirty = true
	p.markUser(u)
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
	old := func(e entry) bool { return dayOf(e.atMillis()) <= last }
	if trimmed := slices.ContainsFunc(b.closed.recent, old); !trimmed && n == 0 {
		return false
	}
	// The two lists may share memory, so neither is changed in place.
	b.recent = slices.DeleteFunc(slices.Clone(b.recent), old)
	b.closed.recent = slices.DeleteFunc(slices.Clone(b.closed.recent), old)
	if len(b.recent) == 0 {
		b.recent, b.closed.recent = nil, nil
	}
	b.limits = slices.DeleteFunc(b.limits, func(l dayLimit) bool { return l.day <= last })
	b.tiles = dropFront(b.tiles, n)
	for s, k := range drop {
		b.hashes[s] = dropFront(b.hashes[s], k)
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

// grown returns s with room for n more, growing by an eighth: users are many and stay long.
func grown[T any](s []T, n int) []T {
	if cap(s)-len(s) >= n {
		return s
	}
	g := make([]T, len(s), len(s)+n+len(s)/8)
	copy(g, s)
	return g
}
