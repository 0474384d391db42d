package profile

import "fmt"

// pass is a walk of a tick over all users of a partition with a store: first those in memory, then
// those that the index names besides.
type pass struct {
	ringDone   bool
	at         int    // place in the ring
	cursor     []byte // key of the index to go on from
	current    *user  // of the index, stopped in the midst of its days
	kept       bool   // current stays in memory
	rows       bool   // the user at hand had one
	from, done int32  // last day ticked before; last day that the user at hand is done with
}

// tickStored emits the rows of all days up to the target, user by user. False: stopped at maxBytes,
// or by an error.
func (p *LogPartition) tickStored(maxBytes int) bool {
	k := &p.work
	w := &k.pass
	if !k.started {
		k.started = true
		*w = pass{from: p.ticked, done: p.ticked}
		p.addTick(p.ticked+1, k.target, k.offset)
	}
	for n := len(p.cache.ring); !w.ringDone && w.at < n; w.at++ {
		if u := p.cache.ring[w.at]; !u.gone && !p.tickThrough(u, true, maxBytes) {
			return false
		}
	}
	w.ringDone = true
	if w.current != nil && !p.tickPasser(maxBytes) {
		return false
	}
	stopped := false
	p.err = storeError(heads(p.store, w.cursor, func(h *head) (bool, error) {
		if p.inMemory(h) || p.dueAfter(h.whole(), w.from) > k.target {
			return true, nil
		}
		w.cursor = append(appendStoreKey(w.cursor[:0], storeIndex, h.id)[:1+len(h.id)], 1) // behind the user
		var err error
		w.kept = !p.Full() && p.shrinks(h)
		if w.current, err = p.passer(h, w.kept); err != nil {
			return false, err
		}
		stopped = !p.tickPasser(maxBytes)
		return !stopped, nil
	}))
	return p.err == nil && !stopped
}

// tickPasser goes on with the days of the current user of the index.
func (p *LogPartition) tickPasser(maxBytes int) bool {
	w := &p.work.pass
	if !p.tickThrough(w.current, w.kept, maxBytes) {
		return false
	}
	if !w.kept {
		p.release(w.current)
	}
	w.current = nil
	return true
}

// tickThrough emits a user's rows of all days up to the target. A user that stays in memory is
// closed and trimmed, and waits for its live row; that of another comes at once.
func (p *LogPartition) tickThrough(u *user, kept bool, maxBytes int) bool {
	w := &p.work.pass
	for day := p.dueAfter(u, w.done); day <= p.work.target; day = p.dueAfter(u, day) {
		if p.days.Bytes() >= maxBytes || p.rows.Bytes() >= maxBytes {
			return false
		}
		w.rows = p.tickRow(u, day) || w.rows
		if kept && (u.dirty || !p.Full()) {
			p.shrink(u, day)
		}
		w.done = day
	}
	if w.rows && p.live {
		if kept {
			p.touch(u)
		} else {
			p.liveRow(u, p.work.target)
		}
	}
	w.done, w.rows = w.from, false
	return true
}

// inMemory says that a walk over the index leaves a user out: it is in memory, or erased.
func (p *LogPartition) inMemory(h *head) bool {
	return p.users[string(h.id)] != nil || p.cache.erased[string(h.id)]
}

// shrinks says that a user has something to close or to trim by the end of this tick.
func (p *LogPartition) shrinks(h *head) bool {
	if len(h.days) > 0 {
		return h.days[0].day <= min(p.work.closing, p.work.target)
	}
	return len(h.user.base.tiles) > 0 && dayOf(h.user.base.last)+keptDays+p.dailyDays <= p.work.target
}

// passer reads a user of the index, for a moment or to be kept.
func (p *LogPartition) passer(h *head, keep bool) (*user, error) {
	t := &p.contents
	if !keep {
		if t = &p.cache.passing; len(t.byHash) > minSweep {
			clear(t.byHash)
		}
	}
	u, err := p.fetch(h.id, t, p.store.Ascend)
	if err == nil && u == nil {
		err = fmt.Errorf("%w: the index names a user without state", ErrStore)
	}
	if err == nil && keep {
		p.keep(u)
	}
	return u, err
}

// sweep is a walk over the users that are not in memory, for a live row of each.
type sweep struct {
	on     bool
	cursor []byte // user to go on with
}

// sweepStored emits live rows of users that are not in memory. False: stopped at maxBytes, or by an
// error.
func (p *LogPartition) sweepStored(maxBytes int) bool {
	stopped := false
	p.err = storeError(heads(p.store, p.sweep.cursor, func(h *head) (bool, error) {
		if p.inMemory(h) {
			return true, nil
		}
		if p.rows.Bytes() >= maxBytes {
			p.sweep.cursor = appendStoreKey(nil, storeIndex, h.id)
			stopped = true
			return false, nil
		}
		u, err := p.passer(h, false)
		if err == nil {
			p.liveRow(u, p.ticked)
			p.release(u)
		}
		return true, err
	}))
	if p.err != nil || stopped {
		return false
	}
	p.sweep = sweep{}
	return true
}
