package profile

import (
	"profilestream/schemas"
)

// work is what is left to do of the rows that became due.
type work struct {
	fixed   int   // corrections that are out
	pending bool  // W has passed days; the rest says which
	started bool  // the first day is known
	day     int32 // whose rows are going out
	at      int   // place in that day of the calendar
	target  int32 // last day to tick
	pass    pass  // over all users, with a store
	closing int32 // last day to close then
	offset  int64 // of the record that moved W
}

// advance moves W to the slowest listed source, which may make day rows due.
func (p *LogPartition) advance(offset int64) {
	w, ok := p.sources.minWatermark()
	if !ok || p.wSet && w <= p.w {
		return
	}
	p.w, p.wSet = w, true
	target := int32(floorDiv(w+1, dayMillis)) - 1
	closing := int32(floorDiv(w-p.cfg.LatenessMillis, dayMillis)) - 1
	if p.ticking && target <= p.ticked && closing <= p.closed {
		return
	}
	p.work.pending, p.work.started, p.work.offset = true, false, offset
	p.work.target, p.work.closing = target, closing
}

// Pending says that W has passed a day and its rows are due: call Work until it is done.
func (p *LogPartition) Pending() bool { return p.work.pending }

// Work emits into Days the corrections that wait and the day rows that are due, then closes
// days. It stops when Days holds about maxBytes and says whether more is left: take the rows and
// call again. Several events between two calls give a user's rows one correction. With a store,
// what cannot be read ends work for good: Apply and Changes return the error. Then, too, live rows
// of users that a passed day brings into memory for a moment come with their day rows.
func (p *LogPartition) Work(maxBytes int) (more bool) {
	k := &p.work
	for ; k.fixed < len(p.fixes); k.fixed++ {
		if !p.correct(p.fixes[k.fixed], maxBytes) {
			return true
		}
	}
	clear(p.fixes)
	p.fixes, k.fixed = p.fixes[:0], 0
	if !k.pending || p.err != nil {
		return false
	}
	if !p.ticking || k.target > p.ticked {
		done := false
		if p.store == nil {
			done = p.tick(maxBytes)
		} else {
			done = p.tickStored(maxBytes)
		}
		if !done {
			return p.err == nil
		}
		p.ticking, p.ticked = true, k.target
	}
	p.closed = max(p.closed, k.closing)
	k.pending = false
	return false
}

// tick emits the day rows up to the target, day by day. False: stopped at maxBytes.
func (p *LogPartition) tick(maxBytes int) bool {
	k := &p.work
	if !k.started {
		k.started, k.day, k.at = true, p.firstTick(), 0
		p.addTick(k.day, k.target, k.offset)
	}
	for k.day <= k.target && len(p.calendar) > 0 {
		waiting := p.calendar[k.day]
		for ; k.at < len(waiting); k.at++ {
			if p.days.Bytes() >= maxBytes {
				return false
			}
			if u := waiting[k.at]; u.nextDue == k.day && !u.gone {
				p.tickUser(u, k.day)
			}
		}
		delete(p.calendar, k.day)
		k.day++
		k.at = 0
	}
	return true
}

// firstTick is the first day to tick: the one after the last, or the earliest with a user.
func (p *LogPartition) firstTick() int32 {
	if p.ticking {
		return p.ticked + 1
	}
	first := p.work.target
	for day := range p.calendar {
		first = min(first, day)
	}
	return first
}

func (p *LogPartition) tickUser(u *user, day int32) {
	u.nextDue = noDay
	if p.tickRow(u, day) && p.live {
		p.touch(u)
	}
	p.shrink(u, day)
	p.schedule(u, p.dueAfter(u, day))
}

// tickRow emits the user's row of a passed day, if one is due.
func (p *LogPartition) tickRow(u *user, day int32) bool {
	trigger := p.due(u, day)
	if trigger != 0 {
		p.dayRow(u, day, trigger, p.work.offset)
	}
	return trigger != 0
}

