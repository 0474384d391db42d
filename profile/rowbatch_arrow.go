package profile

import (
	"unsafe"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"profilestream/schemas"
)

// Take returns the rows as an Arrow record of schemas.WindowRows and empties the batch. The
// caller releases the record, or gives it to Recycle. An empty batch gives a record without rows.
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
	cols = append(cols, b.user.array(nil))
	wide(schemas.ColAsOf, slabAsOf, nil)
	wide(schemas.ColVersion, slabVersion, nil)
	cols = append(cols, fixed(field(schemas.ColTrigger), b.trigger, nil))
	wide(schemas.ColDigest, slabDigest, nil)
	cols = append(cols, fixed(field(schemas.ColLogPartition), b.log, nil))
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
	b.lent, b.taken = b.columns, rec
	b.reset()
	return rec
}

// Recycle releases a record that Take returned last and reuses its memory. Nothing may hold on to
// the record or to any value read from it, strings included; its encoded copy may be used.
func (b *RowBatch) Recycle(rec arrow.Record) {
	if rec == b.taken && b.lent.rows <= maxKeptRows {
		b.spare = b.lent
	}
	if rec == b.taken {
		b.lent, b.taken = nil, nil
	}
	rec.Release()
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
