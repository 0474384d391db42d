package clickhouse

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/ipc"

	"profilestream/schemas"
)

// TestTheQueueCountsWhatIsHeld: what a record counts in the queue is about what it takes in memory once it is read from
// a message, however few its rows.
func TestTheQueueCountsWhatIsHeld(t *testing.T) {
	for _, rows := range []int{1, 10, 100, 1000} {
		t.Run(fmt.Sprint(rows), func(t *testing.T) {
			rec := scoredRows(rowSpec{users: rows, version: 1, asOf: noon})
			defer rec.Release()
			var message bytes.Buffer
			w := ipc.NewWriter(&message, ipc.WithSchema(schemas.ScoredRows))
			if err := w.Write(rec); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			held := make([]arrow.Record, 0, 10+2_000/(rows+10))
			var before, after runtime.MemStats
			runtime.GC() // twice: pools keep what they hold for one collection
			runtime.GC()
			runtime.ReadMemStats(&before)
			for range cap(held) {
				held = append(held, read(t, message.Bytes()))
			}
			runtime.GC()
			runtime.GC()
			runtime.ReadMemStats(&after)
			got, want := recordBytes(held[0]), int64(after.HeapAlloc-before.HeapAlloc)/int64(len(held))
			if got < want*4/5 || got > want*5/4 {
				t.Errorf("counts %d bytes, takes %d", got, want)
			}
			for _, r := range held {
				r.Release()
			}
		})
	}
}

func read(t *testing.T, message []byte) arrow.Record {
	t.Helper()
	r, err := ipc.NewReader(bytes.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	if !r.Next() {
		t.Fatal(r.Err())
	}
	r.Record().Retain()
	return r.Record()
}
