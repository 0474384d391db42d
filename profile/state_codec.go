package profile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
)

// StateVersion is the version of the state records that this code writes. Readers accept it and
// the one before, so that a binary can be replaced while its state stays; there was none before 1.
const (
	StateVersion       = 1
	oldestStateVersion = max(StateVersion-1, 1)
)

// ErrStateVersion: a state record is of a version that this code does not know.
var ErrStateVersion = errors.New("state record of an unknown version")

// ErrStateCorrupt: a state record is not what was written, or some are missing.
var ErrStateCorrupt = errors.New("corrupt state record")

const checksumBytes = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal ends a state record that began at from: version, payload, CRC-32C of both.
func seal(b []byte, from int) []byte {
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[from:], castagnoli))
}

// unseal checks a state record and returns its payload.
func unseal(b []byte) ([]byte, error) {
	if len(b) < 1+checksumBytes {
		return nil, fmt.Errorf("%w: %d bytes", ErrStateCorrupt, len(b))
	}
	body, sum := b[:len(b)-checksumBytes], binary.LittleEndian.Uint32(b[len(b)-checksumBytes:])
	if crc32.Checksum(body, castagnoli) != sum {
		return nil, fmt.Errorf("%w: checksum", ErrStateCorrupt)
	}
	if v := body[0]; v < oldestStateVersion || v > StateVersion {
		return nil, fmt.Errorf("%w: %d; this program reads %d to %d, a newer one wrote it", ErrStateVersion, v, oldestStateVersion, StateVersion)
	}
	return body[1:], nil
}

// ended is the decoder's error, which also says that all was read.
func (d *decoder) ended() error {
	if d.what == "" && d.i != len(d.b) {
		d.fail("trailing bytes")
	}
	if d.what != "" {
		return fmt.Errorf("%w: %s", ErrStateCorrupt, d.what)
	}
	return nil
}

// Least bytes of the repeated parts: a count is checked against what is left before memory is
// taken for it.
const (
	minCountsBytes = 10
	minEntryBytes  = 5
	hashBytes      = 8
)

func appendCounts(b []byte, c *counts) []byte {
	for _, v := range [...]uint32{c.pageViews, c.productViews, c.searches, c.cartAdds, c.adClicks, c.refunds, c.orders, c.events} {
		b = binary.AppendUvarint(b, uint64(v))
	}
	return binary.AppendVarint(binary.AppendVarint(b, c.items), c.revenue)
}

func (d *decoder) counts(c *counts) {
	for _, v := range [...]*uint32{&c.pageViews, &c.productViews, &c.searches, &c.cartAdds, &c.adClicks, &c.refunds, &c.orders, &c.events} {
		*v = uint32(d.upTo(math.MaxUint32))
	}
	c.items, c.revenue = d.varint(), d.varint()
}

// upTo reads a number that must not be above most.
func (d *decoder) upTo(most uint64) uint64 {
	v := d.uvarint()
	if v > most {
		d.fail("number")
		return 0
	}
	return v
}

func appendHashes(b []byte, hashes []uint64) []byte {
	for _, h := range hashes {
		b = binary.LittleEndian.AppendUint64(b, h)
	}
	return b
}

// hashes appends n hashes to dst; n*8 bytes must be there.
func (d *decoder) hashes(dst []uint64, n int) []uint64 {
	b := d.bytes(n * hashBytes)
	for ; len(b) >= hashBytes; b = b[hashBytes:] {
		dst = append(dst, binary.LittleEndian.Uint64(b))
	}
	return dst
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func (d *decoder) text() []byte { return d.bytes(d.length(1)) }

func appendEntry(b []byte, e entry) []byte {
	b = append(b, e.kind())
	b = binary.AppendUvarint(b, uint64(e.atMillis()))
	b = appendText(b, e.c.id())
	b = appendText(b, e.c.name())
	return appendText(b, e.c.category())
}

func (d *decoder) entry(t *contents) entry {
	kind := d.byte()
	at := int64(d.upTo(maxMillis))
	id, name, category := d.text(), d.text(), d.text()
	if kind == 0 || kind >= recentKinds || len(id)+len(name)+len(category) > math.MaxUint16 {
		d.fail("list entry")
	}
	if d.what != "" {
		return entry{}
	}
	return newEntry(kind, at, t.internClipped(id, name, category))
}

func appendEntries(b []byte, list []entry, feedback entry) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, e := range list {
		b = appendEntry(b, e)
	}
	if feedback.c == nil {
		return append(b, 0)
	}
	return appendEntry(append(b, 1), feedback)
}

// entries reads the lists and the feedback. They are put in one by one, so that hostile bytes
// give ordered lists of the right length too.
func (d *decoder) entries(list []entry, t *contents) (_ []entry, feedback entry) {
	n := d.length(minEntryBytes)
	if n > maxRecent {
		d.fail("list")
		return nil, entry{}
	}
	list = slices.Grow(list, n)
	for range n {
		e := d.entry(t)
		if d.what != "" {
			return nil, entry{}
		}
		if e.kind() == kindFeedback {
			d.fail("list entry")
			return nil, entry{}
		}
		list = addRecent(list, e)
	}
	if d.byte() != 0 {
		if feedback = d.entry(t); d.what == "" && feedback.kind() != kindFeedback {
			d.fail("feedback")
		}
	}
	return list, feedback
}
