package profile

import (
	"math"
	"slices"

	"profilestream/schemas"
)

// The schedule of silence: after the first days a row every week, until a year has passed.
const (
	silenceDaily  = 14
	silenceWeekly = 7
	silenceLast   = 371
)

// due says which trigger a day row of the user has, 0 if none is due.
func (p *LogPartition) due(u *user, day int32) uint8 {
	last, ok := u.lastEventDay(day)
	if !ok {
		return 0
	}
	switch k := day - last; {
	case k == 0:
		return schemas.TriggerDay
	case k <= p.dailyDays || k <= silenceLast && k%silenceWeekly == 0:
		return schemas.TriggerSilence
	}
	return 0
}

// dueAfter is the next day on which the user has a row or something to trim, noDay if none.
func (p *LogPartition) dueAfter(u *user, day int32) int32 {
	next := noDay
	d := u.open
	for ; d != nil && d.day > day; d = d.older {
		next = d.day
	}
	last, ok := u.lastEventDay(day)
	if !ok {
		return next
	}
	k := day + 1 - last
	if k > p.dailyDays {
		k = (k + silenceWeekly - 1) / silenceWeekly * silenceWeekly
	}
	if k > max(silenceLast, p.dailyDays) {
		k = keptDays + p.dailyDays // closing has passed last+keptDays by then
		if d == nil && len(u.base.tiles)+len(u.base.recent) == 0 {
			return next // only life totals are left
		}
		return min(next, max(last+k, day+1))
	}
	return min(next, last+k)
}

// lastDue is the newest day, up to the last one passed by W, for which the user has a row.
func (p *LogPartition) lastDue(u *user, ticked int32) (int32, bool) {
	if ticked == math.MinInt32 {
		return 0, false
	}
	last, ok := u.lastEventDay(ticked)
	if !ok {
		return 0, false
	}
	k := ticked - last
	return last + max(min(k, p.dailyDays), min(k, silenceLast)/silenceWeekly*silenceWeekly), true
}

// schedule puts the user under a day of the calendar, if that is earlier than the present one.
// An entry under a later day stays behind and is skipped when its day comes.
// With a store there is no calendar: each day looks at the index.
func (p *LogPartition) schedule(u *user, day int32) {
	if day >= u.nextDue || p.store != nil {
		return
	}
	u.nextDue = day
	p.calendar[day] = append(p.calendar[day], u)
}

// tickRun says that one log record made W pass the days from first to last.
type tickRun struct {
	first, last int32
	offset      int64
}

// addTick notes the record that made W pass the days, for the versions of live rows.
func (p *LogPartition) addTick(first, last int32, offset int64) {
	p.ticks = append(p.ticks, tickRun{first, last, offset})
	p.ticks = slices.DeleteFunc(p.ticks, func(t tickRun) bool { return t.last < last-keptDays-silenceWeekly })
}

// tickOffset is the log offset of the record that made W pass the day; -1 if that is long ago.
func (p *LogPartition) tickOffset(day int32) int64 {
	for i := len(p.ticks) - 1; i >= 0; i-- {
		if t := &p.ticks[i]; day >= t.first && day <= t.last {
			return t.offset
		}
	}
	return -1
}
