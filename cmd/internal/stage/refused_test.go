package stage

import (
	"errors"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"profilestream/schemas"
	"profilestream/stream/clickhouse"
	"profilestream/stream/wire"
)

// TestRefusedRowsAreKept: a row that ClickHouse does not take is in the DLQ with
// its place in the log and its time; a refused row of another table stops.
func TestRefusedRowsAreKept(t *testing.T) {
	r := newRig(t)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schemas.ScoredRows)
	defer b.Release()
	for i := range schemas.ScoredRows.NumFields() {
		switch f := b.Field(i); i {
		case schemas.ColUserID:
			f.(*array.StringBuilder).Append("u1")
		case schemas.ColLogPartition:
			f.(*array.Int32Builder).Append(1)
		case schemas.ColVersion:
			f.(*array.Int64Builder).Append(77)
		case schemas.ColKafkaTime:
			f.(*array.TimestampBuilder).Append(arrow.Timestamp(day0.UnixMilli()))
		default:
			f.AppendEmptyValue()
		}
	}
	row := b.NewRecord()
	defer row.Release()
	topics := r.env.Config.Topics()
	k := &refused{client: r.c, topics: topics}
	r.must(k.keep(r.ctx(), clickhouse.Rejected{Table: "profiles", Record: row, Err: errors.New("a constraint")}))
	kept := 0
	for p := range int32(r.env.Config.Log.Partitions) {
		r.records(topics.DLQ, p, func(x *wire.Record) {
			kept++
			d, err := DivertedRow(x)
			r.must(err)
			if d.Reason != reasonRefused || d.SourceTopic != topics.Events || d.SourcePartition != 1 || d.SourceOffset != 77 || d.KafkaMillis != day0.UnixMilli() {
				t.Errorf("kept as %+v", d)
			}
			if !strings.Contains(string(d.Value), `"user_id":"u1"`) {
				t.Errorf("the row is %s", d.Value)
			}
		})
	}
	if kept != 1 {
		t.Errorf("%d rows are kept", kept)
	}
	why := errors.New("wrong schema")
	totals := array.NewRecordBuilder(memory.DefaultAllocator, schemas.AccountingRows)
	defer totals.Release()
	if err := k.keep(r.ctx(), clickhouse.Rejected{Table: "accounting", Record: totals.NewRecord(), Err: why}); !errors.Is(err, why) {
		t.Errorf("refused totals: %v", err)
	}
}
