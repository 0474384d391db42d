package profile

import (
	"fmt"
	"maps"
	"slices"
	"unsafe"
)

// cache is what a partition with a store keeps of its users in memory: those that events named of
// late, and those with changes since the last checkpoint, which alone are not in the store.
type cache struct {
	limit   int // bytes
	held    int // estimate of what the users in memory take
	dirty   int // of these, users with changes
	ring    []*user
	hand    int
	erased  map[string]bool // since the last checkpoint: the store still has them
	total   int             // users, in memory or not
	passing contents        // of users that are read for a row and not kept
}

// eventBytes is what an event adds to its user's estimate, until a checkpoint looks closer.
const eventBytes = 160

// StartFrom goes on from the state in a store, of which at most about limit bytes of users are
// kept in memory, and is called in place of Start. With check, what the store holds is counted
// and must be what its marker says: after records were mirrored into it from the state topic.
func (p *LogPartition) StartFrom(s Store, limit int, check bool) error {
	p.store = s
	p.cache = cache{limit: limit, erased: map[string]bool{}, passing: contents{byHash: map[uint64]*content{}}}
	var m *decodedMarker
	err := s.Scan([]byte{storeMarker}, []byte{storeUsers + 1}, func(key, value []byte) (_ bool, err error) {
		if key[0] == storeMarker {
			m, err = decodeMarker(value)
		} else {
			d := decoder{b: value}
			p.cache.total = int(d.count())
			err = d.ended()
		}
		return err == nil, err
	})
	var found storedTotals
	if err == nil && check {
		found, p.cache.total, err = countStore(s)
	}
	switch {
	case err != nil:
	case m == nil && found == storedTotals{} && p.cache.total == 0:
		return nil
	case m == nil:
		err = fmt.Errorf("%w: no marker", ErrStateCorrupt)
	case check && found != m.totals:
		err = mismatch(found, m.totals)
	default:
		err = p.begin(m)
	}
	if err != nil {
		return fmt.Errorf("starting from the local store: %w", err)
	}
	return nil
}

// countStore counts the records of a store, by its index, and its users.
func countStore(s Store) (found storedTotals, users int, err error) {
	err = s.Scan([]byte{storeChunk}, []byte{storeChunk + 1}, func([]byte, []byte) (bool, error) {
		found.chunks++
		return true, nil
	})
	if err == nil {
		err = heads(s, nil, func(h *head) (bool, error) {
			users++
			found.days += int64(len(h.days))
			found.bases += h.user.base.events
			return true, nil
		})
	}
	return found, users, err
}

// SetCacheBytes changes how much of users is kept in memory.
func (p *LogPartition) SetCacheBytes(n int) { p.cache.limit = n }

// Full says that the changes since the last checkpoint fill half of the cache: it is time for a
// checkpoint, since until then they cannot leave memory. Without a store it is never time.
func (p *LogPartition) Full() bool { return p.store != nil && p.cache.dirty > p.cache.limit/2 }

// find returns a user, from the store if need be; a new one if there is none.
func (p *LogPartition) find(id []byte) (*user, error) {
	u := p.users[string(id)]
	if u == nil {
		var err error
		if u, err = p.admit(id); err != nil {
			return nil, err
		}
	}
	u.used = true
	return u, nil
}

// admit brings a user into memory.
func (p *LogPartition) admit(id []byte) (u *user, err error) {
	if p.store != nil && !p.cache.erased[string(id)] {
		if u, err = p.fetch(id, &p.contents, p.store.Prefix); err != nil {
			return nil, err
		}
	}
	fresh := u == nil
	if fresh {
		u = &user{id: string(id), nextDue: noDay, fixFrom: noDay}
	}
	p.users[u.id] = u
	if p.store == nil {
		return u, nil
	}
	if fresh {
		p.cache.total++
	}
	p.keep(u)
	if p.cache.held > p.cache.limit {
		p.evict(u)
	}
	return u, nil
}

// keep puts a user of the store among those in memory.
func (p *LogPartition) keep(u *user) {
	p.users[u.id] = u
	u.size = u.bytes()
	p.cache.held += u.size
	p.cache.ring = append(p.cache.ring, u)
	if p.sweep.on {
		p.touch(u) // the sweep passes those in memory by
	}
}

// readPrefix is a way to read the pairs of a prefix: Prefix or Ascend.
type readPrefix func(prefix []byte, fn func(key, value []byte) error) error

// fetch reads a user from the store, nil if there is none. Its list entries are interned in t.
func (p *LogPartition) fetch(id []byte, t *contents, read readPrefix) (*user, error) {
	var u *user
	var part fetched
	p.storeKey = appendStoreKey(p.storeKey[:0], storeRecord, id)
	from := len(p.storeKey)
	err := read(p.storeKey, func(key, value []byte) (err error) {
		if u == nil {
			u = &user{id: string(id), nextDue: noDay, fixFrom: noDay, offset: -1}
		}
		k, err := parseStoreKey(key[from:])
		if err != nil {
			return err
		}
		if k.kind == keyBase {
			part.base, err = decodeBase(value, t)
			return err
		}
		d := p.newDay(k.day)
		ids, err := decodeDay(d, value, t)
		if err != nil {
			return err
		}
		d.stored, d.storedIDs = true, ids
		d.older, u.open = u.open, d // keys come in ascending order of days
		u.raise(d.offset, d.corrected)
		part.short = part.short || ids > len(d.ids.keys)
		return nil
	})
	if err == nil && u != nil {
		err = p.complete(u, &part)
	}
	if err != nil {
		return nil, fmt.Errorf("reading a user: %w", storeError(err))
	}
	return u, nil
}

