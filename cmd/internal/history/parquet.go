package history

import (
	"context"
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/apache/arrow/go/v17/parquet/file"
	"github.com/apache/arrow/go/v17/parquet/pqarrow"
)

// Columns of a Parquet archive of input records. The topic column may be absent:
// then the file's name says it, as clickstream.parquet.
const (
	parquetTopic = "topic"
	parquetTime  = "kafka_ts" // ms, int64 or timestamp
	parquetValue = "value"    // the record, string or binary
)

// readParquet reads a Parquet archive of records of the input topics.
func readParquet(ctx context.Context, path string, take Take) error {
	f, err := file.OpenParquetFile(path, false)
	if err != nil {
		return fmt.Errorf("reading a history: %s: %w", path, err)
	}
	defer f.Close()
	const rows = 4096
	r, err := pqarrow.NewFileReader(f, pqarrow.ArrowReadProperties{BatchSize: rows}, memory.DefaultAllocator)
	if err != nil {
		return fmt.Errorf("reading a history: %s: %w", path, err)
	}
	records, err := r.GetRecordReader(ctx, nil, nil)
	if err != nil {
		return fmt.Errorf("reading a history: %s: %w", path, err)
	}
	defer records.Release()
	topic := TopicOfFile(path)
	n := 0
	for records.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := takeRecords(topic, n, records.Record(), take); err != nil {
			return fmt.Errorf("reading a history: %s: %w", path, err)
		}
		n += int(records.Record().NumRows())
	}
	if err := records.Err(); err != nil && ctx.Err() == nil && n < int(f.NumRows()) {
		return fmt.Errorf("reading a history: %s: row %d: %w", path, n, err)
	}
	return nil
}

// takeRecords passes rows on; first is the number of the first one.
func takeRecords(topic string, first int, rec arrow.Record, take Take) error {
	column := func(name string) arrow.Array {
		if at := rec.Schema().FieldIndices(name); len(at) == 1 {
			return rec.Column(at[0])
		}
		return nil
	}
	topics, err := bytesOf(column(parquetTopic), parquetTopic)
	if err != nil && column(parquetTopic) != nil {
		return err
	}
	values, err := bytesOf(column(parquetValue), parquetValue)
	if err != nil {
		return err
	}
	at, err := millisOf(column(parquetTime))
	if err != nil {
		return err
	}
	for i := range int(rec.NumRows()) {
		if topics != nil {
			topic = string(topics(i))
		}
		if err := take(topic, at(i), values(i)); err != nil {
			return fmt.Errorf("row %d: %w", first+i, err)
		}
	}
	return nil
}

func bytesOf(col arrow.Array, name string) (func(i int) []byte, error) {
	switch c := col.(type) {
	case *array.Binary:
		return func(i int) []byte { return c.Value(i) }, nil
	case *array.String:
		return func(i int) []byte { return []byte(c.Value(i)) }, nil
	case nil:
		return nil, fmt.Errorf("no column %s", name)
	}
	return nil, fmt.Errorf("column %s is %s, not a string or binary", name, col.DataType())
}

func millisOf(col arrow.Array) (func(i int) int64, error) {
	switch c := col.(type) {
	case *array.Int64:
		return c.Value, nil
	case *array.Timestamp:
		unit := c.DataType().(*arrow.TimestampType).Unit
		return func(i int) int64 { return c.Value(i).ToTime(unit).UnixMilli() }, nil
	case nil:
		return nil, fmt.Errorf("no column %s", parquetTime)
	}
	return nil, fmt.Errorf("column %s is %s, neither int64 nor a timestamp", parquetTime, col.DataType())
}