// shrink closes what W lets close, and drops what no row after the given day can hold. All users
// with open days have a row each day until they are closed; a dormant one comes once more, when
// all its tiles have become too old, and keeps its totals.
func (p *LogPartition) shrink(u *user, day int32) {
	p.closeThrough(u, min(p.work.closing, day))
	if p.due(u, day) == 0 && u.base.trim(day-p.dailyDays) {
		u.baseDirty = true
		p.markUser(u)
	}
}

// correct emits every row of the user that is due from the first changed day to the last one
// passed. False: stopped at maxBytes.
func (p *LogPartition) correct(u *user, maxBytes int) bool {
	for ; u.fixFrom <= p.ticked && !u.gone; u.fixFrom++ {
		if p.days.Bytes() >= maxBytes {
			return false
		}
		if p.due(u, u.fixFrom) != 0 {
			p.dayRow(u, u.fixFrom, schemas.TriggerCorrection, u.offset)
		}
	}
	u.fixFrom = noDay
	return true
}

func (p *LogPartition) dayRow(u *user, day int32, trigger uint8, version int64) {
	asOf := dayEnd(day)
	p.foldThrough(u, day)
	p.compute(u, asOf)
	p.days.add(u.id, asOf, version, trigger, &p.row)
}

// SetLive turns live rows on or off. Off, touched users are not noted; when they go on, every
// user gets a row.
func (p *LogPartition) SetLive(on bool) {
	switch {
	case on && !p.live:
		p.live = true
		p.TouchAll()
	case !on:
		p.live, p.sweep = false, sweep{}
		for _, u := range p.touched {
			u.touched = false
		}
		clear(p.touched)
		p.touched = p.touched[:0]
	}
}

// LiveOn says whether live rows are on.
func (p *LogPartition) LiveOn() bool { return p.live }

// TouchAll makes a live row due for every user, whether live rows are on or not.
func (p *LogPartition) TouchAll() {
	for _, u := range p.users {
		p.touch(u)
	}
	p.sweep = sweep{on: p.store != nil}
}

// EmitLive does all Work, then emits into Live a row of each user touched since. It stops when
// Days or Live holds about maxBytes and says whether more is left: take the rows, call again.
func (p *LogPartition) EmitLive(maxBytes int) (more bool) {
	if p.Work(maxBytes) || p.rows.Bytes() >= maxBytes {
		return true
	}
	for i := len(p.touched) - 1; i >= 0; i-- {
		if p.rows.Bytes() >= maxBytes {
			return true
		}
		u := p.touched[i]
		p.touched[i], p.touched = nil, p.touched[:i]
		u.touched = false
		if !u.gone {
			p.liveRow(u, p.ticked)
		}
	}
	return p.sweep.on && !p.sweepStored(maxBytes) && p.err == nil
}

// liveRow emits the user's newest row, days up to the given one having passed. Its version and trigger are those of what touched the
// user last: an event, a passed day or a re-score.
func (p *LogPartition) liveRow(u *user, ticked int32) {
	asOf, version, trigger := u.lastSeen(), u.offset, schemas.TriggerLive
	if u.corrected {
		trigger = schemas.TriggerCorrection
	}
	if day, ok := p.lastDue(u, ticked); ok {
		asOf = max(asOf, dayEnd(day))
		if tick := p.tickOffset(day); tick > version {
			version, trigger = tick, p.due(u, day)
		}
	}
	if p.rescore > version {
		version, trigger = p.rescore, schemas.TriggerLive
	}
	p.compute(u, asOf)
	p.rows.add(u.id, asOf, version, trigger, &p.row)
}

// Live holds the live rows that have not been taken.
func (p *LogPartition) Live() *RowBatch { return p.rows }

// Days holds the day rows that have not been taken.
func (p *LogPartition) Days() *RowBatch { return p.days }
