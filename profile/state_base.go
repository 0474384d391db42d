package profile

import (
	"encoding/binary"
	"math"
)

// maxInlineHashes is how many hashes a base record holds itself, of both sets together.
const maxInlineHashes = 4000

// appendBase appends the state record of a user's closed days; no open day may be folded:
//
//	version, offset + 1, flags (1 corrected), events, first, last - first, orders, first order,
//	last - first order, revenue, kafka time;
//	tiles: number, each day (the first) or days since the last tile, bits, distinct of each set, counts;
//	limits: number, each day, limit of each set (8 bytes);
//	number of hashes of each set, the first maxInlineHashes of all;  lists;  CRC
func appendBase(b []byte, u *user) []byte {
	from, s := len(b), &u.base
	b = append(b, StateVersion)
	b = binary.AppendUvarint(b, uint64(u.offset+1))
	flags := byte(0)
	if u.corrected {
		flags = 1
	}
	b = append(b, flags)
	for _, v := range [...]int64{s.events, s.first, s.last - s.first, s.orders, s.firstOrder, s.lastOrder - s.firstOrder} {
		b = binary.AppendUvarint(b, uint64(v))
	}
	b = binary.AppendVarint(binary.AppendVarint(b, s.revenue), s.kafkaMillis)
	b = binary.AppendUvarint(b, uint64(len(s.tiles)))
	last := int32(0)
	for i := range s.tiles {
		t := &s.tiles[i]
		b = binary.AppendUvarint(b, uint64(t.day-last))
		last = t.day
		// Rotated, so that the flags at the top do not make every number long.
		b = binary.AppendUvarint(b, t.bits<<2|t.bits>>62)
		for _, n := range t.distinct {
			b = binary.AppendUvarint(b, uint64(n))
		}
		b = appendCounts(b, &t.counts)
	}
	b = binary.AppendUvarint(b, uint64(len(s.limits)))
	for i := range s.limits {
		b = binary.AppendUvarint(b, uint64(s.limits[i].day))
		b = appendHashes(b, s.limits[i].limit[:])
	}
	inline := maxInlineHashes
	for i := range s.hashes {
		b = binary.AppendUvarint(b, uint64(len(s.hashes[i])))
	}
	for i := range s.hashes {
		n := min(inline, len(s.hashes[i]))
		b = appendHashes(b, s.hashes[i][:n])
		inline -= n
	}
	b = appendEntries(b, s.recent, s.feedback)
	return seal(b, from)
}

// decodedBase is a base record: hashes holds the inline ones, to which chunks are appended.
type decodedBase struct {
	base      base
	offset    int64
	corrected bool
	hashes    []uint64
	sizes     [numSets]int // of the sets
}

// decodeBase reads a base record.
func decodeBase(value []byte, t *contents) (*decodedBase, error) {
	body, err := unseal(value)
	if err != nil {
		return nil, err
	}
	r := decoder{b: body}
	var out decodedBase
	s := &out.base
	out.offset = r.count() - 1
	out.corrected = r.byte()&1 != 0
	s.events, s.first = r.count(), int64(r.upTo(maxMillis))
	s.last = s.first + int64(r.upTo(maxMillis))
	s.orders, s.firstOrder = r.count(), int64(r.upTo(maxMillis))
	s.lastOrder = s.firstOrder + int64(r.upTo(maxMillis))
	s.revenue, s.kafkaMillis = r.varint(), r.varint()
	sums := r.dayTiles(s)
	r.limits(s)
	left := maxInlineHashes
	for i := range out.sizes {
		out.sizes[i] = int(r.upTo(math.MaxInt32))
		if out.sizes[i] != sums[i] {
			r.fail("hashes")
		}
	}
	for _, n := range out.sizes {
		n = min(n, left)
		left -= n
		if n*hashBytes > len(r.b)-r.i {
			r.fail("hashes")
			break
		}
		out.hashes = r.hashes(out.hashes, n)
	}
	s.recent, s.feedback = r.entries(nil, t)
	s.closed = s.summary
	if err := r.ended(); err != nil {
		return nil, err
	}
	return &out, nil
}

// dayTiles reads the tiles and returns how many hashes of each set stand under them.
func (d *decoder) dayTiles(s *base) (sums [numSets]int) {
	n := d.length(1 + 1 + numSets + minCountsBytes)
	if n > 2*keptDays {
		d.fail("tiles")
	}
	if n == 0 || d.what != "" {
		return sums
	}
	s.tiles = make([]dayTile, n)
	day := uint64(0)
	for i := range s.tiles {
		t := &s.tiles[i]
		step := d.upTo(maxMillis / dayMillis)
		if day += step; day > maxMillis/dayMillis || i > 0 && step == 0 {
			d.fail("tile")
			return sums
		}
		t.day = int32(day)
		v := d.uvarint()
		t.bits = v>>2 | v<<62
		for k := range t.distinct {
			t.distinct[k] = uint16(d.upTo(sketchSize))
			sums[k] += int(t.distinct[k])
		}
		d.counts(&t.counts)
	}
	return sums
}

func (d *decoder) limits(s *base) {
	n := d.length(1 + numSets*hashBytes)
	if n == 0 {
		return
	}
	s.limits = make([]dayLimit, n)
	for i := range s.limits {
		s.limits[i].day = int32(d.upTo(maxMillis / dayMillis))
		copy(s.limits[i].limit[:], d.hashes(make([]uint64, 0, numSets), numSets))
	}
}

// setHashes gives the base its hashes, inline ones and chunks together.
func (b *decodedBase) setHashes(all []uint64) bool {
	if len(all) != b.sizes[products]+b.sizes[categories] {
		return false
	}
	for i, n := range b.sizes {
		if n > 0 {
			b.base.hashes[i] = append(make([]uint64, 0, n), all[:n]...)
		}
		all = all[n:]
	}
	return true
}
