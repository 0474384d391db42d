package wire

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"sync"
)

const (
	batchHeaderBytes = 61 // base offset .. record count

	attrCodec     = 7
	attrLogAppend = 1 << 3
	attrTxn       = 1 << 4
	attrControl   = 1 << 5
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Builder collects the records of one batch. It copies what it is given and allocates nothing once warm.
// The zero value is ready; a Builder is used by one goroutine.
type Builder struct {
	recs    []byte // encoded records
	n       int32
	firstTs int64
	maxTs   int64
	largest int // bytes of the largest record
	out     *[]byte
}

// outs keeps the memory of encoded batches. A builder needs some only from its encoding until it is emptied, and there
// are many builders, most of which wait.
var outs = sync.Pool{New: func() any {
	b := make([]byte, batchHeaderBytes, 64<<10)
	return &b
}}

// Reset empties the builder and keeps its memory, but for what it has encoded.
func (b *Builder) Reset() {
	b.recs, b.n, b.largest = b.recs[:0], 0, 0
	if b.out != nil {
		outs.Put(b.out)
		b.out = nil
	}
}

// Len returns the number of records.
func (b *Builder) Len() int { return int(b.n) }

// Bytes returns the uncompressed size of the batch, its header included.
func (b *Builder) Bytes() int { return batchHeaderBytes + len(b.recs) }

// Add appends a record. timestampMillis is ignored by topics that stamp at append; nil key and value are null.
func (b *Builder) Add(timestampMillis int64, key, value []byte, headers ...Header) {
	if b.n == 0 {
		b.firstTs, b.maxTs = timestampMillis, timestampMillis
	} else if timestampMillis > b.maxTs {
		b.maxTs = timestampMillis
	}
	td, od := timestampMillis-b.firstTs, int64(b.n)
	size := 1 + varintLen(td) + varintLen(od) + bytesLen(key) + bytesLen(value) + varintLen(int64(len(headers)))
	for i := range headers {
		k := len(headers[i].Key)
		size += varintLen(int64(k)) + k + bytesLen(headers[i].Value)
	}
	start := len(b.recs)
	r := binary.AppendVarint(b.recs, int64(size))
	r = append(r, 0) // attributes, unused
	r = binary.AppendVarint(r, td)
	r = binary.AppendVarint(r, od)
	r = appendBytes(r, key)
	r = appendBytes(r, value)
	r = binary.AppendVarint(r, int64(len(headers)))
	for i := range headers {
		r = binary.AppendVarint(r, int64(len(headers[i].Key)))
		r = append(r, headers[i].Key...)
		r = appendBytes(r, headers[i].Value)
	}
	b.largest = max(b.largest, len(r)-start)
	b.recs = r
	b.n++
}

func bytesLen(p []byte) int {
	if p == nil {
		return 1 // varint -1
	}
	return varintLen(int64(len(p))) + len(p)
}

func appendBytes(dst, p []byte) []byte {
	if p == nil {
		return binary.AppendVarint(dst, -1)
	}
	return append(binary.AppendVarint(dst, int64(len(p))), p...)
}

// stamp is what a producer writes into a batch header.
type stamp struct {
	producerID  int64
	epoch       int16
	sequence    int32
	transaction bool
}

// unstamped is for batches outside any producer session.
var unstamped = stamp{producerID: -1, epoch: -1, sequence: -1}

// Encode returns the records as one record batch v2 without a producer session. The slice belongs to the builder, until
// its next call.
func (b *Builder) Encode(c Codec) ([]byte, error) { return b.encode(c, unstamped) }

func (b *Builder) encode(c Codec, s stamp) ([]byte, error) {
	if b.out == nil {
		b.out = outs.Get().(*[]byte)
	}
	o, err := compress(c, (*b.out)[:batchHeaderBytes], b.recs)
	if err != nil {
		return nil, err
	}
	attrs := uint16(c)
	if s.transaction {
		attrs |= attrTxn
	}
	be := binary.BigEndian
	be.PutUint64(o[0:], 0) // the broker assigns the base offset
	be.PutUint32(o[8:], uint32(len(o)-12))
	be.PutUint32(o[12:], math.MaxUint32) // leader epoch: unknown
	o[16] = 2
	be.PutUint16(o[21:], attrs)
	be.PutUint32(o[23:], uint32(b.n-1))
	be.PutUint64(o[27:], uint64(b.firstTs))
	be.PutUint64(o[35:], uint64(b.maxTs))
	be.PutUint64(o[43:], uint64(s.producerID))
	be.PutUint16(o[51:], uint16(s.epoch))
	be.PutUint32(o[53:], uint32(s.sequence))
	be.PutUint32(o[57:], uint32(b.n))
	be.PutUint32(o[17:], crc32.Checksum(o[21:], castagnoli))
	*b.out = o
	return o, nil
}

// forget gives up the encoded bytes: a request that failed may still be reading them.
func (b *Builder) forget() { b.out = nil }

// split moves the records into two builders, the first half and the rest, in order.
func (b *Builder) split() (first, second *Builder) {
	first, second = new(Builder), new(Builder)
	var d Decoder
	raw, err := (&Builder{recs: b.recs, n: b.n, firstTs: b.firstTs, maxTs: b.maxTs}).Encode(None)
	if err != nil {
		panic("bug: encoding without a codec: " + err.Error())
	}
	d.Reset(raw, 0, nil)
	var hs []Header
	for r := d.Next(); r != nil; r = d.Next() {
		dst := first
		if r.Offset >= int64(b.n/2) {
			dst = second
		}
		hs = r.AppendHeaders(hs[:0])
		dst.Add(r.Timestamp, r.Key, r.Value, hs...)
	}
	return first, second
}
