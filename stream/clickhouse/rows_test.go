package clickhouse

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"profilestream/schemas"
)

// rowSpec describes the generated rows of scoredRows.
type rowSpec struct {
	users   int
	first   int   // number of the first user
	version int64 // log offset of every row
	asOf    int64 // milliseconds; kafka_time is the same
	trigger uint8
	kafka   int64
}

// scoredRows makes a record of schemas.ScoredRows whose values are functions
// of the user's number, so that tests can compute what ClickHouse must hold.
// Every 7th user has no order, every 11th is degraded.
func scoredRows(s rowSpec) arrow.Record {
	b := array.NewRecordBuilder(memory.DefaultAllocator, schemas.ScoredRows)
	defer b.Release()
	for u := s.first; u < s.first+s.users; u++ {
		appendScored(b, s, u)
	}
	return b.NewRecord()
}

func userID(u int) string { return fmt.Sprintf("user-%06d-ü", u) }

func appendScored(b *array.RecordBuilder, s rowSpec, u int) {
	b.Field(schemas.ColUserID).(*array.StringBuilder).Append(userID(u))
	b.Field(schemas.ColAsOf).(*array.TimestampBuilder).Append(arrow.Timestamp(s.asOf))
	b.Field(schemas.ColVersion).(*array.Int64Builder).Append(s.version)
	b.Field(schemas.ColTrigger).(*array.Uint8Builder).Append(s.trigger)
	b.Field(schemas.ColDigest).(*array.Uint64Builder).Append(uint64(u) * 0x9e3779b97f4a7c15)
	b.Field(schemas.ColLogPartition).(*array.Int32Builder).Append(int32(u % 8))
	b.Field(schemas.ColKafkaTime).(*array.TimestampBuilder).Append(arrow.Timestamp(s.kafka))
	b.Field(schemas.ColFlags).(*array.Uint32Builder).Append(uint32(u % 4))
	for i, f := range schemas.Features {
		appendFeature(b.Field(schemas.ColFeatures+i), f, featureValue(u, i), u%7 == 0)
	}
	vector := b.Field(schemas.ColEmbedding).(*array.FixedSizeListBuilder)
	if u%11 == 0 {
		vector.AppendNull()
	} else {
		vector.Append(true)
		for _, x := range unitVector(u) {
			vector.ValueBuilder().(*array.Float32Builder).Append(x)
		}
	}
	b.Field(schemas.ColChurn).(*array.Float32Builder).Append(churnOf(u))
	b.Field(schemas.ColChurnBand).(*array.StringBuilder).Append([]string{"low", "medium", "high"}[u%3])
	b.Field(schemas.ColValue).(*array.Float32Builder).Append(float32(u % 500))
	b.Field(schemas.ColValueBand).(*array.StringBuilder).Append([]string{"low", "mid", "high"}[u%5%3])
	interests := b.Field(schemas.ColInterests).(*array.MapBuilder)
	interests.Append(true)
	for k := range u % 3 {
		interests.KeyBuilder().(*array.StringBuilder).Append(fmt.Sprintf("category %d", k))
		interests.ItemBuilder().(*array.Float32Builder).Append(1 / float32(u%3))
	}
	if u%2 == 0 {
		b.Field(schemas.ColSentiment).AppendNull()
	} else {
		b.Field(schemas.ColSentiment).(*array.Float32Builder).Append(-0.5)
	}
	reasons := b.Field(schemas.ColReasons).(*array.ListBuilder)
	reasons.Append(true)
	entry := reasons.ValueBuilder().(*array.StructBuilder)
	for k := range u % 4 {
		entry.Append(true)
		entry.FieldBuilder(0).(*array.StringBuilder).Append(schemas.Features[k].Name)
		entry.FieldBuilder(1).(*array.Float32Builder).Append(float32(u) - float32(k))
	}
	b.Field(schemas.ColDegraded).(*array.BooleanBuilder).Append(u%11 == 0)
	b.Field(schemas.ColModelVersion).(*array.StringBuilder).Append("bundle-1/f32")
	b.Field(schemas.ColScoredAt).(*array.TimestampBuilder).Append(arrow.Timestamp(s.asOf + 1))
}

func appendFeature(b array.Builder, f schemas.Feature, v int64, null bool) {
	if null && f.Nullable {
		b.AppendNull()
		return
	}
	switch b := b.(type) {
	case *array.Int64Builder:
		b.Append(v)
	case *array.TimestampBuilder:
		b.Append(arrow.Timestamp(v))
	case *array.Float64Builder:
		b.Append(float64(v) / 4)
	}
}

// featureValue is feature i of user u: a moment for times, else a number that
// is negative for some money features.
func featureValue(u, i int) int64 {
	switch schemas.Features[i].Type {
	case schemas.Time:
		return 1_700_000_000_000 + int64(u)*1000 + int64(i)
	case schemas.Money:
		return int64(u-50)*1_234_567 + int64(i)
	default:
		return int64(u*31 + i)
	}
}

func churnOf(u int) float32 { return float32(u%1000) / 1000 }

func unitVector(u int) []float32 {
	r := rand.New(rand.NewPCG(uint64(u), 1))
	v := make([]float32, schemas.EmbeddingDim)
	sum := 0.0
	for i := range v {
		v[i] = float32(r.NormFloat64())
		sum += float64(v[i]) * float64(v[i])
	}
	for i := range v {
		v[i] /= float32(math.Sqrt(sum))
	}
	return v
}

// accountingRows makes one row of schemas.AccountingRows a value.
type accountingRow struct {
	topic                                              string
	source, log                                        int32
	version                                            int64
	records, rejected, applied, duplicates, late, hots int64
}

func accountingRows(rows ...accountingRow) arrow.Record {
	b := array.NewRecordBuilder(memory.DefaultAllocator, schemas.AccountingRows)
	defer b.Release()
	for _, r := range rows {
		b.Field(schemas.AccSourceTopic).(*array.StringBuilder).Append(r.topic)
		b.Field(schemas.AccSourcePartition).(*array.Int32Builder).Append(r.source)
		b.Field(schemas.AccLogPartition).(*array.Int32Builder).Append(r.log)
		for col, v := range map[int]int64{
			schemas.AccVersion: r.version, schemas.AccRecords: r.records, schemas.AccRejected: r.rejected, schemas.AccApplied: r.applied,
			schemas.AccDuplicates: r.duplicates, schemas.AccLate: r.late, schemas.AccHot: r.hots,
		} {
			b.Field(col).(*array.Int64Builder).Append(v)
		}
		b.Field(schemas.AccWatermark).(*array.TimestampBuilder).Append(1_700_000_000_000)
	}
	return b.NewRecord()
}
