package clickhouse

import (
	"encoding/binary"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"profilestream/schemas"
)

// Names of the tables that the writer fills.
const (
	TableProfiles   = "profiles"
	TableHistory    = "profile_history"
	TableAccounting = "accounting_rows"
	TableBadEvents  = "bad_event_rows"
	TableLateEvents = "late_event_rows"
	// TableRestatements is filled before the corrections of TableHistory.
	TableRestatements = "restatement_rows"
)

// table is one ClickHouse table as a target of blocks.
type table struct {
	name    string
	schema  *arrow.Schema // of the records that Add accepts
	columns []column
	insert  string // the INSERT statement without its data
	// kafkaTime is the Arrow column from which the latency of rows is
	// measured, or -1.
	kafkaTime int
}

func newTable(database, name string, schema *arrow.Schema, cols []column, kafkaTime int) *table {
	names := make([]string, len(cols))
	for i, c := range cols {
		names[i] = schemas.QuoteIdentifier(c.name)
	}
	return &table{
		name: name, schema: schema, columns: cols, kafkaTime: kafkaTime,
		insert: "INSERT INTO " + schemas.QuoteIdentifier(database) + "." + schemas.QuoteIdentifier(name) +
			" (" + strings.Join(names, ", ") + ")",
	}
}

func newTables(database string, historyEmbedding bool) []*table {
	return []*table{
		newTable(database, TableProfiles, schemas.ScoredRows, rowColumns(true), schemas.ColKafkaTime),
		newTable(database, TableHistory, schemas.ScoredRows, rowColumns(historyEmbedding), -1),
		newTable(database, TableAccounting, schemas.AccountingRows, accountingColumns(), -1),
		newTable(database, TableBadEvents, divertedRows, divertedColumns(), -1),
		newTable(database, TableLateEvents, divertedRows, divertedColumns(), -1),
	}
}

const (
	timeType = "DateTime64(3, 'UTC')"
	enumType = "Enum8('live' = 1, 'day' = 2, 'silence' = 3, 'correction' = 4)"
)

var flagWords = []string{"bot", "hot"}

// rowColumns are the columns of profiles and profile_history.
func rowColumns(embedding bool) []column {
	cols := []column{
		text("user_id", schemas.ColUserID),
		fixed("as_of", timeType, schemas.ColAsOf, 8),
		{"row_version", "UInt64", rowVersions},
		fixed("trigger", enumType, schemas.ColTrigger, 1),
		fixed("digest", "UInt64", schemas.ColDigest, 8),
	}
	for i, f := range schemas.Features {
		if f.Nullable {
			typ := strings.TrimSuffix(strings.TrimPrefix(f.ClickHouseType(), "Nullable("), ")")
			cols = append(cols, nullable(f.Name, typ, schemas.ColFeatures+i, 8))
			continue
		}
		cols = append(cols, fixed(f.Name, f.ClickHouseType(), schemas.ColFeatures+i, 8))
	}
	vector := empty("embedding")
	if embedding {
		vector = vectors("embedding", schemas.ColEmbedding)
	}
	return append(cols, vector,
		fixed("churn_probability", "Float32", schemas.ColChurn, 4),
		wordColumn("churn_band", schemas.ColChurnBand),
		fixed("value_expected", "Float32", schemas.ColValue, 4),
		wordColumn("value_band", schemas.ColValueBand),
		weights("interests", "Map(String, Float32)", schemas.ColInterests),
		nullable("sentiment", "Float32", schemas.ColSentiment, 4),
		weights("reasons", "Array(Tuple(String, Float32))", schemas.ColReasons),
		boolean("degraded", schemas.ColDegraded),
		wordColumn("model_version", schemas.ColModelVersion),
		words("config_version", func(c chunk) func(int) string {
			return func(int) string { return c.meta.ConfigVersion }
		}),
		fixed("log_partition", "Int32", schemas.ColLogPartition, 4),
		fixed("log_offset", "Int64", schemas.ColVersion, 8),
		flagNames("flags", schemas.ColFlags, flagWords),
		fixed("scored_at", timeType, schemas.ColScoredAt, 8),
		fixed("kafka_time", timeType, schemas.ColKafkaTime, 8),
	)
}

// RowVersion orders the rows of one key: the newer log record wins, then the
// later promotion, then a full score over a degraded one. The promotion has 19
// bits; beyond them it stays at the largest.
func RowVersion(logOffset, promotion int64, degraded bool) uint64 {
	v := uint64(logOffset)<<20 | uint64(min(promotion, schemas.MaxPromotion))<<1
	if !degraded {
		v |= 1
	}
	return v
}

func rowVersions(dst []byte, chunks []chunk) []byte {
	for _, c := range chunks {
		offsets, ok := c.rec.Column(schemas.ColVersion).(*array.Int64)
		if !ok {
			return nil
		}
		degraded, ok := c.rec.Column(schemas.ColDegraded).(*array.Boolean)
		if !ok {
			return nil
		}
		for i, o := range offsets.Int64Values() {
			dst = binary.LittleEndian.AppendUint64(dst, RowVersion(o, c.meta.Promotion, degraded.Value(i)))
		}
	}
	return dst
}

func accountingColumns() []column {
	cols := []column{
		wordColumn("source_topic", schemas.AccSourceTopic),
		fixed("source_partition", "Int32", schemas.AccSourcePartition, 4),
		fixed("log_partition", "Int32", schemas.AccLogPartition, 4),
		fixed("row_version", "UInt64", schemas.AccVersion, 8),
	}
	for _, c := range []struct {
		name string
		col  int
	}{
		{"records", schemas.AccRecords}, {"rejected", schemas.AccRejected}, {"applied", schemas.AccApplied},
		{"duplicates", schemas.AccDuplicates}, {"late", schemas.AccLate}, {"hot", schemas.AccHot},
	} {
		cols = append(cols, fixed(c.name, "Int64", c.col, 8))
	}
	return append(cols, fixed("watermark", timeType, schemas.AccWatermark, 8))
}
