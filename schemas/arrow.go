package schemas

import (
	"github.com/apache/arrow/go/v17/arrow"
)

// Names and versions of the Arrow messages, as sent in the Kafka header
// HeaderSchema. Readers accept the version they know and the one before.
const (
	WindowRowsSchema     = "window-rows/1"
	ScoredRowsSchema     = "scored-rows/1"
	AccountingRowsSchema = "accounting-rows/1"
)

// Kafka headers of the messages between the stages.
const (
	HeaderSchema        = "schema"
	HeaderPromotion     = "promotion"
	HeaderConfigVersion = "config_version"
	// HeaderRows says which rows a message holds, RowsLive or RowsDay: the
	// trigger of a live row is what last touched the user, and does not tell.
	HeaderRows = "rows"
)

// Values of HeaderRows.
const (
	RowsLive = "live"
	RowsDay  = "day"
)

// EmbeddingDim is the length of a profile's embedding.
const EmbeddingDim = 384

// Triggers of a row, in the column "trigger".
const (
	TriggerLive uint8 = iota + 1
	TriggerDay
	TriggerSilence
	TriggerCorrection
)

// TriggerNames gives the word of contract and dashboards for each trigger.
var TriggerNames = [...]string{"", "live", "day", "silence", "correction"}

// Bits of the column "flags".
const (
	FlagBot uint32 = 1 << iota
	FlagHot
)

// Kinds of an entry of the column "recent".
const (
	RecentView uint8 = iota + 1
	RecentCart
	RecentPurchase
	RecentRefund
	RecentSearch
	RecentAdClick
)

// Positions of the columns of WindowRows that stand before the features.
const (
	ColUserID       = iota
	ColAsOf         // timestamp[ms, UTC]
	ColVersion      // int64, log offset of the record that caused the row
	ColTrigger      // uint8, one of Trigger*
	ColDigest       // uint64 over canonical content without positions
	ColLogPartition // int32
	ColKafkaTime    // timestamp[ms, UTC], Kafka time of the newest event in the row
	ColFlags        // uint32, bits Flag*
	ColFeatures     // the first feature; NumFeatures columns follow
)

// Positions of the columns of WindowRows after the features.
const (
	ColRecent       = ColFeatures + NumFeatures + iota // list of struct {kind, at, id, name, category}, newest first in each kind
	ColFeedbackText                                    // utf8, newest feedback; NULL if none
	ColFeedbackAt                                      // timestamp[ms, UTC]; NULL if none
	NumWindowColumns
)

// Positions of the columns of ScoredRows: the columns of WindowRows up to the
// features stand at the same positions, then follow the scores.
const (
	ColEmbedding    = ColFeatures + NumFeatures + iota // fixed_size_list<float32>[EmbeddingDim]; NULL if degraded
	ColChurn                                           // float32 in [0,1]
	ColChurnBand                                       // utf8: low, medium, high
	ColValue                                           // float32, expected spend in the next 90 days
	ColValueBand                                       // utf8: low, mid, high
	ColInterests                                       // map<utf8, float32>, at most 8, weights sum to 1
	ColSentiment                                       // float32 in [-1,1]; NULL without feedback
	ColReasons                                         // list of struct {feature, effect}, at most 5, effect in log-odds of churn
	ColDegraded                                        // bool
	ColModelVersion                                    // utf8
	ColScoredAt                                        // timestamp[ms, UTC]
	NumScoredColumns
)

var timestamp = &arrow.TimestampType{Unit: arrow.Millisecond, TimeZone: "UTC"}

// RecentType is the type of one entry of the column "recent".
var RecentType = arrow.StructOf(
	arrow.Field{Name: "kind", Type: arrow.PrimitiveTypes.Uint8},
	arrow.Field{Name: "at", Type: timestamp},
	arrow.Field{Name: "id", Type: arrow.BinaryTypes.String},
	arrow.Field{Name: "name", Type: arrow.BinaryTypes.String},
	arrow.Field{Name: "category", Type: arrow.BinaryTypes.String},
)

// ReasonType is the type of one entry of the column "reasons".
var ReasonType = arrow.StructOf(
	arrow.Field{Name: "feature", Type: arrow.BinaryTypes.String},
	arrow.Field{Name: "effect", Type: arrow.PrimitiveTypes.Float32},
)

