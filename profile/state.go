package profile

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Kinds of state record: the first byte of the key. Then come the user id, and after a NUL,
// which no id holds, the day and the number of the chunk, big-endian.
const (
	keyMarker byte = 'm'
	keyBase   byte = 'b' // user
	keyHashes byte = 'h' // user, chunk: hashes of the base beyond maxInlineHashes
	keyDay    byte = 'd' // user, day
	keyIDs    byte = 'i' // user, day, chunk: event ids beyond maxInlineIDs
)

// stateKey is a decoded key.
type stateKey struct {
	kind  byte
	user  string
	day   int32
	chunk uint16
}

func appendUserKey(b []byte, kind byte, user string) []byte {
	return append(append(b, kind), user...)
}

func appendHashesKey(b []byte, user string, chunk int) []byte {
	b = append(appendUserKey(b, keyHashes, user), 0)
	return binary.BigEndian.AppendUint16(b, uint16(chunk))
}

func appendDayKey(b []byte, user string, day int32) []byte {
	b = append(appendUserKey(b, keyDay, user), 0)
	return binary.BigEndian.AppendUint32(b, uint32(day))
}

func appendIDsKey(b []byte, user string, day int32, chunk int) []byte {
	b = append(appendUserKey(b, keyIDs, user), 0)
	b = binary.BigEndian.AppendUint32(b, uint32(day))
	return binary.BigEndian.AppendUint16(b, uint16(chunk))
}

// parseKey reads a key of the state topic.
func parseKey(b []byte) (stateKey, error) {
	bad := fmt.Errorf("%w: key", ErrStateCorrupt)
	if len(b) == 0 {
		return stateKey{}, bad
	}
	k := stateKey{kind: b[0]}
	tail, ok := map[byte]int{keyMarker: 0, keyBase: 0, keyHashes: 3, keyDay: 5, keyIDs: 7}[k.kind]
	b = b[1:]
	if !ok || len(b) < tail || k.kind == keyMarker && len(b) > 0 {
		return stateKey{}, bad
	}
	user, rest := b[:len(b)-tail], b[len(b)-tail:]
	if (len(user) == 0) != (k.kind == keyMarker) || tail > 0 && rest[0] != 0 {
		return stateKey{}, bad
	}
	k.user = string(user)
	if k.kind == keyDay || k.kind == keyIDs {
		day := binary.BigEndian.Uint32(rest[1:])
		if day > maxMillis/dayMillis {
			return stateKey{}, bad
		}
		k.day = int32(day)
	}
	if k.kind == keyHashes || k.kind == keyIDs {
		k.chunk = binary.BigEndian.Uint16(rest[tail-2:])
	}
	return k, nil
}

// chunks is how many chunk records n hashes need of which the first are inline.
func chunks(n, inline int) int { return (max(n-inline, 0) + chunkHashes - 1) / chunkHashes }

func appendChunk(b []byte, hashes []uint64) []byte {
	from := len(b)
	return seal(appendHashes(append(b, StateVersion), hashes), from)
}

func decodeChunk(value []byte) ([]uint64, error) {
	body, err := unseal(value)
	if err != nil {
		return nil, err
	}
	if len(body)%hashBytes != 0 || len(body) > chunkHashes*hashBytes {
		return nil, fmt.Errorf("%w: chunk of %d bytes", ErrStateCorrupt, len(body))
	}
	d := decoder{b: body}
	return d.hashes(make([]uint64, 0, len(body)/hashBytes), len(body)/hashBytes), nil
}

// storedTotals counts the records of the state topic; the marker holds them, so that a missing
// record is noticed.
type storedTotals struct{ bases, days, chunks int64 }

// bury writes off all state records of a user.
func (p *LogPartition) bury(u *user) {
	if u.stored {
		p.tombstone(appendUserKey(nil, keyBase, u.id))
		p.removed.bases++
	}
	for i := range u.parts {
		p.tombstone(appendHashesKey(nil, u.id, i))
		p.removed.chunks++
	}
	for d := u.open; d != nil; d = d.older {
		p.buryDay(u, d)
	}
}

// buryDay writes off the state records of an open day.
func (p *LogPartition) buryDay(u *user, d *openDay) {
	if !d.stored {
		return
	}
	p.tombstone(appendDayKey(nil, u.id, d.day))
	p.removed.days++
	for i := range chunks(d.storedIDs, maxInlineIDs) {
		p.tombstone(appendIDsKey(nil, u.id, d.day, i))
		p.removed.chunks++
	}
}

func (p *LogPartition) tombstone(key []byte) { p.tombstones = append(p.tombstones, key) }

// LastRecord identifies the log record before the checkpoint, to tell a log that was recreated
// or cut from the one the state belongs to.
type LastRecord struct {
	CRC             uint32
	TimestampMillis int64
}

