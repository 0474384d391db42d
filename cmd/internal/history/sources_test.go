package history

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/pqarrow"
	"github.com/google/go-cmp/cmp"

	"profilestream/cmd/internal/config"
	"profilestream/profile"
)

// numbered is the nth purchase, an hour after the one before.
func numbered(n int) []byte {
	return fmt.Appendf(nil, `{"event_id":"e%d","user_id":"u%d","type":"purchase","ts":%d,"total":%d}`, n, n%3, 1_700_000_000_000+int64(n)*3_600_000, n+1)
}

// what a history holds, event by event.
func held(h *History) (out []string) {
	h.sorted()
	for _, e := range h.events {
		out = append(out, fmt.Sprint(e.user, " ", e.millis, " ", e.micros, " ", e.id))
	}
	return out
}

func empty(t *testing.T) *History {
	t.Helper()
	cfg := config.Default()
	h, err := New(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func writeParquet(t *testing.T, path string, fields []arrow.Field, fill func(b *array.RecordBuilder)) {
	t.Helper()
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(fields, nil))
	defer b.Release()
	fill(b)
	rec := b.NewRecord()
	defer rec.Release()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := pqarrow.NewFileWriter(rec.Schema(), f, parquet.NewWriterProperties(), pqarrow.DefaultWriterProps())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(rec); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestParquetEqualsLines: the same records give the same history from a Parquet
// file, however its columns are typed, and from lines of JSON.
func TestParquetEqualsLines(t *testing.T) {
	t.Parallel()
	const n = 9000 // more than a batch of the reader
	dir := t.TempDir()
	var lines strings.Builder
	for i := range n {
		fmt.Fprintf(&lines, `{"kafka_ts":%d,"value":%q}`+"\n", 1_800_000_000_000, numbered(i))
	}
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(path("purchases.jsonl"), []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	writeParquet(t, path("any.parquet"), []arrow.Field{{Name: "topic", Type: arrow.BinaryTypes.String}, {Name: "kafka_ts", Type: arrow.PrimitiveTypes.Int64}, {Name: "value", Type: arrow.BinaryTypes.String}}, func(b *array.RecordBuilder) {
		for i := range n {
			b.Field(0).(*array.StringBuilder).Append("purchases")
			b.Field(1).(*array.Int64Builder).Append(1_800_000_000_000)
			b.Field(2).(*array.StringBuilder).Append(string(numbered(i)))
		}
	})
	sub := filepath.Join(dir, "sub")
	if err := os.Mkdir(sub, 0o700); err != nil {
		t.Fatal(err)
	}
	writeParquet(t, filepath.Join(sub, "purchases.parquet"), []arrow.Field{{Name: "value", Type: arrow.BinaryTypes.Binary}, {Name: "kafka_ts", Type: arrow.FixedWidthTypes.Timestamp_us}}, func(b *array.RecordBuilder) {
		for i := range n {
			b.Field(0).(*array.BinaryBuilder).Append(numbered(i))
			b.Field(1).(*array.TimestampBuilder).Append(1_800_000_000_000_000)
		}
	})
	var want []string
	for _, source := range []string{path("purchases.jsonl"), path("any.parquet"), sub} {
		h := empty(t)
		if err := h.Load(t.Context(), source); err != nil {
			t.Fatal(err)
		}
		got := held(h)
		if len(got) != n || len(h.Rejected) > 0 {
			t.Fatalf("%s: %d events, rejected %v", source, len(got), h.Rejected)
		}
		if want == nil {
			want = got
		} else if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-lines +this):\n%.500s", source, d)
		}
	}
}

func TestParquetNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := arrow.Field{Name: "value", Type: arrow.BinaryTypes.String}
	for want, fields := range map[string][]arrow.Field{
		"no column kafka_ts":         {text},
		"no column value":            {{Name: "kafka_ts", Type: arrow.PrimitiveTypes.Int64}},
		"column kafka_ts is float64": {text, {Name: "kafka_ts", Type: arrow.PrimitiveTypes.Float64}},
		"neither clickstream nor":    {text, {Name: "kafka_ts", Type: arrow.PrimitiveTypes.Int64}},
	} {
		path := filepath.Join(dir, "other.parquet")
		writeParquet(t, path, fields, func(b *array.RecordBuilder) {
			for _, f := range b.Fields() {
				f.AppendEmptyValue()
			}
		})
		if err := empty(t).Load(t.Context(), path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v, want %q and the file's name", err, want)
		}
	}
	path := filepath.Join(dir, "purchases.parquet")
	if err := os.WriteFile(path, []byte("PAR1 is not enough"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := empty(t).Load(t.Context(), path); err == nil {
		t.Error("a damaged file is read without an error")
	}
}

// TestEventLogIsAHistory: what admission appended twice counts once, an erased
// customer's past not at all.
func TestEventLogIsAHistory(t *testing.T) {
	t.Parallel()
	h, want := empty(t), empty(t)
	p, offset := h.NewPartition(), int64(0)
	add := func(record []byte) {
		t.Helper()
		if err := p.Add(offset, record); err != nil {
			t.Fatal(err)
		}
		offset++
	}
	event := func(n int) []byte {
		var e profile.Event
		if reject := h.parser.Parse(numbered(n), profile.Purchases, 1_800_000_000_000, &e); reject != nil {
			t.Fatal(reject.Reason)
		}
		e.Source, e.Offset, e.KafkaMillis, e.Raw = profile.Source{Topic: "purchases"}, int64(n), 1_800_000_000_000, numbered(n)
		return profile.AppendEvent(nil, &e)
	}
	for _, n := range []int{0, 1, 2, 1, 2, 3} { // a retry appends 1 and 2 again
		add(event(n))
	}
	add(profile.AppendErase(nil, &profile.Erase{User: []byte("u0"), Positions: []profile.Position{{Source: profile.Source{Topic: "purchases"}, NextOffset: 7}}}))
	add(event(6)) // of u0, from before the erasure
	add(event(9)) // of u0, after it
	for _, n := range []int{1, 2, 9} {
		if err := want.Add("purchases", 1_800_000_000_000, numbered(n)); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff(held(want), held(h)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if strings.Contains(string(h.text[:h.events[0].from]), "u0") {
		t.Error("the erased events are still in memory")
	}
}
