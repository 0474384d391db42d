package profile

import (
	"encoding/binary"
	"slices"
)

// maxInlineIDs is how many event ids an open day's record holds itself, and chunkHashes how many
// hashes a chunk record holds: 64,000 bytes.
const (
	maxInlineIDs = 1024
	chunkHashes  = 8000
)

// appendDay appends the state record of an open day:
//
//	version, offset + 1, flags (1 hot, 2 corrected), kafka time, first, last, first and last order + 1,
//	tiles: number, each slot, counts;  each set: number, hashes (8 bytes each), slots;
//	number of ids, the first maxInlineIDs of them;  lists;  CRC
//
// Numbers are varints. Totals and half-hours follow from the tiles.
func appendDay(b []byte, d *openDay) []byte {
	from := len(b)
	b = append(b, StateVersion)
	b = binary.AppendUvarint(b, uint64(d.offset+1))
	flags := byte(0)
	if d.bits&dayHot != 0 {
		flags |= 1
	}
	if d.corrected {
		flags |= 2
	}
	b = append(b, flags)
	b = binary.AppendVarint(b, d.kafkaMillis)
	for _, v := range [...]int32{d.first, d.last, d.firstOrder + 1, d.lastOrder + 1} {
		b = binary.AppendUvarint(b, uint64(v))
	}
	b = binary.AppendUvarint(b, uint64(len(d.tiles)))
	for i := range d.tiles {
		b = binary.AppendUvarint(b, uint64(d.tiles[i].slot))
		b = appendCounts(b, &d.tiles[i].counts)
	}
	for i := range d.sets {
		s := &d.sets[i]
		b = binary.AppendUvarint(b, uint64(len(s.keys)))
		b = appendHashes(b, s.keys)
		for _, slot := range s.slots {
			b = binary.AppendUvarint(b, uint64(slot))
		}
	}
	n := len(d.ids.keys)
	b = binary.AppendUvarint(b, uint64(n))
	b = appendHashes(b, d.ids.keys[:min(n, maxInlineIDs)])
	b = appendEntries(b, d.recent, d.feedback)
	return seal(b, from)
}

// decodeDay reads an open day's record into an empty day, whose slices it reuses. It returns how
// many event ids the whole day has: those above maxInlineIDs are in chunks.
func decodeDay(d *openDay, value []byte, t *contents) (int, error) {
	body, err := unseal(value)
	if err != nil {
		return 0, err
	}
	r := decoder{b: body}
	d.offset = r.count() - 1
	flags := r.byte()
	if flags&1 != 0 {
		d.bits |= dayHot
	}
	d.corrected = flags&2 != 0
	d.kafkaMillis = r.varint()
	for _, v := range [...]*int32{&d.first, &d.last, &d.firstOrder, &d.lastOrder} {
		*v = int32(r.upTo(dayMillis))
	}
	d.firstOrder--
	d.lastOrder--
	r.tiles(d)
	for i := range d.sets {
		r.sketch(&d.sets[i])
	}
	ids := r.upTo(maxEventsUserDay)
	if n := int(min(ids, maxInlineIDs)); n*hashBytes <= len(r.b)-r.i {
		d.ids.keys = r.hashes(slices.Grow(d.ids.keys[:0], n), n)
		d.ids.reindex()
	} else {
		r.fail("ids")
	}
	d.recent, d.feedback = r.entries(d.recent[:0], t)
	if r.what == "" && (uint64(d.total.events) != ids || d.first > d.last || d.last >= dayMillis ||
		(d.total.orders > 0) != (d.firstOrder >= 0) || d.firstOrder > d.lastOrder) {
		r.fail("totals")
	}
	return int(ids), r.ended()
}

func (d *decoder) tiles(day *openDay) {
	n := d.length(1 + minCountsBytes)
	if n == 0 || n > slotsDay {
		d.fail("tiles")
		return
	}
	day.tiles = slices.Grow(day.tiles[:0], n)[:n]
	clear(day.tiles)
	for i := range day.tiles {
		t := &day.tiles[i]
		t.slot = uint16(d.upTo(slotsDay - 1))
		d.counts(&t.counts)
		if i > 0 && t.slot <= day.tiles[i-1].slot || t.events == 0 {
			d.fail("tile")
			return
		}
		day.total.add(&t.counts)
		day.bits |= 1 << (t.slot / slotsHalf)
	}
}

func (d *decoder) sketch(s *sketch) {
	n := d.length(hashBytes + 1)
	if n == 0 {
		return
	}
	s.keys = d.hashes(slices.Grow(s.keys[:0], n), n)
	s.slots = slices.Grow(s.slots[:0], n)[:n]
	for i := range s.slots {
		s.slots[i] = uint16(d.upTo(slotsDay - 1))
	}
	s.reindex()
	s.limit = 2 * n
}
