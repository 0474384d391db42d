package profile

import (
	"fmt"
)

// restoring holds what waits for other records of the state topic.
type restoring struct {
	marker *decodedMarker
	chunks map[stateKey][]uint64
	bases  map[*user]*decodedBase // that lack their chunks
	ids    map[*openDay]int       // number of event ids of days that lack their chunks
}

// Restore reads a record of the state topic; a nil value removes the key. Records of different
// keys may come in any order, of one key the last counts. Errors name no user.
func (p *LogPartition) Restore(key, value []byte) error {
	if p.restored == nil {
		p.restored = &restoring{chunks: map[stateKey][]uint64{}, bases: map[*user]*decodedBase{}, ids: map[*openDay]int{}}
	}
	k, err := parseKey(key)
	if err != nil {
		return fmt.Errorf("restoring state: %w", err)
	}
	switch k.kind {
	case keyMarker:
		if value == nil {
			return fmt.Errorf("restoring state: %w: the marker was removed", ErrStateCorrupt)
		}
		p.restored.marker, err = decodeMarker(value)
	case keyBase:
		err = p.restoreBase(k, value)
	case keyDay:
		err = p.restoreDay(k, value)
	default:
		delete(p.restored.chunks, k)
		if value != nil {
			p.restored.chunks[k], err = decodeChunk(value)
		}
	}
	if err != nil {
		return fmt.Errorf("restoring state, record of kind %q: %w", k.kind, err)
	}
	return nil
}

// restoredUser returns the user of a state record, made if new.
func (p *LogPartition) restoredUser(id string) *user {
	u := p.users[id]
	if u == nil {
		u = &user{id: id, nextDue: noDay, fixFrom: noDay, offset: -1}
		p.users[id] = u
	}
	return u
}

func (p *LogPartition) restoreBase(k stateKey, value []byte) error {
	u := p.restoredUser(k.user)
	u.base, u.stored, u.parts = base{}, false, 0
	delete(p.restored.bases, u)
	if value == nil {
		return nil
	}
	b, err := decodeBase(value, &p.contents)
	if err != nil {
		return err
	}
	if b.short() {
		p.restored.bases[u] = b
		return nil
	}
	return u.setBase(b, b.hashes)
}

// short says that the base lacks hashes, which are in chunks.
func (b *decodedBase) short() bool {
	return len(b.hashes) != b.sizes[products]+b.sizes[categories]
}

// setBase gives the user a base that was read, with all its hashes.
func (u *user) setBase(b *decodedBase, hashes []uint64) error {
	if !b.setHashes(hashes) {
		return fmt.Errorf("%w: %d hashes of %d", ErrStateCorrupt, len(hashes), b.sizes[products]+b.sizes[categories])
	}
	u.base, u.stored = b.base, true
	u.parts = u.baseParts()
	u.raise(b.offset, b.corrected)
	return nil
}

// raise takes the user's newest change from a record: of all records ever written, the one with
// the largest offset tells it.
func (u *user) raise(offset int64, corrected bool) {
	if offset > u.offset {
		u.offset, u.corrected = offset, corrected
	}
}

func (p *LogPartition) restoreDay(k stateKey, value []byte) error {
	u := p.restoredUser(k.user)
	if old := u.find(k.day); old != nil {
		u.remove(old)
		delete(p.restored.ids, old)
	}
	if value == nil {
		return nil
	}
	d := p.newDay(k.day)
	ids, err := decodeDay(d, value, &p.contents)
	if err != nil {
		return err
	}
	d.stored, d.storedIDs = true, ids
	u.insert(d)
	u.raise(d.offset, d.corrected)
	if ids > len(d.ids.keys) {
		p.restored.ids[d] = ids
	}
	return nil
}

