package profile

import (
	"slices"

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
// call again. Several events between two calls give a user's rows one correction.
func (p *LogPartition) Work(maxBytes int) (more bool) {
	k := &p.work
	for ; k.fixed < len(p.fixes); k.fixed++ {
		if !p.correct(p.fixes[k.fixed], maxBytes) {
			return true
		}
	}
	clear(p.fixes)
	p.fixes, k.fixed = p.fixes[:0], 0
	if !k.pending {
		return false
	}
	if !p.ticking || k.target > p.ticked {
		if !p.tick(maxBytes) {
			return true
		}
	}
	p.close(k.closing)
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
	p.ticking, p.ticked = true, k.target
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
	if trigger := p.due(u, day); trigger != 0 {
		p.dayRow(u, day, trigger, p.work.offset)
		if p.live {
			p.touch(u)
		}
	} else if u.base.trim(day - p.dailyDays) {
		u.baseDirty = true
		p.markUser(u)
	}
	p.schedule(u, p.dueAfter(u, day))
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

// close folds all open days up to the given one into the users' bases.
func (p *LogPartition) close(last int32) {
	if last <= p.closed {
		return
	}
	var days []int32
	for day := range p.openUsers {
		if day <= last {
			days = append(days, day)
		}
	}
	slices.Sort(days)
	for _, day := range days {
		for _, u := range p.openUsers[day] {
			if d := u.find(day); d != nil && !u.gone {
				p.closeDay(u, d)
			}
		}
		delete(p.openUsers, day)
	}
	p.closed = last
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
		p.live = false
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
}

// EmitLive does all Work, then emits into Live a row of each user touched since. It stops when
// Days or Live holds about maxBytes and says whether more is left: take the rows, call again.
func (p *LogPartition) EmitLive(maxBytes int) (more bool) {
	if p.Work(maxBytes) {
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
			p.liveRow(u)
		}
	}
	return false
}

// liveRow emits the user's newest row. Its version and trigger are those of what touched the
// user last: an event, a passed day or a re-score.
func (p *LogPartition) liveRow(u *user) {
	asOf, version, trigger := u.lastSeen(), u.offset, schemas.TriggerLive
	if u.corrected {
		trigger = schemas.TriggerCorrection
	}
	if day, ok := p.lastDue(u); ok {
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
