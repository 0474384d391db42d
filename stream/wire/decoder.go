package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
)

// ErrCorrupt marks bytes that are not what a producer wrote: a wrong checksum, or a structure that contradicts itself.
var ErrCorrupt = errors.New("corrupt record batch")

var (
	errCodec = errors.New("unsupported codec")
	errMagic = errors.New("message format older than v2")
)

// Aborted names a transaction that was rolled back: its producer and the first offset it wrote.
type Aborted struct{ ProducerID, FirstOffset int64 }

// Decoder reads the records of a record set in order. It checks each batch's checksum and bounds, hides the broker's
// control batches and the records of aborted transactions, and leaves out records below the starting offset.
// A batch cut off at the end of the set is ignored: brokers cut at their size limit.
type Decoder struct {
	set      []byte
	from     int64
	next     int64
	aborted  []Aborted
	active   map[int64]struct{} // producers inside an aborted transaction
	verified bool               // checksums were checked by the fetcher
	err      error
	damaged  Damaged // of the batch that err is about
	behind   []byte  // what follows that batch; nil where its end is not known

	payload []byte // rest of the current batch's records
	left    int32
	base    int64
	last    int64
	ts      int64
	stamped bool // the broker's timestamp holds for all
	buf     []byte

	rec     Record
	pending bool  // rec was decoded but not handed out yet
	until   int64 // Next stops before a record with a larger timestamp
	room    int64 // and after this many records
	count   int64
	newest  int64 // timestamp of the last record handed out
}

// Reset points the decoder at a record set that was fetched from offset from. aborted must be ordered by first offset.
// The decoder keeps its buffers.
func (d *Decoder) Reset(set []byte, from int64, aborted []Aborted) {
	*d = Decoder{set: set, from: from, next: from, aborted: aborted, active: d.active, buf: d.buf, until: math.MaxInt64, room: math.MaxInt64}
	clear(d.active)
}

// Next returns the next record, or nil at the end, at a limit, or after an error (see Err).
func (d *Decoder) Next() *Record {
	if !d.pending && !d.advance() {
		return nil
	}
	if d.rec.Timestamp > d.until || d.room <= 0 {
		d.pending = true
		return nil
	}
	d.room--
	d.count++
	d.newest = d.rec.Timestamp
	d.pending = false
	d.next = d.rec.Offset + 1
	if d.left == 0 {
		d.next = d.last + 1 // steps over offsets that compaction took from the batch's end
	}
	return &d.rec
}

// Peek returns the next record without taking it.
func (d *Decoder) Peek() *Record {
	if !d.pending {
		d.pending = d.advance()
	}
	if !d.pending {
		return nil
	}
	return &d.rec
}

// Limit makes Next stop before a record stamped after untilMillis, and after n more records.
func (d *Decoder) Limit(untilMillis, n int64) { d.until, d.room = untilMillis, n }

// Count returns how many records Next has handed out since Reset, and the timestamp of the last one.
func (d *Decoder) Count() (records, lastTimestampMillis int64) { return d.count, d.newest }

// Err returns what ended the decoding early; it wraps ErrCorrupt where the bytes are bad.
func (d *Decoder) Err() error { return d.err }

// Offset returns the offset to go on from: one past everything handed out or rightly passed over.
func (d *Decoder) Offset() int64 { return d.next }

// Damaged is a batch that arrived as it was sent, by its checksum, and still cannot be read: bad compression, or
// records that contradict their lengths. First is the offset of the first record of it that was not handed out.
type Damaged struct {
	First, Last     int64
	TimestampMillis int64 // largest of the batch, by its header
}

// PassOver goes on behind a damaged batch. It reports false where decoding ended for another reason, or not at all:
// then there is nothing to go on with. What it passes over is the caller's to account for.
func (d *Decoder) PassOver() (Damaged, bool) {
	if d.err == nil || d.behind == nil {
		return Damaged{}, false
	}
	out := d.damaged
	out.First = max(out.First, d.next)
	d.set, d.behind, d.err = d.behind, nil, nil
	d.next = out.Last + 1
	return out, true
}

// failBatch is fail for a batch whose bounds are known: set already stands behind it.
func (d *Decoder) failBatch(err error) bool {
	behind := d.set
	if behind == nil {
		behind = []byte{}
	}
	d.fail(err)
	if errors.Is(d.err, ErrCorrupt) {
		d.behind = behind
	}
	return false
}

