package console

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/compress"
	"github.com/apache/arrow/go/v17/parquet/pqarrow"
)

// exportSQL has a %s for the condition. Its columns are exported's, in order.
const exportSQL = `SELECT user_id, as_of, toFloat64(churn_probability), churn_band, toFloat64(value_expected), value_band, toFloat64(value_expected * churn_probability),
    orders_total, toFloat64(revenue_total), last_seen, days_since_last_order, mapKeys(interests)[1], reasons[1].1, model_version
FROM (SELECT * EXCEPT (embedding) FROM profiles_latest WHERE %s)
ORDER BY user_id`

var exportColumns = []string{
	"user_id", "as_of", "churn_probability", "churn_band", "value_expected", "value_band", "at_risk",
	"orders_total", "revenue_total", "last_seen", "days_since_last_order", "interest", "reason", "model_version",
}

// exported is a row of an export.
type exported struct {
	user, churnBand, valueBand, interest, reason, model string
	asOf, lastSeen                                      time.Time
	churn, value, atRisk, revenue                       float64
	orders                                              int64
	silent                                              *int64
}

func (e *exported) scan(rows driver.Rows) error {
	return rows.Scan(&e.user, &e.asOf, &e.churn, &e.churnBand, &e.value, &e.valueBand, &e.atRisk, &e.orders, &e.revenue, &e.lastSeen, &e.silent, &e.interest, &e.reason, &e.model)
}

// rowWriter writes a file row by row; close completes it.
type rowWriter interface {
	write(*exported) error
	close() error
}

// export sends every customer of a segment as ?format=csv or parquet.
func (c *Console) export(w http.ResponseWriter, r *http.Request) error {
	f, err := parseFilter(r.URL.Query())
	if err != nil {
		return err
	}
	format := r.FormValue("format")
	if format != "csv" && format != "parquet" {
		return wrongInput{"An export is csv or parquet."}
	}
	if problem := f.Complaint(); problem != "" {
		return wrongInput{problem}
	}
	where, params := f.bound()
	rows, err := c.o.Reader.Query(r.Context(), fmt.Sprintf(exportSQL, where), params...)
	if err != nil {
		return named("an export", err)
	}
	defer rows.Close()
	w.Header().Set("Content-Disposition", `attachment; filename="segment.`+format+`"`)
	var out rowWriter
	if format == "csv" {
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		out, err = newCSV(w)
	} else {
		w.Header().Set("Content-Type", "application/vnd.apache.parquet")
		out, err = newParquet(w)
	}
	if err == nil {
		err = copyRows(rows, out)
	}
	if err != nil {
		// The head is on its way: only breaking off tells that the file is not whole.
		c.o.Log.Warn("an export broke off", "cause", kind(err))
		panic(http.ErrAbortHandler)
	}
	return nil
}

func copyRows(rows driver.Rows, out rowWriter) error {
	var e exported
	for rows.Next() {
		if err := e.scan(rows); err != nil {
			return err
		}
		if err := out.write(&e); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return out.close()
}

type csvFile struct {
	w     *csv.Writer
	cells []string
}

func newCSV(w io.Writer) (*csvFile, error) {
	f := &csvFile{w: csv.NewWriter(w), cells: make([]string, len(exportColumns))}
	return f, f.w.Write(exportColumns)
}

func (f *csvFile) write(e *exported) error {
	silent := ""
	if e.silent != nil {
		silent = strconv.FormatInt(*e.silent, 10)
	}
	f.cells = append(f.cells[:0], unformulated(e.user), e.asOf.UTC().Format(time.RFC3339), decimals(e.churn, 4), e.churnBand, decimals(e.value, 2), e.valueBand, decimals(e.atRisk, 2),
		strconv.FormatInt(e.orders, 10), decimals(e.revenue, 2), e.lastSeen.UTC().Format(time.RFC3339), silent, unformulated(e.interest), e.reason, e.model)
	return f.w.Write(f.cells)
}

func (f *csvFile) close() error {
	f.w.Flush()
	return f.w.Error()
}

func decimals(v float64, places int) string { return strconv.FormatFloat(v, 'f', places, 64) }

// unformulated keeps a text that anybody may have sent from being a formula where
// a spreadsheet opens the file.
func unformulated(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// parquetRows is how many rows a row group has.
const parquetRows = 65536

type parquetFile struct {
	w    *pqarrow.FileWriter
	buf  *bufio.Writer
	b    *array.RecordBuilder
	rows int
}

var exportSchema = arrow.NewSchema([]arrow.Field{
	{Name: "user_id", Type: arrow.BinaryTypes.String},
	{Name: "as_of", Type: arrow.FixedWidthTypes.Timestamp_ms},
	{Name: "churn_probability", Type: arrow.PrimitiveTypes.Float64},
	{Name: "churn_band", Type: arrow.BinaryTypes.String},
	{Name: "value_expected", Type: arrow.PrimitiveTypes.Float64},
	{Name: "value_band", Type: arrow.BinaryTypes.String},
	{Name: "at_risk", Type: arrow.PrimitiveTypes.Float64},
	{Name: "orders_total", Type: arrow.PrimitiveTypes.Int64},
	{Name: "revenue_total", Type: arrow.PrimitiveTypes.Float64},
	{Name: "last_seen", Type: arrow.FixedWidthTypes.Timestamp_ms},
	{Name: "days_since_last_order", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
	{Name: "interest", Type: arrow.BinaryTypes.String},
	{Name: "reason", Type: arrow.BinaryTypes.String},
	{Name: "model_version", Type: arrow.BinaryTypes.String},
}, nil)

func newParquet(w io.Writer) (*parquetFile, error) {
	// The file's writer closes what it can close; a buffer it cannot.
	f := &parquetFile{buf: bufio.NewWriterSize(w, 64<<10), b: array.NewRecordBuilder(memory.DefaultAllocator, exportSchema)}
	var err error
	f.w, err = pqarrow.NewFileWriter(exportSchema, f.buf, parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Zstd)), pqarrow.DefaultWriterProps())
	return f, err
}

func (f *parquetFile) write(e *exported) error {
	b := f.b
	stamp := func(i int, t time.Time) {
		b.Field(i).(*array.TimestampBuilder).Append(arrow.Timestamp(t.UnixMilli()))
	}
	real := func(i int, v float64) { b.Field(i).(*array.Float64Builder).Append(v) }
	word := func(i int, v string) { b.Field(i).(*array.StringBuilder).Append(v) }
	word(0, e.user)
	stamp(1, e.asOf)
	real(2, e.churn)
	word(3, e.churnBand)
	real(4, e.value)
	word(5, e.valueBand)
	real(6, e.atRisk)
	b.Field(7).(*array.Int64Builder).Append(e.orders)
	real(8, e.revenue)
	stamp(9, e.lastSeen)
	if e.silent != nil {
		b.Field(10).(*array.Int64Builder).Append(*e.silent)
	} else {
		b.Field(10).AppendNull()
	}
	word(11, e.interest)
	word(12, e.reason)
	word(13, e.model)
	if f.rows++; f.rows%parquetRows == 0 {
		return f.flush()
	}
	return nil
}

func (f *parquetFile) flush() error {
	record := f.b.NewRecord()
	defer record.Release()
	if record.NumRows() == 0 {
		return nil
	}
	return f.w.Write(record)
}

func (f *parquetFile) close() error {
	defer f.b.Release()
	if err := f.flush(); err != nil {
		return err
	}
	if err := f.w.Close(); err != nil {
		return err
	}
	return f.buf.Flush()
}