// Changes gives fn every state record that changed since the last Commit, removals (nil value)
// first and the marker last, for one transaction. Key and value are valid until fn returns. All
// work must be done and all rows and diverted events taken, else ErrUnfinished: what the marker
// covers must be out before it. Until Commit is called, Changes gives the same again.
func (p *LogPartition) Changes(last LastRecord, fn func(key, value []byte) error) error {
	if p.err != nil {
		return p.err
	}
	if p.work.pending || p.sweep.on || len(p.fixes)+len(p.touched)+len(p.diverted)+p.days.Len()+p.rows.Len() > 0 {
		return ErrUnfinished
	}
	for _, u := range p.dirty {
		p.closeThrough(u, p.closed)
	}
	for _, key := range p.tombstones {
		if err := fn(key, nil); err != nil {
			return err
		}
	}
	t := p.stored
	t.bases -= p.removed.bases
	t.days -= p.removed.days
	t.chunks -= p.removed.chunks
	w := stateWriter{fn: fn, buf: p.encoded, totals: t}
	for _, u := range p.dirty {
		if u.gone {
			continue
		}
		if u.baseDirty {
			p.unfoldFrom(u, math.MinInt32)
			w.base(u)
		}
		for d := u.open; d != nil; d = d.older {
			if d.dirty {
				w.day(u, d)
			}
		}
	}
	p.next = w.totals
	w.put([]byte{keyMarker}, func(b []byte) []byte { return p.appendMarker(b, last) })
	p.encoded = w.buf
	return w.err
}

// stateWriter encodes changed records; after the first error it does nothing.
type stateWriter struct {
	fn     func(key, value []byte) error
	key    []byte
	buf    []byte
	totals storedTotals
	err    error
}

func (w *stateWriter) put(key []byte, appendTo func([]byte) []byte) {
	if w.err != nil {
		return
	}
	w.buf = appendTo(w.buf[:0])
	w.err = w.fn(key, w.buf)
}

func (w *stateWriter) base(u *user) {
	if !u.stored {
		w.totals.bases++
	}
	w.key = appendUserKey(w.key[:0], keyBase, u.id)
	w.put(w.key, func(b []byte) []byte { return appendBase(b, u) })
	n := u.baseParts()
	w.totals.chunks += int64(n - u.parts)
	if n > 0 {
		all := append(append([]uint64{}, u.base.hashes[products]...), u.base.hashes[categories]...)[maxInlineHashes:]
		for i := range n {
			part := all[i*chunkHashes : min((i+1)*chunkHashes, len(all))]
			w.key = appendHashesKey(w.key[:0], u.id, i)
			w.put(w.key, func(b []byte) []byte { return appendChunk(b, part) })
		}
	}
	for i := n; i < u.parts && w.err == nil; i++ {
		w.key = appendHashesKey(w.key[:0], u.id, i)
		w.err = w.fn(w.key, nil)
	}
}

func (u *user) baseParts() int {
	return chunks(len(u.base.hashes[products])+len(u.base.hashes[categories]), maxInlineHashes)
}

func (w *stateWriter) day(u *user, d *openDay) {
	if !d.stored {
		w.totals.days++
	}
	w.key = appendDayKey(w.key[:0], u.id, d.day)
	w.put(w.key, func(b []byte) []byte { return appendDay(b, d) })
	ids := d.ids.keys
	n := chunks(len(ids), maxInlineIDs)
	w.totals.chunks += int64(n - chunks(d.storedIDs, maxInlineIDs))
	if d.storedIDs == len(ids) {
		return // hot: nothing new
	}
	for i := max(d.storedIDs-maxInlineIDs, 0) / chunkHashes; i < n; i++ {
		part := ids[maxInlineIDs+i*chunkHashes : min(maxInlineIDs+(i+1)*chunkHashes, len(ids))]
		w.key = appendIDsKey(w.key[:0], u.id, d.day, i)
		w.put(w.key, func(b []byte) []byte { return appendChunk(b, part) })
	}
}

// Commit notes that the records of the last Changes are in the state topic, and in the store if
// there is one.
func (p *LogPartition) Commit() {
	p.stored, p.removed = p.next, storedTotals{}
	for _, u := range p.dirty {
		u.dirty = false
		if u.baseDirty {
			u.baseDirty, u.stored, u.parts = false, true, u.baseParts()
		}
		for d := u.open; d != nil; d = d.older {
			if d.dirty {
				d.dirty, d.stored, d.storedIDs = false, true, len(d.ids.keys)
			}
		}
	}
	if p.store != nil {
		p.recount()
	}
	clear(p.dirty)
	p.dirty = p.dirty[:0]
	p.tombstones = nil
	if len(p.contents.byHash) > 2*p.contents.live+minSweep {
		p.sweepContents()
	}
}

// minSweep keeps small tables from being swept again and again.
const minSweep = 4096

// sweepContents drops the contents that no list holds any more. Its cost is that of looking at every
// user in memory once; it runs when the table has doubled.
func (p *LogPartition) sweepContents() {
	kept := make(map[uint64]*content, len(p.contents.byHash)/2)
	keep := func(e entry) {
		for at := e.c.hash; kept[at] != e.c; at++ {
			if kept[at] == nil {
				kept[at] = e.c
				break
			}
		}
	}
	list := func(entries []entry, feedback entry) {
		for _, e := range entries {
			keep(e)
		}
		if feedback.c != nil {
			keep(feedback)
		}
	}
	for _, u := range p.users {
		list(u.base.recent, u.base.feedback)
		list(u.base.closed.recent, u.base.closed.feedback)
		for d := u.open; d != nil; d = d.older {
			list(d.recent, d.feedback)
		}
	}
	p.contents.byHash, p.contents.live = kept, len(kept)
}
