package stage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"profilestream/schemas"
	"profilestream/stream/wire"
)

// maxMessageBytes is the size of an Arrow message above which its rows are
// split over two.
const maxMessageBytes = 900_000

// message is one Arrow record batch as it travels between the stages: the value
// is an Arrow IPC stream, the headers tell how to read it without reading it.
type message struct {
	schema        string // name and version, such as "window-rows/1"
	kind          string // schemas.RowsLive or RowsDay; "" for totals
	promotion     int64
	configVersion string
	rows          arrow.Record
}

var messageSchemas = map[string]*arrow.Schema{
	schemas.WindowRowsSchema:     schemas.WindowRows,
	schemas.ScoredRowsSchema:     schemas.ScoredRows,
	schemas.AccountingRowsSchema: schemas.AccountingRows,
}

// errSchema marks a message that this version cannot read.
var errSchema = errors.New("message of an unknown schema")

// decodeMessage reads a Kafka record of the topics windows, days and scored.
// The rows do not alias the record.
func decodeMessage(r *wire.Record, mem memory.Allocator) (m message, err error) {
	header := func(name string) string { v, _ := r.Header(name); return string(v) }
	m.schema, m.kind, m.configVersion = header(schemas.HeaderSchema), header(schemas.HeaderRows), header(schemas.HeaderConfigVersion)
	if m.promotion, err = strconv.ParseInt(header(schemas.HeaderPromotion), 10, 64); err != nil {
		return m, fmt.Errorf("reading the header %s: %w", schemas.HeaderPromotion, err)
	}
	m.rows, err = decodeRows(m.schema, r.Value, mem)
	return m, err
}

// messageWriter sends Arrow messages to one topic partition.
type messageWriter struct {
	producer *wire.Producer
	batch    wire.Builder
	buf      bytes.Buffer
}

func newMessageWriter(c *wire.Client, topic string, partition int32) *messageWriter {
	return &messageWriter{producer: c.NewProducer(topic, partition, wire.ProducerConfig{Codec: rowsCodec, MaxBatchBytes: maxRowBatchBytes})}
}

// add encodes a message into the batch; rows too large for one go into several.
func (w *messageWriter) add(m message, nowMillis int64) error {
	if m.rows.NumRows() == 0 {
		return nil
	}
	w.buf.Reset()
	iw := ipc.NewWriter(&w.buf, ipc.WithSchema(m.rows.Schema()))
	if err := errors.Join(iw.Write(m.rows), iw.Close()); err != nil {
		return fmt.Errorf("writing an Arrow message: %w", err)
	}
	if n := m.rows.NumRows(); w.buf.Len() > maxMessageBytes && n > 1 {
		for _, half := range [][2]int64{{0, n / 2}, {n / 2, n}} {
			part := m
			part.rows = m.rows.NewSlice(half[0], half[1])
			err := w.add(part, nowMillis)
			part.rows.Release()
			if err != nil {
				return err
			}
		}
		return nil
	}
	w.batch.Add(nowMillis, nil, w.buf.Bytes(),
		wire.Header{Key: schemas.HeaderSchema, Value: []byte(m.schema)},
		wire.Header{Key: schemas.HeaderRows, Value: []byte(m.kind)},
		wire.Header{Key: schemas.HeaderPromotion, Value: strconv.AppendInt(nil, m.promotion, 10)},
		wire.Header{Key: schemas.HeaderConfigVersion, Value: []byte(m.configVersion)})
	return nil
}

// discard forgets what was added and not sent.
func (w *messageWriter) discard() { w.batch.Reset() }

// flush sends the batch and waits until it is acknowledged.
func (w *messageWriter) flush(ctx context.Context) error {
	if w.batch.Len() == 0 {
		return nil
	}
	_, err := w.producer.Append(ctx, &w.batch)
	w.batch.Reset()
	return err
}

// joinMessages joins neighbours of equal headers into one message each. It takes
// the messages over.
func joinMessages(msgs []message) []message {
	var out []message
	for from := 0; from < len(msgs); {
		to := from + 1
		for to < len(msgs) && msgs[to].promotion == msgs[from].promotion && msgs[to].configVersion == msgs[from].configVersion {
			to++
		}
		if to == from+1 {
			out = append(out, msgs[from])
		} else {
			out = append(out, concatenate(msgs[from:to]))
		}
		from = to
	}
	return out
}

// concatenate joins the rows of messages and releases them.
func concatenate(msgs []message) message {
	joined := msgs[0]
	schema := joined.rows.Schema()
	cols := make([]arrow.Array, schema.NumFields())
	for c := range cols {
		parts := make([]arrow.Array, len(msgs))
		for i, m := range msgs {
			parts[i] = m.rows.Column(c)
		}
		col, err := array.Concatenate(parts, memory.DefaultAllocator)
		if err != nil {
			panic(fmt.Sprintf("bug: columns of one schema do not join: %v", err))
		}
		cols[c] = col
	}
	joined.rows = array.NewRecord(schema, cols, -1)
	for _, c := range cols {
		c.Release()
	}
	for _, m := range msgs {
		m.rows.Release()
	}
	return joined
}
