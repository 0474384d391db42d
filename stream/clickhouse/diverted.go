package clickhouse

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// Diverted is one record of the DLQ or late topic.
type Diverted struct {
	SourceTopic     string
	SourcePartition int32
	SourceEpoch     int32
	SourceOffset    int64
	Reason, Field   string
	Key, Value      []byte
	Truncated       bool
	KafkaMillis     int64 // Kafka timestamp of the source record
	Offset          int64 // of the record in the DLQ or late topic; becomes row_version
}

// Positions of the columns of divertedRows.
const (
	divTopic = iota
	divPartition
	divOffset
	divReason
	divField
	divKey
	divValue
	divTruncated
	divKafkaTime
	divVersion
	divEpoch
)

var divertedRows = arrow.NewSchema([]arrow.Field{
	{Name: "source_topic", Type: arrow.BinaryTypes.String},
	{Name: "source_partition", Type: arrow.PrimitiveTypes.Int32},
	{Name: "source_offset", Type: arrow.PrimitiveTypes.Int64},
	{Name: "reason", Type: arrow.BinaryTypes.String},
	{Name: "field", Type: arrow.BinaryTypes.String},
	{Name: "key", Type: arrow.BinaryTypes.Binary},
	{Name: "value", Type: arrow.BinaryTypes.Binary},
	{Name: "truncated", Type: arrow.FixedWidthTypes.Boolean},
	{Name: "kafka_timestamp", Type: &arrow.TimestampType{Unit: arrow.Millisecond, TimeZone: "UTC"}},
	{Name: "row_version", Type: arrow.PrimitiveTypes.Int64},
	{Name: "source_epoch", Type: arrow.PrimitiveTypes.Int32},
}, nil)

func divertedColumns() []column {
	return []column{
		wordColumn("source_topic", divTopic),
		fixed("source_partition", "Int32", divPartition, 4),
		fixed("source_offset", "Int64", divOffset, 8),
		wordColumn("reason", divReason),
		wordColumn("field", divField),
		text("key", divKey),
		text("value", divValue),
		boolean("truncated", divTruncated),
		fixed("kafka_timestamp", timeType, divKafkaTime, 8),
		fixed("row_version", "UInt64", divVersion, 8),
		fixed("source_epoch", "Int32", divEpoch, 4),
	}
}

// divertedRecord makes an Arrow record of diverted records.
func divertedRecord(rows []Diverted) arrow.Record {
	b := array.NewRecordBuilder(memory.DefaultAllocator, divertedRows)
	defer b.Release()
	for _, r := range rows {
		b.Field(divTopic).(*array.StringBuilder).Append(r.SourceTopic)
		b.Field(divPartition).(*array.Int32Builder).Append(r.SourcePartition)
		b.Field(divOffset).(*array.Int64Builder).Append(r.SourceOffset)
		b.Field(divReason).(*array.StringBuilder).Append(r.Reason)
		b.Field(divField).(*array.StringBuilder).Append(r.Field)
		b.Field(divKey).(*array.BinaryBuilder).Append(nonNil(r.Key))
		b.Field(divValue).(*array.BinaryBuilder).Append(nonNil(r.Value))
		b.Field(divTruncated).(*array.BooleanBuilder).Append(r.Truncated)
		b.Field(divKafkaTime).(*array.TimestampBuilder).Append(arrow.Timestamp(r.KafkaMillis))
		b.Field(divVersion).(*array.Int64Builder).Append(r.Offset)
		b.Field(divEpoch).(*array.Int32Builder).Append(r.SourceEpoch)
	}
	return b.NewRecord()
}

func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