// Start ends restoring: the state is complete and goes with its marker, or is refused. Call it
// once before Apply, with or without records restored.
func (p *LogPartition) Start() error {
	r := p.restored
	if r == nil {
		return nil
	}
	p.restored = nil
	m := r.marker
	if m == nil {
		return fmt.Errorf("starting from restored state: %w: no marker", ErrStateCorrupt)
	}
	err := p.begin(m)
	if err == nil {
		err = p.joinUsers(r)
	}
	if err != nil {
		return fmt.Errorf("starting from restored state: %w", err)
	}
	p.sweepContents()
	return nil
}

// begin takes over what a marker says, or refuses it.
func (p *LogPartition) begin(m *decodedMarker) error {
	if m.ConfigVersion != p.cfg.ConfigVersion || m.Partition != p.cfg.Partition {
		return fmt.Errorf("%w: configuration %q and log partition %d, here %q and %d",
			ErrConfigChanged, m.ConfigVersion, m.Partition, p.cfg.ConfigVersion, p.cfg.Partition)
	}
	p.marker = &m.Marker
	p.offset, p.promotion, p.live, p.rescore = m.Offset, m.Promotion, m.Live, m.rescore
	p.w, p.wSet, p.ticking, p.ticked, p.closed = m.w, m.wSet, m.ticking, m.ticked, m.closed
	p.sources.list, p.ticks = m.sources, m.ticks
	p.stored, p.next = m.totals, m.totals
	return nil
}

// joinUsers puts chunks to their records, counts all of them and fills the calendar.
func (p *LogPartition) joinUsers(r *restoring) error {
	var found storedTotals
	for id, u := range p.users {
		if b := r.bases[u]; b != nil {
			hashes := r.take(b.hashes, stateKey{kind: keyHashes, user: id}, b.sizes[products]+b.sizes[categories])
			if err := u.setBase(b, hashes); err != nil {
				return err
			}
		}
		if !u.stored && u.open == nil {
			delete(p.users, id)
			continue
		}
		if u.stored {
			found.bases++
			found.chunks += int64(u.parts)
		}
		for d := u.open; d != nil; d = d.older {
			if n, ok := r.ids[d]; ok {
				if err := r.completeDay(u, d, n); err != nil {
					return err
				}
			}
			found.days++
			found.chunks += int64(chunks(d.storedIDs, maxInlineIDs))
		}
		p.schedule(u, p.dueAfter(u, p.ticked))
	}
	if found.chunks += int64(len(r.chunks)); found != p.stored {
		return mismatch(found, p.stored)
	}
	return nil
}

// mismatch says that records are missing, or should not be there.
func mismatch(found, want storedTotals) error {
	return fmt.Errorf("%w: %d bases, %d days, %d chunks; the marker says %d, %d, %d", ErrStateCorrupt,
		found.bases, found.days, found.chunks, want.bases, want.days, want.chunks)
}

// completeDay gives a day that was read its n event ids.
func (r *restoring) completeDay(u *user, d *openDay, n int) error {
	if len(d.ids.keys) == n {
		return nil
	}
	d.ids.keys = r.take(d.ids.keys, stateKey{kind: keyIDs, user: u.id, day: d.day}, n)
	if len(d.ids.keys) != n {
		return fmt.Errorf("%w: %d event ids of %d", ErrStateCorrupt, len(d.ids.keys), n)
	}
	d.ids.reindex()
	return nil
}

// take appends chunks to hashes until there are n, or a chunk is missing.
func (r *restoring) take(hashes []uint64, k stateKey, n int) []uint64 {
	for ; len(hashes) < n; k.chunk++ {
		part, ok := r.chunks[k]
		if !ok {
			break
		}
		hashes = append(hashes, part...)
		delete(r.chunks, k)
	}
	return hashes
}

// Marker is the place in the log that the restored state belongs to; false if none was restored.
// The owner compares the log record there with its CRC, and goes on at Offset + 1.
func (p *LogPartition) Marker() (Marker, bool) {
	if p.marker == nil {
		return Marker{}, false
	}
	return *p.marker, true
}
