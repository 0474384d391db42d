package profile

import (
	"encoding/binary"

	"github.com/zeebo/xxh3"

	"profilestream/schemas"
)

// digest hashes what a row says, without positions: user, as_of, features, flags, lists and
// feedback. Equal digests of two runs mean equal content. buf is scratch space.
//
// Layout, little-endian: uvarint length of the user id, the id, as_of, the features (8 bytes
// each, 0 where NULL), one byte of which nullable features are there, flags (4), the number of
// list entries (1), then for each entry and for the feedback (0, 0 if none): kind<<48 | time, and
// xxh3-64 of the lengths of id and name (2 bytes each), id, name and category.
func (r *row) digest(buf []byte, user string, asOf int64) (uint64, []byte) {
	le := binary.LittleEndian
	b := binary.AppendUvarint(buf[:0], uint64(len(user)))
	b = append(b, user...)
	b = le.AppendUint64(b, uint64(asOf))
	at := len(b)
	b = append(b, zeroFeatures[:]...)
	for i, v := range &r.features {
		le.PutUint64(b[at+8*i:], uint64(v))
	}
	var there byte
	if r.hasOrder {
		there |= 1
	}
	if r.hasGap {
		there |= 2
	}
	b = append(b, there)
	b = le.AppendUint32(b, r.flags)
	b = append(b, byte(len(r.recent)))
	for _, e := range r.recent {
		b = le.AppendUint64(b, uint64(e.kind())<<timeBits|uint64(e.atMillis()))
		b = le.AppendUint64(b, e.c.hash)
	}
	if e := r.feedback; e.c == nil {
		b = append(b, zeroFeatures[:16]...)
	} else {
		b = le.AppendUint64(b, uint64(e.kind())<<timeBits|uint64(e.atMillis()))
		b = le.AppendUint64(b, e.c.hash)
	}
	return xxh3.Hash(b), b
}

var zeroFeatures [8 * schemas.NumFeatures]byte
