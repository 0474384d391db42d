package features

import (
	"fmt"
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"profilestream/schemas"
)

const (
	dayMillis  = 24 * 60 * 60 * 1000
	moneyScale = 1e-6
)

// logs holds log(1+n) of small counts, which most values are.
var logs = func() (t [1024]float64) {
	for i := range t {
		t[i] = math.Log1p(float64(i))
	}
	return t
}()

// Table reads the inputs of the rows of one record. It may be bound again and
// then allocates nothing. It is not safe for concurrent use.
type Table struct {
	rows int
	asOf []arrow.Timestamp
	cols [schemas.NumFeatures]column
}

type column struct {
	ints   []int64
	times  []arrow.Timestamp
	floats []float64
	nulls  arrow.Array // nil where no value is NULL
	scale  float64
}

// Bind points the table at a record of schemas.WindowRows (or of
// schemas.ScoredRows, whose leading columns are the same). The record must
// outlive the use of the table.
func (t *Table) Bind(rec arrow.Record) error {
	if int(rec.NumCols()) < schemas.ColFeatures+schemas.NumFeatures {
		return fmt.Errorf("reading window rows: %d columns, want at least %d", rec.NumCols(), schemas.ColFeatures+schemas.NumFeatures)
	}
	asOf, ok := rec.Column(schemas.ColAsOf).(*array.Timestamp)
	if !ok {
		return fmt.Errorf("reading window rows: column as_of is %s", rec.Column(schemas.ColAsOf).DataType())
	}
	t.rows, t.asOf = int(rec.NumRows()), asOf.TimestampValues()
	for i := range schemas.Features {
		if err := t.cols[i].bind(&schemas.Features[i], rec.Column(schemas.ColFeatures+i)); err != nil {
			return err
		}
	}
	return nil
}

// Rows is the number of rows of the bound record.
func (t *Table) Rows() int { return t.rows }

func (c *column) bind(f *schemas.Feature, a arrow.Array) error {
	*c = column{scale: 1}
	if f.Type == schemas.Money {
		c.scale = moneyScale
	}
	if a.NullN() > 0 {
		if !f.Nullable {
			return fmt.Errorf("reading window rows: column %s holds NULL", f.Name)
		}
		c.nulls = a
	}
	ok := false
	switch v := a.(type) {
	case *array.Int64:
		c.ints, ok = v.Int64Values(), f.Type != schemas.Time && f.Type != schemas.Ratio
	case *array.Float64:
		c.floats, ok = v.Float64Values(), f.Type == schemas.Ratio
	case *array.Timestamp:
		unit := v.DataType().(*arrow.TimestampType).Unit
		c.times, ok = v.TimestampValues(), f.Type == schemas.Time && unit == arrow.Millisecond
	}
	if !ok {
		return fmt.Errorf("reading window rows: column %s is %s, want %s", f.Name, a.DataType(), f.Type.ArrowType())
	}
	return nil
}

func (c *column) null(i int) bool { return c.nulls != nil && c.nulls.IsNull(i) }

// at returns the value of a row in whole units (money in the currency).
func (c *column) at(i int) float64 {
	switch {
	case c.ints != nil:
		return float64(c.ints[i]) * c.scale
	case c.floats != nil:
		return c.floats[i]
	default:
		return float64(c.times[i])
	}
}

func (c *column) log(i int) float64 {
	if c.ints != nil && c.scale == 1 {
		if n := c.ints[i]; n >= 0 && n < int64(len(logs)) {
			return logs[n]
		}
	}
	return signedLog(c.at(i))
}

// fillLogs is Fill for a column of integers without NULL, which most are. It
// gives the same bits.
func (c *column) fillLogs(mean, inv float64, lo, hi int, dst []float32, stride int) {
	whole := c.scale == 1
	for k, n := range c.ints[lo:hi] {
		var x float64
		if whole && n >= 0 && n < int64(len(logs)) {
			x = logs[n]
		} else {
			x = signedLog(float64(n) * c.scale)
		}
		dst[k*stride] = squash((x - mean) * inv)
	}
}

