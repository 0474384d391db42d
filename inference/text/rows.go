package text

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"profilestream/schemas"
)

// Rows renders the rows of a record of schemas.WindowRows. It is for one goroutine.
type Rows struct {
	asOf               *array.Timestamp
	first              *array.Timestamp
	ints               [numInts]*array.Int64
	kind               *array.Uint8
	at                 *array.Timestamp
	id, name, category *array.String
	recent             *array.List
	feedback           *array.String
	feedbackAt         *array.Timestamp
	w                  Window
}

const (
	intOrders = iota
	intRevenue
	intSinceEvent
	intSinceOrder
	intActiveDays
	intOrders365
	intRefunds365
	numInts
)

var intFeatures = [numInts]int{
	schemas.Life(schemas.OrdersTotal), schemas.Life(schemas.RevenueTotal),
	schemas.Life(schemas.DaysSinceLastEvent), schemas.Life(schemas.DaysSinceLastOrder),
	schemas.At(schemas.Window90d, schemas.ActiveDays),
	schemas.At(schemas.Window365d, schemas.Orders), schemas.At(schemas.Window365d, schemas.Refunds),
}

// NewRows makes a renderer without a record.
func NewRows() *Rows { return &Rows{} }

// Bind points r at rec, which must stay unchanged and retained while r is used. An
// error says which column is not what schemas.WindowRows promises.
func (r *Rows) Bind(rec arrow.Record) error {
	if rec.NumCols() < schemas.NumWindowColumns {
		return fmt.Errorf("binding window rows: %d columns, want %d", rec.NumCols(), schemas.NumWindowColumns)
	}
	b := binder{rec: rec}
	r.asOf = column[*array.Timestamp](&b, schemas.ColAsOf)
	r.first = column[*array.Timestamp](&b, schemas.ColFeatures+schemas.Life(schemas.FirstSeen))
	for i, f := range intFeatures {
		r.ints[i] = column[*array.Int64](&b, schemas.ColFeatures+f)
	}
	r.feedback = column[*array.String](&b, schemas.ColFeedbackText)
	r.feedbackAt = column[*array.Timestamp](&b, schemas.ColFeedbackAt)
	r.recent = column[*array.List](&b, schemas.ColRecent)
	if b.err != nil {
		return b.err
	}
	entry, ok := r.recent.ListValues().(*array.Struct)
	if !ok || entry.NumField() != len(schemas.RecentType.Fields()) {
		return fmt.Errorf("binding window rows: column recent holds %s", r.recent.DataType())
	}
	r.kind = field[*array.Uint8](&b, entry, 0)
	r.at = field[*array.Timestamp](&b, entry, 1)
	r.id = field[*array.String](&b, entry, 2)
	r.name = field[*array.String](&b, entry, 3)
	r.category = field[*array.String](&b, entry, 4)
	return b.err
}

type binder struct {
	rec arrow.Record
	err error
}

func column[T arrow.Array](b *binder, i int) T {
	return as[T](b, b.rec.Column(i), b.rec.ColumnName(i))
}

func field[T arrow.Array](b *binder, s *array.Struct, i int) T {
	return as[T](b, s.Field(i), "recent."+schemas.RecentType.Field(i).Name)
}

func as[T arrow.Array](b *binder, a arrow.Array, name string) T {
	t, ok := a.(T)
	if !ok && b.err == nil {
		b.err = fmt.Errorf("binding window rows: column %s has type %s", name, a.DataType())
	}
	return t
}

// Window fills w with row i of the bound record. Strings alias the record, and
// w.Recent is reused.
func (r *Rows) Window(i int, w *Window) {
	asOf := int64(r.asOf.Value(i))
	*w = Window{
		AsOfMillis:          asOf,
		Orders:              r.ints[intOrders].Value(i),
		RevenueMicros:       r.ints[intRevenue].Value(i),
		DaysSinceFirstEvent: (asOf - int64(r.first.Value(i))) / dayMillis,
		DaysSinceLastEvent:  r.ints[intSinceEvent].Value(i),
		ActiveDays90:        r.ints[intActiveDays].Value(i),
		Orders365:           r.ints[intOrders365].Value(i),
		Refunds365:          r.ints[intRefunds365].Value(i),
		Recent:              w.Recent[:0],
	}
	if days := r.ints[intSinceOrder]; days.IsValid(i) {
		w.DaysSinceLastOrder = days.Value(i)
	}
	if r.feedback.IsValid(i) && r.feedbackAt.IsValid(i) {
		w.Feedback, w.FeedbackAtMillis = r.feedback.Value(i), int64(r.feedbackAt.Value(i))
	}
	from, to := r.recent.ValueOffsets(i)
	for j := int(from); j < int(to); j++ {
		w.Recent = append(w.Recent, Item{
			Kind: r.kind.Value(j), AtMillis: int64(r.at.Value(j)),
			ID: r.id.Value(j), Name: r.name.Value(j), Category: r.category.Value(j),
		})
	}
}

// User returns the text of row i of the bound record.
func (r *Rows) User(i int) string {
	r.Window(i, &r.w)
	return Render(&r.w)
}

// Item returns the text of a product, for its own embedding.
func (r *Rows) Item(name, category string) string { return Product(name, category) }
