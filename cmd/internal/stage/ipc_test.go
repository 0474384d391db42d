package stage

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"profilestream/schemas"
)

// TestSchemaFrames pins the bytes that our messages begin with: if they change,
// messages written before an upgrade can no longer be read after it, and need a
// new version of the schema.
func TestSchemaFrames(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		schemas.WindowRowsSchema:     "d01e9872897e55d2",
		schemas.ScoredRowsSchema:     "360cf7e21826a9b8",
		schemas.AccountingRowsSchema: "c5884da5e8dfc960",
	}
	for name, frame := range schemaFrames() {
		sum := sha256.Sum256(frame)
		if got := hex.EncodeToString(sum[:8]); got != want[name] {
			t.Errorf("%s begins with the bytes %s, want %s", name, got, want[name])
		}
	}
}

// sample is a message of each schema with all that a row can hold.
func sample(tb testing.TB, schema *arrow.Schema) []byte {
	tb.Helper()
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for range 3 {
		for i, f := range b.Fields() {
			fill(f, i)
		}
	}
	rec := b.NewRecord()
	defer rec.Release()
	var buf bytes.Buffer
	w := ipc.NewWriter(&buf, ipc.WithSchema(schema))
	if err := errors.Join(w.Write(rec), w.Close()); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

func fill(f array.Builder, i int) {
	switch f := f.(type) {
	case *array.StringBuilder:
		f.Append(strings.Repeat("x", i%7))
	case *array.ListBuilder:
		f.Append(true)
		fill(f.ValueBuilder(), i)
	case *array.MapBuilder:
		f.Append(true)
		fill(f.KeyBuilder(), i)
		fill(f.ItemBuilder(), i)
	case *array.FixedSizeListBuilder:
		f.Append(true)
		for range schemas.EmbeddingDim {
			fill(f.ValueBuilder(), i)
		}
	case *array.StructBuilder:
		f.Append(true)
		for k := range f.NumField() {
			fill(f.FieldBuilder(k), k)
		}
	default:
		f.AppendEmptyValue()
	}
}

// TestDamagedLengthsAreRefused: a length that lies is an error, before memory
// is taken for it.
func TestDamagedLengthsAreRefused(t *testing.T) {
	t.Parallel()
	good := sample(t, schemas.WindowRows)
	head := len(schemaFrames()[schemas.WindowRowsSchema])
	for name, damage := range map[string]func(b []byte) []byte{
		"metadata of 2 GiB": func(b []byte) []byte { binary.LittleEndian.PutUint32(b[head+4:], 1<<31-1); return b },
		"negative metadata": func(b []byte) []byte { binary.LittleEndian.PutUint32(b[head+4:], 1<<31); return b },
		"cut in the body":   func(b []byte) []byte { return b[:len(b)-200] },
		"cut in the schema": func(b []byte) []byte { return b[:head/2] },
		"nothing":           func([]byte) []byte { return nil },
		"another schema":    func([]byte) []byte { return sample(t, schemas.AccountingRows) },
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		rows, err := decodeRows(schemas.WindowRowsSchema, damage(bytes.Clone(good)), memory.DefaultAllocator)
		runtime.ReadMemStats(&after)
		if err == nil {
			rows.Release()
			t.Errorf("%s: read without an error", name)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > 64<<20 {
			t.Errorf("%s: took %d bytes", name, got)
		}
	}
}

// FuzzMessage: whatever bytes come, decoding ends with an error or with rows that
// can be read to the last element, and takes no more memory than the bytes warrant.
func FuzzMessage(f *testing.F) {
	for name, schema := range messageSchemas {
		f.Add(name, sample(f, schema)[len(schemaFrames()[name]):])
	}
	f.Fuzz(func(t *testing.T, schema string, value []byte) {
		whole := append(bytes.Clone(schemaFrames()[schema]), value...)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		rows, err := decodeRows(schema, whole, memory.DefaultAllocator)
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > uint64(len(whole)*8+8<<20) {
			t.Fatalf("%d bytes took %d", len(whole), got)
		}
		if err != nil {
			return
		}
		defer rows.Release()
		for _, col := range rows.Columns() {
			for i := range col.Len() {
				_ = col.ValueStr(i)
			}
		}
	})
}
