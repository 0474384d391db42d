package clickhouse

import (
	"fmt"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/array"
	"pgregory.net/rapid"

	"profilestream/schemas"
)

func TestRowVersionOrders(t *testing.T) {
	ordered := []uint64{
		RowVersion(0, 0, true), RowVersion(0, 0, false), RowVersion(0, 1, true), RowVersion(0, 1, false),
		RowVersion(0, 1<<19-1, false), RowVersion(1, 0, true), RowVersion(1<<40, 0, true), RowVersion(1<<43, 3, false),
	}
	for i := 1; i < len(ordered); i++ {
		if ordered[i-1] >= ordered[i] {
			t.Errorf("version %d: %d is not above %d", i, ordered[i], ordered[i-1])
		}
	}
	if RowVersion(5, 1<<30, true) != RowVersion(5, 1<<19-1, true) {
		t.Error("a promotion beyond 19 bits spills into the offset")
	}
}

func TestHalvesHoldEveryRowInOrder(t *testing.T) {
	rec := scoredRows(rowSpec{users: 40, version: 1, asOf: noon})
	defer rec.Release()
	rapid.Check(t, func(t *rapid.T) {
		var chunks []chunk
		var want []string
		for range rapid.IntRange(1, 5).Draw(t, "chunks") {
			lo := rapid.IntRange(0, 39).Draw(t, "lo")
			hi := rapid.IntRange(lo+1, 40).Draw(t, "hi")
			chunks = append(chunks, chunk{rec: rec.NewSlice(int64(lo), int64(hi)), meta: Meta{Promotion: int64(lo)}})
			for u := lo; u < hi; u++ {
				want = append(want, fmt.Sprint(userID(u), lo))
			}
		}
		at := rapid.IntRange(0, len(want)).Draw(t, "at")
		parts := halve(chunks, at)
		var got []string
		for i, part := range parts {
			for _, c := range part {
				ids := c.rec.Column(schemas.ColUserID).(*array.String)
				for k := range ids.Len() {
					got = append(got, fmt.Sprint(ids.Value(k), c.meta.Promotion))
				}
			}
			if i == 0 && len(got) != at {
				t.Fatalf("the first part has %d rows, want %d", len(got), at)
			}
			releaseAll(part)
		}
		releaseAll(chunks)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("rows %v, want %v", got, want)
		}
	})
}
