package profile

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Store keeps the state records of a partition beyond memory, as Mirror lays them out. The
// partition only reads it; its owner writes it, always whole checkpoints. Pairs come in order of
// their keys' bytes, and are valid until fn returns.
type Store interface {
	// Prefix calls fn with the pairs whose keys begin with the prefix, which ends with a NUL.
	Prefix(prefix []byte, fn func(key, value []byte) error) error
	// Ascend is Prefix for a walk: prefixes come in ascending order, and most are there.
	Ascend(prefix []byte, fn func(key, value []byte) error) error
	// Scan calls fn with the pairs whose keys lie in [from, to), until fn returns false.
	Scan(from, to []byte, fn func(key, value []byte) (more bool, err error)) error
}

// Writer takes changes of a Store.
type Writer interface {
	Set(key, value []byte) error
	Delete(key []byte) error
}

// ErrStore: the store cannot be read, or holds something else than its marker says. The state
// topic has it all; the owner drops the store.
var ErrStore = errors.New("local state store")

func storeError(err error) error {
	if err != nil && !errors.Is(err, ErrStore) {
		err = fmt.Errorf("%w: %w", ErrStore, err)
	}
	return err
}

// A store's keys begin with what they hold. Unlike in the state topic, the records of a user lie
// side by side. The index repeats of each record what tells when its user is due, so that a day's
// users are found without reading what else is known of them.
const (
	storeRecord byte = 'r' // user, NUL, keyBase; or user, NUL, keyDay, day: the value in the state topic
	storeChunk  byte = 'c' // user, NUL, rest of the key in the state topic: likewise
	storeIndex  byte = 'x' // user, NUL, keyBase: detail (1 or 0), day of the last event; or keyDay, day: nothing
	storeMarker byte = 'm' // the value in the state topic
	storeUsers  byte = 'n' // number of users
)

func appendStoreKey(b []byte, space byte, user []byte) []byte {
	return append(append(append(b, space), user...), 0)
}

// Mirror writes a record of the state topic into a store; a nil value removes it.
func Mirror(w Writer, key, value []byte) error {
	k, err := parseKey(key)
	if err != nil {
		return fmt.Errorf("mirroring state: %w", err)
	}
	user := key[1 : 1+len(k.user)]
	rest := key[1+len(user):]
	var buf [320]byte
	switch k.kind {
	case keyMarker:
		return w.Set([]byte{storeMarker}, value)
	case keyHashes, keyIDs:
		at := append(appendStoreKey(buf[:0], storeChunk, user), k.kind)
		return put(w, append(at, rest[1:]...), value, value)
	}
	at := append(appendStoreKey(buf[:0], storeRecord, user), k.kind)
	var index []byte
	if k.kind == keyDay {
		at = append(at, rest[1:]...)
	} else if value != nil {
		if index, err = indexBase(value); err != nil {
			return fmt.Errorf("mirroring state: %w", err)
		}
	}
	if err := put(w, at, value, value); err != nil {
		return err
	}
	at[0] = storeIndex
	return put(w, at, index, value)
}

// put sets a key, or deletes it if there is no record.
func put(w Writer, key, value, record []byte) error {
	if record == nil {
		return w.Delete(key)
	}
	return w.Set(key, value)
}

// CheckRecord says whether a record read from the state topic is whole and of a version that
// this code reads; Mirror takes that for granted.
func CheckRecord(value []byte) error {
	if value == nil {
		return nil
	}
	_, err := unseal(value)
	return err
}

// indexBase is the index entry of a base record.
func indexBase(value []byte) ([]byte, error) {
	r := decoder{b: value, i: 1}
	r.count()
	r.byte()
	events, first := r.count(), r.count()
	last := first + r.count()
	for range 3 { // orders and their times
		r.count()
	}
	r.varint() // revenue
	r.varint() // Kafka time
	tiles := r.count()
	if r.what != "" || events == 0 || last > maxMillis {
		return nil, fmt.Errorf("%w: base", ErrStateCorrupt)
	}
	return binary.AppendUvarint([]byte{byte(min(tiles, 1))}, uint64(dayOf(last))), nil
}

// IsMarker says whether a key of the state topic is that of the marker.
func IsMarker(key []byte) bool { return len(key) == 1 && key[0] == keyMarker }

// StorePrefixes are the prefixes of a store's keys that name a user.
func StorePrefixes(user string) [][]byte {
	var out [][]byte
	for _, space := range [...]byte{storeRecord, storeChunk, storeIndex} {
		out = append(out, appendStoreKey(nil, space, []byte(user)))
	}
	return out
}

// MirrorUsers writes the number of users into a store, next to the records of a checkpoint.
func (p *LogPartition) MirrorUsers(w Writer) error {
	return w.Set([]byte{storeUsers}, binary.AppendUvarint(nil, uint64(p.Users())))
}

// head is what the index says of a user: a user without content whose days are right, so that the
// rules of what is due apply to it as to any other.
type head struct {
	id   []byte
	user user
	days []openDay
}

// add takes an index entry in. Days come in ascending order.
func (h *head) add(rest, value []byte) error {
	switch {
	case len(rest) == 1 && rest[0] == keyBase && len(value) >= 2:
		day, n := binary.Uvarint(value[1:])
		if n > 0 && day <= maxMillis/dayMillis {
			h.user.base.events, h.user.base.last = 1, dayStart(int32(day))
			h.user.base.tiles = oneTile[:value[0]&1]
			return nil
		}
	case len(rest) == 5 && rest[0] == keyDay:
		h.days = append(h.days, openDay{day: int32(binary.BigEndian.Uint32(rest[1:]))})
		return nil
	}
	return fmt.Errorf("%w: index entry", ErrStore)
}

var oneTile [1]dayTile

// whole links the days once all are there.
func (h *head) whole() *user {
	for i := range h.days {
		if i > 0 {
			h.days[i].older = &h.days[i-1]
		}
		h.user.open = &h.days[i]
	}
	return &h.user
}

func (h *head) reset(id []byte) {
	h.id = append(h.id[:0], id...)
	h.user, h.days = user{}, h.days[:0]
}

// heads calls fn with each user of the index, in order, from a key on (nil: the first) until fn
// returns false. What fn gets is valid until it returns.
func heads(s Store, from []byte, fn func(h *head) (more bool, err error)) error {
	var h head
	any, more := false, true
	if from == nil {
		from = []byte{storeIndex}
	}
	err := s.Scan(from, []byte{storeIndex + 1}, func(key, value []byte) (bool, error) {
		end := 1
		for end < len(key) && key[end] != 0 {
			end++
		}
		if end == len(key) || end == 1 {
			return false, fmt.Errorf("%w: index key", ErrStore)
		}
		if id := key[1:end]; !any || string(id) != string(h.id) {
			if any {
				var err error
				if more, err = fn(&h); err != nil || !more {
					return false, err
				}
			}
			any = true
			h.reset(id)
		}
		return true, h.add(key[end+1:], value)
	})
	if err == nil && any && more {
		_, err = fn(&h)
	}
	return err
}