// WindowRows is the schema of the messages of the topics windows and days.
var WindowRows = arrow.NewSchema(append(rowFields(),
	arrow.Field{Name: "recent", Type: arrow.ListOfNonNullable(RecentType)},
	arrow.Field{Name: "feedback_text", Type: arrow.BinaryTypes.String, Nullable: true},
	arrow.Field{Name: "feedback_at", Type: timestamp, Nullable: true},
), nil)

// ScoredRows is the schema of the scored rows of the topic scored.
var ScoredRows = arrow.NewSchema(append(rowFields(),
	arrow.Field{Name: "embedding", Type: arrow.FixedSizeListOfNonNullable(EmbeddingDim, arrow.PrimitiveTypes.Float32), Nullable: true},
	arrow.Field{Name: "churn_probability", Type: arrow.PrimitiveTypes.Float32},
	arrow.Field{Name: "churn_band", Type: arrow.BinaryTypes.String},
	arrow.Field{Name: "value_expected", Type: arrow.PrimitiveTypes.Float32},
	arrow.Field{Name: "value_band", Type: arrow.BinaryTypes.String},
	arrow.Field{Name: "interests", Type: arrow.MapOf(arrow.BinaryTypes.String, arrow.PrimitiveTypes.Float32)},
	arrow.Field{Name: "sentiment", Type: arrow.PrimitiveTypes.Float32, Nullable: true},
	arrow.Field{Name: "reasons", Type: arrow.ListOfNonNullable(ReasonType)},
	arrow.Field{Name: "degraded", Type: arrow.FixedWidthTypes.Boolean},
	arrow.Field{Name: "model_version", Type: arrow.BinaryTypes.String},
	arrow.Field{Name: "scored_at", Type: timestamp},
), nil)

// Positions of the columns of AccountingRows.
const (
	AccSourceTopic = iota
	AccSourcePartition
	AccLogPartition
	AccVersion    // int64, log offset up to which the row counts
	AccRecords    // int64, records read from the source partition (the same in every log partition)
	AccRejected   // int64, of these dead-lettered at admission
	AccApplied    // int64, events of this source applied in this log partition
	AccDuplicates // int64
	AccLate       // int64
	AccHot        // int64, dead-lettered by the cap of events a user and day
	AccWatermark  // timestamp[ms, UTC], w(s)
	NumAccountingColumns
)

// AccountingRows is the schema of the totals that windowing sends to the topic
// scored at each checkpoint: one row a source partition and log partition.
var AccountingRows = arrow.NewSchema([]arrow.Field{
	{Name: "source_topic", Type: arrow.BinaryTypes.String},
	{Name: "source_partition", Type: arrow.PrimitiveTypes.Int32},
	{Name: "log_partition", Type: arrow.PrimitiveTypes.Int32},
	{Name: "version", Type: arrow.PrimitiveTypes.Int64},
	{Name: "records", Type: arrow.PrimitiveTypes.Int64},
	{Name: "rejected", Type: arrow.PrimitiveTypes.Int64},
	{Name: "applied", Type: arrow.PrimitiveTypes.Int64},
	{Name: "duplicates", Type: arrow.PrimitiveTypes.Int64},
	{Name: "late", Type: arrow.PrimitiveTypes.Int64},
	{Name: "hot", Type: arrow.PrimitiveTypes.Int64},
	{Name: "watermark", Type: timestamp},
}, nil)

// ArrowType is the Arrow type of a feature's column.
func (t Type) ArrowType() arrow.DataType {
	switch t {
	case Time:
		return timestamp
	case Ratio:
		return arrow.PrimitiveTypes.Float64
	default:
		return arrow.PrimitiveTypes.Int64
	}
}

// rowFields are the columns that WindowRows and ScoredRows share.
func rowFields() []arrow.Field {
	fs := []arrow.Field{
		{Name: "user_id", Type: arrow.BinaryTypes.String},
		{Name: "as_of", Type: timestamp},
		{Name: "version", Type: arrow.PrimitiveTypes.Int64},
		{Name: "trigger", Type: arrow.PrimitiveTypes.Uint8},
		{Name: "digest", Type: arrow.PrimitiveTypes.Uint64},
		{Name: "log_partition", Type: arrow.PrimitiveTypes.Int32},
		{Name: "kafka_time", Type: timestamp},
		{Name: "flags", Type: arrow.PrimitiveTypes.Uint32},
	}
	for _, f := range Features {
		fs = append(fs, arrow.Field{Name: f.Name, Type: f.Type.ArrowType(), Nullable: f.Nullable})
	}
	return fs
}
