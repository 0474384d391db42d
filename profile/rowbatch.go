package profile

import (
	"github.com/apache/arrow/go/v17/arrow"

	"profilestream/schemas"
)

// Columns of eight bytes in a batch's slab: as_of, version, digest, kafka_time, the features,
// feedback_at.
const (
	slabAsOf = iota
	slabVersion
	slabDigest
	slabKafka
	slabFeatures
	slabFeedbackAt = slabFeatures + schemas.NumFeatures
	slabColumns    = slabFeedbackAt + 1
)

const (
	firstRows = 64
	// What is reused at most, in rows: a backlog's batch must not stay for ever.
	maxKeptRows = 1 << 13
	// Columns of a power-of-two length would all fall on the same cache sets.
	slabPad = 8
	// fixedRowBytes is what a row takes besides its strings and list entries.
	fixedRowBytes = slabColumns*8 + 4 + 1 + 4 + 4 + 4 + 4 // columns, ends of strings and lists
	entryBytes    = 1 + 8 + 3*4
)

// RowBatch collects rows in the columns of schemas.WindowRows, in the layout of Arrow.
type RowBatch struct {
	*columns
	partition int32
	spare     *columns     // to be used next
	lent      *columns     // of the record taken last
	taken     arrow.Record // that record
	buf       []byte
}

// columns are the memory of a batch.
type columns struct {
	n, rows  int     // rows held, rows that the slab has room for
	slab     []int64 // slabColumns columns of rows+slabPad values
	user     stringColumn
	trigger  []uint8
	flags    []uint32
	log      []int32 // log partition
	hasOrder []byte  // validity, one bit a row
	hasGap   []byte
	hasText  []byte

	listEnds []int32 // ends of the rows' lists
	kind     []uint8
	at       []int64
	id       stringColumn
	name     stringColumn
	category stringColumn
	text     stringColumn
}

// stringColumn is an Arrow utf8 column: offsets from 0, and the bytes.
type stringColumn struct {
	ends []int32
	data []byte
}

func (c *stringColumn) add(s string) {
	c.data = append(c.data, s...)
	c.ends = append(c.ends, int32(len(c.data)))
}

func newRowBatch(partition int32) *RowBatch {
	b := &RowBatch{partition: partition}
	b.reset()
	return b
}

// reset starts an empty batch, in memory given back if there is some.
func (b *RowBatch) reset() {
	c := b.spare
	if c == nil {
		c = new(columns)
	}
	b.columns, b.spare = c, nil
	c.n = 0
	clear(c.hasOrder)
	clear(c.hasGap)
	clear(c.hasText)
	c.trigger, c.flags, c.log, c.kind, c.at = c.trigger[:0], c.flags[:0], c.log[:0], c.kind[:0], c.at[:0]
	c.listEnds = append(c.listEnds[:0], 0)
	for _, s := range []*stringColumn{&c.user, &c.id, &c.name, &c.category, &c.text} {
		s.ends, s.data = append(s.ends[:0], 0), s.data[:0]
	}
}

// Len is the number of rows held.
func (b *RowBatch) Len() int { return b.n }

// Bytes is about the size of the rows held as an Arrow message, uncompressed.
func (b *RowBatch) Bytes() int {
	return b.n*fixedRowBytes + len(b.kind)*entryBytes + len(b.user.data) + len(b.id.data) +
		len(b.name.data) + len(b.category.data) + len(b.text.data)
}

// add appends a row.
func (b *RowBatch) add(user string, asOf, version int64, trigger uint8, r *row) {
	if b.n == b.rows {
		b.grow()
	}
	stride := b.rows + slabPad
	i := b.n
	var digest uint64
	digest, b.buf = r.digest(b.buf, user, asOf)
	b.slab[slabAsOf*stride+i] = asOf
	b.slab[slabVersion*stride+i] = version
	b.slab[slabDigest*stride+i] = int64(digest)
	b.slab[slabKafka*stride+i] = r.kafkaMillis
	at := slabFeatures*stride + i
	for _, v := range &r.features {
		b.slab[at] = v
		at += stride
	}
	b.user.add(user)
	b.trigger = append(b.trigger, trigger)
	b.log = append(b.log, b.partition)
	b.flags = append(b.flags, r.flags)
	b.addLists(r)
	setBit(b.hasOrder, i, r.hasOrder)
	setBit(b.hasGap, i, r.hasGap)
	if setBit(b.hasText, i, r.feedback.c != nil); r.feedback.c != nil {
		b.slab[slabFeedbackAt*stride+i] = r.feedback.atMillis()
		b.text.add(r.feedback.c.name())
	} else {
		b.slab[slabFeedbackAt*stride+i] = 0
		b.text.add("")
	}
	b.n++
}

func (b *RowBatch) addLists(r *row) {
	for _, e := range r.recent {
		b.kind = append(b.kind, e.kind())
		b.at = append(b.at, e.atMillis())
		text := e.c.text()
		b.id.add(text[:e.c.idEnd])
		b.name.add(text[e.c.idEnd:e.c.nameEnd])
		b.category.add(text[e.c.nameEnd:])
	}
	b.listEnds = append(b.listEnds, int32(len(b.kind)))
}

// grow doubles the room.
func (b *RowBatch) grow() {
	rows := max(firstRows, 2*b.rows)
	slab := make([]int64, slabColumns*(rows+slabPad))
	for c := 0; b.n > 0 && c < slabColumns; c++ {
		copy(slab[c*(rows+slabPad):], b.slab[c*(b.rows+slabPad):][:b.n])
	}
	b.slab, b.rows = slab, rows
	for _, v := range []*[]byte{&b.hasOrder, &b.hasGap, &b.hasText} {
		*v = append(make([]byte, 0, rows/8), *v...)[:rows/8]
	}
}

func setBit(bits []byte, i int, on bool) {
	if on {
		bits[i/8] |= 1 << (i % 8)
	}
}