// fetched is what else there is to a user that is being read.
type fetched struct {
	base  *decodedBase
	short bool // a day lacks event ids, which are in chunks
}

// complete adds what lies in chunks.
func (p *LogPartition) complete(u *user, f *fetched) error {
	r := restoring{}
	if f.short || f.base != nil && f.base.short() {
		r.chunks = map[stateKey][]uint64{}
		prefix := appendStoreKey(nil, storeChunk, []byte(u.id))
		if err := p.store.Prefix(prefix, func(key, value []byte) error {
			k, err := parseStoreKey(key[len(prefix):])
			if err != nil {
				return err
			}
			k.user = u.id
			r.chunks[k], err = decodeChunk(value)
			return err
		}); err != nil {
			return err
		}
	}
	if b := f.base; b != nil {
		hashes := r.take(b.hashes, stateKey{kind: keyHashes, user: u.id}, b.sizes[products]+b.sizes[categories])
		if err := u.setBase(b, hashes); err != nil {
			return err
		}
	}
	for d := u.open; d != nil; d = d.older {
		if err := r.completeDay(u, d, d.storedIDs); err != nil {
			return err
		}
	}
	return nil
}

// parseStoreKey reads what follows the user in a store's key.
func parseStoreKey(rest []byte) (stateKey, error) {
	if len(rest) == 0 {
		return stateKey{}, fmt.Errorf("%w: key", ErrStateCorrupt)
	}
	if rest[0] == keyBase && len(rest) == 1 {
		return stateKey{kind: keyBase}, nil
	}
	var buf [16]byte
	key := append(append(append(buf[:0], rest[0], 'u'), 0), rest[1:]...) // as in the state topic
	return parseKey(key)
}

// evict puts users out of memory, but for the one given, that have not been used since the hand
// passed them last and that nothing waits for.
func (p *LogPartition) evict(but *user) {
	c := &p.cache
	for tries := 2 * len(c.ring); tries > 0 && c.held > c.limit && len(c.ring) > 0; tries-- {
		if c.hand >= len(c.ring) {
			c.hand = 0
		}
		u := c.ring[c.hand]
		switch {
		case u.gone:
		case u == but || u.dirty || u.touched || u.fixFrom != noDay:
			c.hand++
			continue
		case u.used:
			u.used = false
			c.hand++
			continue
		default:
			delete(p.users, u.id)
			c.held -= u.size
		}
		last := len(c.ring) - 1
		c.ring[c.hand], c.ring[last] = c.ring[last], nil
		c.ring = c.ring[:last]
		p.release(u)
	}
}

// release gives back the days of a user that nothing names any more.
func (p *LogPartition) release(u *user) {
	for u.open != nil {
		d := u.open
		u.open = d.older
		p.freeDay(d)
	}
}

// recount estimates the users with changes anew, once a checkpoint has made them clean.
func (p *LogPartition) recount() {
	for _, u := range p.dirty {
		if !u.gone {
			size := u.bytes()
			p.cache.held += size - u.size
			u.size = size
		}
	}
	p.cache.dirty = 0
	clear(p.cache.erased)
	p.evict(nil)
}

// Sizes of what a user holds, for the estimate.
const (
	userBytes      = int(unsafe.Sizeof(user{})) + 64 // and its places in the map and the ring
	dayBytes       = int(unsafe.Sizeof(openDay{}))
	tileBytes      = int(unsafe.Sizeof(dayTile{}))
	slotBytes      = int(unsafe.Sizeof(slotTile{}))
	listEntryBytes = int(unsafe.Sizeof(entry{})) + 80 // and its content, which others may share
)

// bytes estimates the memory that a user takes.
func (u *user) bytes() int {
	b := &u.base
	n := userBytes + len(u.id) + cap(b.tiles)*tileBytes + cap(b.limits)*int(unsafe.Sizeof(dayLimit{})) + cap(b.recent)*listEntryBytes
	for s := range b.hashes {
		n += cap(b.hashes[s]) * hashBytes
	}
	for d := u.open; d != nil; d = d.older {
		n += dayBytes + cap(d.tiles)*slotBytes + cap(d.recent)*listEntryBytes + cap(d.moved)*16 + d.ids.bytes()
		for s := range d.sets {
			n += d.sets[s].bytes() + 2*cap(d.sets[s].slots)
		}
	}
	return n
}

func (s *hashSet) bytes() int { return cap(s.keys)*hashBytes + 4*len(s.index) }

// Held estimates the bytes that the users in memory take, with a store.
func (p *LogPartition) Held() int { return p.cache.held }

// Erased lists the users erased since the last checkpoint, whose records a store's files may hold
// for longer than the store does: its owner cleans them.
func (p *LogPartition) Erased() []string { return slices.Sorted(maps.Keys(p.cache.erased)) }
