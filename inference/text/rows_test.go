package text

import (
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"profilestream/schemas"
)

func buildRow(t *testing.T, schema *arrow.Schema) arrow.Record {
	t.Helper()
	b := array.NewRecordBuilder(memory.NewGoAllocator(), schema)
	defer b.Release()
	for i, f := range b.Fields() {
		switch f := f.(type) {
		case *array.StringBuilder:
			f.Append("SECRET-USER")
		case *array.TimestampBuilder:
			f.Append(arrow.Timestamp(noon))
		case *array.Int64Builder:
			switch i - schemas.ColFeatures {
			case schemas.Life(schemas.OrdersTotal):
				f.Append(2)
			case schemas.Life(schemas.RevenueTotal):
				f.Append(100 * micros)
			case schemas.Life(schemas.DaysSinceLastOrder):
				f.Append(3)
			case schemas.At(schemas.Window90d, schemas.ActiveDays):
				f.Append(4)
			default:
				f.Append(0)
			}
		case *array.ListBuilder:
			f.Append(true)
			s := f.ValueBuilder().(*array.StructBuilder)
			s.Append(true)
			s.FieldBuilder(0).(*array.Uint8Builder).Append(schemas.RecentPurchase)
			s.FieldBuilder(1).(*array.TimestampBuilder).Append(arrow.Timestamp(noon - dayMillis))
			s.FieldBuilder(2).(*array.StringBuilder).Append("p1")
			s.FieldBuilder(3).(*array.StringBuilder).Append("Desk Lamp")
			s.FieldBuilder(4).(*array.StringBuilder).Append("Home")
		default:
			f.AppendEmptyValue()
		}
	}
	rec := b.NewRecord()
	t.Cleanup(rec.Release)
	return rec
}

func TestRowsRenderTheRecord(t *testing.T) {
	r := NewRows()
	if err := r.Bind(buildRow(t, schemas.WindowRows)); err != nil {
		t.Fatal(err)
	}
	got := r.User(0)
	want := "new, few medium orders, last this week, visits sometimes. bought Desk Lamp. says SECRET-USER. likes Home"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	// The feedback of this row repeats the user's id; the id's own column is never read.
	if strings.Count(got, "SECRET-USER") != 1 {
		t.Errorf("%q: a user id was rendered", got)
	}
}

func TestBindNamesTheColumn(t *testing.T) {
	fields := append([]arrow.Field(nil), schemas.WindowRows.Fields()...)
	at := schemas.ColFeatures + schemas.Life(schemas.OrdersTotal)
	fields[at].Type = arrow.PrimitiveTypes.Float64
	err := NewRows().Bind(buildRow(t, arrow.NewSchema(fields, nil)))
	if err == nil || !strings.Contains(err.Error(), "orders_total") {
		t.Errorf("error %v, want one that names orders_total", err)
	}
}

func BenchmarkRender(b *testing.B) {
	w := Window{Orders: 6, RevenueMicros: 180 * micros, DaysSinceFirstEvent: 200, DaysSinceLastOrder: 3, ActiveDays90: 12, AsOfMillis: noon, Feedback: "lovely, arrived quickly",
		Recent: []Item{item(schemas.RecentPurchase, 40, "Tea Kettle", "Kitchen & Dining"), item(schemas.RecentView, 0, "Lip Balm", "Beauty"),
			item(schemas.RecentCart, 1, "Rice Cooker", "Kitchen & Dining"), item(schemas.RecentSearch, 0, "rice cooker", "")}}
	b.ReportAllocs()
	for b.Loop() {
		Render(&w)
	}
}
