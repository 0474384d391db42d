package profile

// The two sets of distinct values.
const (
	products = iota
	categories
	numSets
)

// noTime stands for "never" among times within a day.
const noTime int32 = -1

// user is the state of one user: closed days folded into the base, and the open days.
type user struct {
	id   string
	open *openDay // newest first
	base base

	nextDue int32 // the day of the calendar under which the user waits, noDay if none
	fixFrom int32 // first day whose rows wait for a correction, noDay if none
	offset  int64 // log offset of the last event that changed the user

	used      bool // since the hand of the cache passed
	gone      bool // erased: lists that still name the user skip it
	touched   bool // waits for a live row
	corrected bool // the last event fell on a passed day
	dirty     bool // has changes since the last checkpoint
	baseDirty bool
	stored    bool // the state topic holds a base record
	parts     int  // hash chunks of the base in the state topic
	size      int  // estimate of the memory it takes; only with a store
}

// openDay is what a user did on a day that is not closed.
type openDay struct {
	older *openDay
	total counts
	bits  uint64 // active half-hours; dayHot

	offset      int64 // log offset of the last record that changed the day
	kafkaMillis int64 // largest Kafka timestamp of its events
	day         int32
	// Times in ms since the day began.
	first, last, firstOrder, lastOrder int32

	corrected bool // the day was passed when last changed
	folded    bool // counted in the base, as all older ones then are
	dirty     bool
	stored    bool // the state topic holds the day
	storedIDs int  // ids of which the state topic has a whole copy in chunks

	tiles    []slotTile // ascending
	sets     [numSets]sketch
	ids      hashSet // of the applied events, in order of arrival
	recent   []entry
	feedback entry
	moved    []movedHash // what folding took from older tiles
}

// find returns the user's open day, or nil.
func (u *user) find(day int32) *openDay {
	d := u.open
	for d != nil && d.day > day {
		d = d.older
	}
	if d != nil && d.day == day {
		return d
	}
	return nil
}

// oldest returns the user's oldest open day, or nil.
func (u *user) oldest() *openDay {
	d := u.open
	for d != nil && d.older != nil {
		d = d.older
	}
	return d
}

// insert links a new open day in.
func (u *user) insert(d *openDay) {
	at := &u.open
	for *at != nil && (*at).day > d.day {
		at = &(*at).older
	}
	d.older, *at = *at, d
}

// remove unlinks an open day.
func (u *user) remove(d *openDay) {
	at := &u.open
	for *at != d {
		at = &(*at).older
	}
	*at, d.older = d.older, nil
}

// lastSeen is the time of the newest event.
func (u *user) lastSeen() int64 {
	if d := u.open; d != nil {
		return dayStart(d.day) + int64(d.last)
	}
	return u.base.last
}

// lastEventDay is the newest day with an event up to and including the given one.
func (u *user) lastEventDay(upTo int32) (int32, bool) {
	for d := u.open; d != nil; d = d.older {
		if d.day <= upTo {
			return d.day, true
		}
	}
	if u.base.events > 0 {
		return dayOf(u.base.last), true
	}
	return 0, false
}

// apply folds an event in; it must be no duplicate.
func (d *openDay) apply(e *Event) {
	in := int32(e.TimeMillis - dayStart(d.day))
	d.kafkaMillis = max(d.kafkaMillis, e.KafkaMillis)
	d.total.addEvent(e)
	d.bits |= 1 << (in / (hourMillis / 2))
	if d.total.events == 1 {
		d.first, d.last = in, in
	} else {
		d.first, d.last = min(d.first, in), max(d.last, in)
	}
	if e.Type == TypePurchase {
		if d.firstOrder == noTime {
			d.firstOrder, d.lastOrder = in, in
		} else {
			d.firstOrder, d.lastOrder = min(d.firstOrder, in), max(d.lastOrder, in)
		}
	}
	slot := uint16(in / slotMillis)
	d.tile(slot).addEvent(e)
	d.see(slot, &e.Product)
	for i := range e.Items {
		d.see(slot, &e.Items[i])
	}
}

func (d *openDay) see(slot uint16, p *Product) {
	if len(p.ID) > 0 {
		d.sets[products].see(hashValue(p.ID), slot)
	}
	if len(p.Category) > 0 {
		d.sets[categories].see(hashValue(p.Category), slot)
	}
}

// tile returns the tile of a slot, made if there is none.
func (d *openDay) tile(slot uint16) *slotTile {
	i := len(d.tiles)
	for i > 0 && d.tiles[i-1].slot > slot {
		i--
	}
	if i > 0 && d.tiles[i-1].slot == slot {
		return &d.tiles[i-1]
	}
	d.tiles = append(d.tiles, slotTile{})
	copy(d.tiles[i+1:], d.tiles[i:])
	d.tiles[i] = slotTile{slot: slot}
	return &d.tiles[i]
}

// peak says whether a five-minute tile is busier than people are.
func (d *openDay) peak() bool {
	if d.total.events < botSlotPeak {
		return false
	}
	for i := range d.tiles {
		if d.tiles[i].events >= botSlotPeak {
			return true
		}
	}
	return false
}

// Sizes up to which a closed day's slices are kept for the next day.
const (
	reuseTiles  = 6
	reuseHashes = 8
)

// newDay takes a day from the free list, or makes one.
func (p *LogPartition) newDay(day int32) *openDay {
	d := p.freeDays
	if d == nil {
		d = new(openDay)
	} else {
		p.freeDays = d.older
		d.older = nil
	}
	d.day, d.firstOrder, d.lastOrder = day, noTime, noTime
	return d
}

// freeDay empties a day that no user holds and puts it on the free list.
func (p *LogPartition) freeDay(d *openDay) {
	n := openDay{older: p.freeDays}
	if cap(d.tiles) <= reuseTiles {
		n.tiles = d.tiles[:0]
	}
	if cap(d.ids.keys) <= reuseHashes {
		n.ids.keys = d.ids.keys[:0]
	}
	for i := range d.sets {
		if cap(d.sets[i].keys) <= reuseHashes {
			n.sets[i].keys, n.sets[i].slots = d.sets[i].keys[:0], d.sets[i].slots[:0]
		}
	}
	clear(d.recent)
	n.recent = d.recent[:0]
	if cap(d.moved) <= reuseHashes/2 {
		n.moved = d.moved[:0]
	}
	*d = n
	p.freeDays = d
}