func signedLog(x float64) float64 {
	switch {
	case x == 0:
		return 0
	case x < 0:
		return -math.Log1p(-x)
	default:
		return math.Log1p(x)
	}
}

// days is the time from a time column to as_of in days, at least 0.
func (t *Table) days(c *column, i int) float64 {
	return math.Max(0, float64(int64(t.asOf[i])-int64(c.times[i]))/dayMillis)
}

// value computes one input before standardising; ok is false where it is
// missing.
func (t *Table) value(in *Input, i int) (x float64, ok bool) {
	a := &t.cols[in.a]
	switch in.op {
	case opNull:
		if a.null(i) {
			return 1, true
		}
		return 0, true
	case opLog:
		if a.null(i) {
			return 0, false
		}
		return a.log(i), true
	case opTenure:
		return math.Log1p(t.days(a, i)), true
	case opRate:
		return signedLog(a.at(i) * 365 / (t.days(&t.cols[in.b], i) + 30)), true
	}
	b := &t.cols[in.b]
	if a.null(i) || b.null(i) {
		return 0, false
	}
	switch in.op {
	case opShare:
		p := (math.Max(0, a.at(i)) + .5) / (math.Max(0, b.at(i)) + 1)
		return math.Min(p, 1), true
	case opPer:
		if n := b.at(i); n > 0 {
			return signedLog(a.at(i) / n), true
		}
		return 0, true
	default: // opOver
		return a.log(i) - b.log(i), true
	}
}

// Value is the value of a feature (position in schemas.Features) of row i in
// whole units; NaN where it is NULL. Times are in ms.
func (t *Table) Value(feature, i int) float64 {
	c := &t.cols[feature]
	if c.null(i) {
		return math.NaN()
	}
	return c.at(i)
}

// Age is how long before as_of a feature that is a time lies, in days; NaN where it
// is NULL.
func (t *Table) Age(feature, i int) float64 {
	c := &t.cols[feature]
	if c.null(i) {
		return math.NaN()
	}
	return t.days(c, i)
}

// Raw writes the inputs of row i, not standardised, to dst (len(Inputs));
// missing values are NaN, the lifetime inputs too where life is nil. It serves
// training.
func (t *Table) Raw(life *Lifetime, i int, dst []float64) {
	for j := range firstLifetime {
		x, ok := t.value(&Inputs[j], i)
		if !ok {
			x = math.NaN()
		}
		dst[j] = x
	}
	e := life.at(t, i)
	copy(dst[firstLifetime:], e[:])
}

// Fill writes the standardised inputs of the rows [lo,hi) to dst, row-major
// with the given stride (at least len(Inputs)). It fails where a value is not
// finite, naming the input and the row, and allocates nothing else.
func (t *Table) Fill(s *Standard, lo, hi int, dst []float32, stride int) error {
	for j := range firstLifetime {
		in, mean, inv := &Inputs[j], s.Mean[j], s.Inverse[j]
		if c := &t.cols[in.a]; in.op == opLog && c.ints != nil && c.nulls == nil {
			c.fillLogs(mean, inv, lo, hi, dst[j:], stride)
			continue
		}
		for i := lo; i < hi; i++ {
			var z float32
			if x, ok := t.value(in, i); ok {
				z = squash((x - mean) * inv)
				if z != z {
					return fmt.Errorf("reading window rows: input %s of row %d is not a number", in.Name, i)
				}
			}
			dst[(i-lo)*stride+j] = z
		}
	}
	for i := lo; i < hi; i++ {
		s.fillLifetime(t, i, dst[(i-lo)*stride:])
	}
	return nil
}

// fillLifetime writes the standardised lifetime inputs of row i. Where there is
// no expectation, they are the mean.
func (s *Standard) fillLifetime(t *Table, i int, row []float32) {
	e := s.Lifetime.at(t, i)
	for k, x := range e {
		j := firstLifetime + k
		z := squash((x - s.Mean[j]) * s.Inverse[j])
		if z != z {
			z = 0
		}
		row[j] = z
	}
}
