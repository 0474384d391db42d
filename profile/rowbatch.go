package profile

import (
	"unsafe"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

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
	// What a new batch makes ready at most, in rows (or list entries) and bytes of text.
	maxKeptRows = 1 << 14
	maxKeptText = 1 << 20
	// Columns of a power-of-two length would all fall on the same cache sets.
	slabPad = 8
	// fixedRowBytes is what a row takes besides its strings and list entries.
	fixedRowBytes = slabColumns*8 + 4 + 1 + 4 + 4 + 4 + 4 // columns, ends of strings and lists
	entryBytes    = 1 + 8 + 3*4
)

// RowBatch collects rows in the columns of schemas.WindowRows, in the layout of Arrow.
type RowBatch struct {
	partition int32
	n, rows   int     // rows held, rows that the slab has room for
	hint      int     // rows to make room for at first
	slab      []int64 // slabColumns columns of rows+slabPad values
	user      stringColumn
	trigger   []uint8
	flags     []uint32
	hasOrder  []byte // validity, one bit a row
	hasGap    []byte
	hasText   []byte

	listEnds []int32 // ends of the rows' lists
	kind     []uint8
	at       []int64
	id       stringColumn
	name     stringColumn
	category stringColumn
	text     stringColumn

	buf []byte
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

func (c *stringColumn) reset() {
	c.ends = append(make([]int32, 0, room(len(c.ends))+1), 0)
	c.data = make([]byte, 0, min(len(c.data)+len(c.data)/4, maxKeptText))
}

func newRowBatch(partition int32) *RowBatch {
	b := &RowBatch{partition: partition}
	b.reset()
	return b
}

// room is how much to make ready where n were needed last time.
func room(n int) int { return min(n+n/8, maxKeptRows) }

// reset starts new columns, about as large as the last ones grew: those are Arrow's now.
func (b *RowBatch) reset() {
	b.hint = room(b.n)
	b.n, b.rows, b.slab = 0, 0, nil
	b.trigger = make([]uint8, 0, b.hint)
	b.flags = make([]uint32, 0, b.hint)
	b.kind = make([]uint8, 0, room(len(b.kind)))
	b.at = make([]int64, 0, room(len(b.at)))
	b.hasOrder, b.hasGap, b.hasText = nil, nil, nil
	b.listEnds = append(make([]int32, 0, b.hint+1), 0)
	for _, c := range []*stringColumn{&b.user, &b.id, &b.name, &b.category, &b.text} {
		c.reset()
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
	b.flags = append(b.flags, r.flags)
	b.addLists(r)
	setBit(b.hasOrder, i, r.hasOrder)
	setBit(b.hasGap, i, r.hasGap)
	if setBit(b.hasText, i, r.feedback.c != nil); r.feedback.c != nil {
		b.slab[slabFeedbackAt*stride+i] = r.feedback.atMillis()
		b.text.add(r.feedback.c.name())
	} else {
		b.text.add("")
	}
	b.n++
}

func (b *RowBatch) addLists(r *row) {
	for _, e := range r.recent {
		b.kind = append(b.kind, e.kind())
		b.at = append(b.at, e.atMillis())
		b.id.add(e.c.id())
		b.name.add(e.c.name())
		b.category.add(e.c.category())
	}
	b.listEnds = append(b.listEnds, int32(len(b.kind)))
}

// grow doubles the room.
func (b *RowBatch) grow() {
	rows := max(firstRows, 2*b.rows, (b.hint+63)&^63)
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

// Take returns the rows as an Arrow record of schemas.WindowRows and empties the batch. The
// caller releases the record. An empty batch gives a record without rows.
func (b *RowBatch) Take() arrow.Record {
	if b.n == 0 {
		b.grow()
	}
	cols := make([]arrow.Array, 0, schemas.NumWindowColumns)
	defer func() {
		for _, c := range cols {
			c.Release()
		}
	}()
	stride := b.rows + slabPad
	wide := func(col, slab int, valid []byte) {
		cols = append(cols, fixed(schemas.WindowRows.Field(col).Type, b.slab[slab*stride:][:b.n], valid))
	}
	field := func(col int) arrow.DataType { return schemas.WindowRows.Field(col).Type }
	partitions := make([]int32, b.n)
	for i := range partitions {
		partitions[i] = b.partition
	}
	cols = append(cols, b.user.array(nil))
	wide(schemas.ColAsOf, slabAsOf, nil)
	wide(schemas.ColVersion, slabVersion, nil)
	cols = append(cols, fixed(field(schemas.ColTrigger), b.trigger, nil))
	wide(schemas.ColDigest, slabDigest, nil)
	cols = append(cols, fixed(field(schemas.ColLogPartition), partitions, nil))
	wide(schemas.ColKafkaTime, slabKafka, nil)
	cols = append(cols, fixed(field(schemas.ColFlags), b.flags, nil))
	for f := range schemas.NumFeatures {
		var valid []byte
		switch f {
		case schemas.Life(schemas.LastOrderAt), schemas.Life(schemas.DaysSinceLastOrder):
			valid = b.hasOrder
		case schemas.Life(schemas.MeanOrderGapDays):
			valid = b.hasGap
		}
		wide(schemas.ColFeatures+f, slabFeatures+f, valid)
	}
	cols = append(cols, b.lists(), b.text.array(b.hasText))
	wide(schemas.ColFeedbackAt, slabFeedbackAt, b.hasText)
	rec := array.NewRecord(schemas.WindowRows, cols, int64(b.n))
	b.reset()
	return rec
}

func (b *RowBatch) lists() arrow.Array {
	kind := fixed(arrow.PrimitiveTypes.Uint8, b.kind, nil)
	at := fixed(schemas.RecentType.Field(1).Type, b.at, nil)
	id, name, category := b.id.array(nil), b.name.array(nil), b.category.array(nil)
	fields := []arrow.ArrayData{kind.Data(), at.Data(), id.Data(), name.Data(), category.Data()}
	entries := array.NewData(schemas.RecentType, len(b.kind), []*memory.Buffer{nil}, fields, 0, 0)
	list := array.NewData(schemas.WindowRows.Field(schemas.ColRecent).Type, b.n,
		[]*memory.Buffer{nil, bufferOf(b.listEnds)}, []arrow.ArrayData{entries}, 0, 0)
	return array.MakeFromData(list)
}

func (c *stringColumn) array(valid []byte) arrow.Array {
	n := len(c.ends) - 1
	return array.MakeFromData(array.NewData(arrow.BinaryTypes.String, n,
		[]*memory.Buffer{validity(valid), bufferOf(c.ends), memory.NewBufferBytes(c.data)}, nil, nulls(valid, n), 0))
}

func fixed[T uint8 | int32 | uint32 | int64](t arrow.DataType, values []T, valid []byte) arrow.Array {
	return array.MakeFromData(array.NewData(t, len(values),
		[]*memory.Buffer{validity(valid), bufferOf(values)}, nil, nulls(valid, len(values)), 0))
}

func validity(valid []byte) *memory.Buffer {
	if valid == nil {
		return nil
	}
	return memory.NewBufferBytes(valid)
}

func nulls(valid []byte, n int) int {
	if valid == nil {
		return 0
	}
	return array.UnknownNullCount
}

// bufferOf lends a slice's memory to Arrow: it must not be changed any more.
func bufferOf[T any](s []T) *memory.Buffer {
	var zero T
	if len(s) == 0 {
		return memory.NewBufferBytes(nil)
	}
	return memory.NewBufferBytes(unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), len(s)*int(unsafe.Sizeof(zero))))
}