func (d *Decoder) fail(err error) bool {
	if !errors.Is(err, errCodec) && !errors.Is(err, errMagic) {
		err = fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	d.err = fmt.Errorf("decoding the batch at offset %d: %w", d.base, err)
	d.set, d.payload, d.left, d.pending = nil, nil, 0, false
	return false
}

// advance decodes the next visible record into rec.
func (d *Decoder) advance() bool {
	for {
		if d.left == 0 {
			if !d.nextBatch() {
				return false
			}
			continue
		}
		if err := d.record(); err != nil {
			return d.failBatch(err)
		}
		if d.rec.Offset >= d.from {
			return true
		}
		if d.left == 0 {
			d.next = max(d.next, d.last+1)
		}
	}
}

// batchHeader is the part of a batch that is not compressed.
type batchHeader struct {
	base, last int64
	size       int
	attrs      uint16
	firstTs    int64
	maxTs      int64
	producerID int64
	count      int32
}

// cutBatch reads the header of the first batch in set. done is true where no complete batch is left.
func cutBatch(set []byte) (h batchHeader, done bool, err error) {
	if len(set) < 17 {
		return h, true, nil
	}
	be := binary.BigEndian
	h.base = int64(be.Uint64(set))
	size := int64(be.Uint32(set[8:])) + 12
	if h.base < 0 || size > math.MaxInt32 || size < 17 {
		return h, false, fmt.Errorf("impossible length %d", size)
	}
	if size > int64(len(set)) {
		return h, true, nil
	}
	if set[16] != 2 {
		return h, false, fmt.Errorf("%w: magic %d", errMagic, set[16])
	}
	if size < batchHeaderBytes {
		return h, false, fmt.Errorf("impossible length %d", size)
	}
	h.size = int(size)
	h.attrs = be.Uint16(set[21:])
	delta := int32(be.Uint32(set[23:]))
	h.last = h.base + int64(delta)
	h.firstTs = int64(be.Uint64(set[27:]))
	h.maxTs = int64(be.Uint64(set[35:]))
	h.producerID = int64(be.Uint64(set[43:]))
	h.count = int32(be.Uint32(set[57:]))
	if delta < 0 || h.last < h.base || h.last == math.MaxInt64 || h.count < 0 || int64(h.count) > int64(delta)+1 {
		return h, false, fmt.Errorf("impossible counts: %d records, last delta %d", h.count, delta)
	}
	return h, false, nil
}

func checkCRC(batch []byte) bool {
	return crc32.Checksum(batch[21:], castagnoli) == binary.BigEndian.Uint32(batch[17:])
}

// nextBatch opens the next batch that has visible records. It returns false at the end.
func (d *Decoder) nextBatch() bool {
	h, done, err := cutBatch(d.set)
	if done {
		return false
	}
	d.base = h.base
	if err != nil {
		return d.fail(err)
	}
	batch := d.set[:h.size]
	d.set = d.set[h.size:]
	if !d.verified && !checkCRC(batch) {
		return d.fail(errors.New("checksum mismatch"))
	}
	for len(d.aborted) > 0 && d.aborted[0].FirstOffset <= h.last {
		if d.active == nil {
			d.active = make(map[int64]struct{})
		}
		d.active[d.aborted[0].ProducerID] = struct{}{}
		d.aborted = d.aborted[1:]
	}
	hidden := h.last < d.from || h.count == 0
	if h.attrs&attrControl != 0 {
		if len(d.active) > 0 && isAbortMarker(batch[batchHeaderBytes:]) {
			delete(d.active, h.producerID)
		}
		hidden = true
	} else if h.attrs&attrTxn != 0 && len(d.active) > 0 {
		if _, ok := d.active[h.producerID]; ok {
			hidden = true
		}
	}
	if hidden {
		d.next = max(d.next, h.last+1)
		return true
	}
	return d.open(h, batch[batchHeaderBytes:])
}

func (d *Decoder) open(h batchHeader, p []byte) bool {
	d.damaged = Damaged{First: max(h.base, d.from), Last: h.last, TimestampMillis: h.maxTs}
	codec := Codec(h.attrs & attrCodec)
	out, err := decompress(codec, p, d.buf, MaxDecodedBytes)
	if err != nil {
		return d.failBatch(fmt.Errorf("decompressing %v: %w", codec, err))
	}
	if codec != None {
		d.buf = out
	}
	// The smallest record takes seven bytes, so a larger count is a lie.
	if int64(h.count)*7 > int64(len(out)) {
		return d.failBatch(fmt.Errorf("%d records in %d bytes", h.count, len(out)))
	}
	d.payload, d.left, d.last = out, h.count, h.last
	d.stamped = h.attrs&attrLogAppend != 0
	d.ts = h.firstTs
	if d.stamped {
		d.ts = h.maxTs
	}
	return true
}

var errRecord = errors.New("malformed record")

func (d *Decoder) record() error {
	l, k := binary.Varint(d.payload)
	if k <= 0 || l < 1 || l > int64(len(d.payload)-k) {
		return errRecord
	}
	q := d.payload[k+1 : k+int(l)] // past the attributes
	d.payload = d.payload[k+int(l):]
	d.left--
	td, k := binary.Varint(q)
	if k <= 0 {
		return errRecord
	}
	q = q[k:]
	od, k := binary.Varint(q)
	if k <= 0 || od < 0 || od > d.last-d.base {
		return errRecord
	}
	q = q[k:]
	offset := d.base + od
	if offset < d.next && offset >= d.from {
		return fmt.Errorf("%w: offset %d comes after %d", errRecord, offset, d.next-1)
	}
	d.rec.Offset, d.rec.Timestamp = offset, d.ts
	if !d.stamped {
		d.rec.Timestamp += td
	}
	var ok bool
	if d.rec.Key, q, ok = cutBytes(q); !ok {
		return errRecord
	}
	if d.rec.Value, q, ok = cutBytes(q); !ok {
		return errRecord
	}
	d.rec.headers = q
	return nil
}

// isAbortMarker reads the key of a control record: version, then type, where 0 is abort.
func isAbortMarker(p []byte) bool {
	_, k := binary.Varint(p)
	if k <= 0 || len(p) < k+1 {
		return false
	}
	p = p[k+1:]
	for range 2 {
		if _, k = binary.Varint(p); k <= 0 {
			return false
		}
		p = p[k:]
	}
	key, _, ok := cutBytes(p)
	return ok && len(key) >= 4 && binary.BigEndian.Uint16(key[2:]) == 0
}
