package clickhouse

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
)

// chunk is a run of rows of one Arrow record with what its message said.
type chunk struct {
	rec  arrow.Record
	meta Meta
}

func (c chunk) rows() int { return int(c.rec.NumRows()) }

// column is one column of a block: its name and type in ClickHouse, and how
// its values are appended to the block in ClickHouse's native form.
type column struct {
	name string
	typ  string
	put  func(dst []byte, chunks []chunk) []byte
}

// encodeError says that a record does not have the shape of its table; only a
// programming error or a message of another version causes it.
type encodeError struct{ err error }

func (e *encodeError) Error() string { return "encoding a block: " + e.err.Error() }
func (e *encodeError) Unwrap() error { return e.err }

// appendBlock appends one block of the Native format: the counts of columns
// and rows, then each column's name, type and values.
func appendBlock(dst []byte, cols []column, chunks []chunk) ([]byte, error) {
	rows := 0
	for _, c := range chunks {
		rows += c.rows()
	}
	dst = binary.AppendUvarint(dst, uint64(len(cols)))
	dst = binary.AppendUvarint(dst, uint64(rows))
	for i := range cols {
		dst = appendString(dst, cols[i].name)
		dst = appendString(dst, cols[i].typ)
		if dst = cols[i].put(dst, chunks); dst == nil {
			return nil, &encodeError{fmt.Errorf("column %s has an unexpected Arrow type", cols[i].name)}
		}
	}
	return dst, nil
}

func appendString[T ~string | ~[]byte](dst []byte, s T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// raw appends the values of a fixed-width Arrow column as they lie in memory.
// Arrow and ClickHouse both hold them little-endian and dense.
func raw(dst []byte, a arrow.Array, width int) []byte {
	d := a.Data()
	buf := d.Buffers()[1]
	if d.Len() == 0 || buf == nil {
		return dst
	}
	return append(dst, buf.Bytes()[d.Offset()*width:(d.Offset()+d.Len())*width]...)
}

// fixed is a column whose Arrow values are taken over byte by byte.
func fixed(name, typ string, col, width int) column {
	return column{name, typ, func(dst []byte, chunks []chunk) []byte {
		for _, c := range chunks {
			dst = raw(dst, c.rec.Column(col), width)
		}
		return dst
	}}
}

// nullable is fixed with a null map before the values.
func nullable(name, typ string, col, width int) column {
	return column{name, "Nullable(" + typ + ")", func(dst []byte, chunks []chunk) []byte {
		for _, c := range chunks {
			a := c.rec.Column(col)
			n := a.Len()
			if a.NullN() == 0 {
				dst = append(dst, make([]byte, n)...)
				continue
			}
			for i := range n {
				dst = appendBool(dst, a.IsNull(i))
			}
		}
		for _, c := range chunks {
			dst = raw(dst, c.rec.Column(col), width)
		}
		return dst
	}}
}

func appendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, 1)
	}
	return append(dst, 0)
}

func boolean(name string, col int) column {
	return column{name, "Bool", func(dst []byte, chunks []chunk) []byte {
		for _, c := range chunks {
			a, ok := c.rec.Column(col).(*array.Boolean)
			if !ok {
				return nil
			}
			for i := range a.Len() {
				dst = appendBool(dst, a.Value(i))
			}
		}
		return dst
	}}
}

func text(name string, col int) column {
	return column{name, "String", func(dst []byte, chunks []chunk) []byte {
		for _, c := range chunks {
			switch a := c.rec.Column(col).(type) {
			case *array.String:
				for i := range a.Len() {
					dst = appendString(dst, a.Value(i))
				}
			case *array.Binary:
				for i := range a.Len() {
					dst = appendString(dst, a.Value(i))
				}
			default:
				return nil
			}
		}
		return dst
	}}
}

// Flags of a LowCardinality column in the Native format: the dictionary comes
// with the block, and there is no global one.
const (
	dictionaryVersion        = 1
	hasAdditionalKeys        = 1 << 9
	updateDictionary         = 1 << 10
	keysUInt8         uint64 = 0
	keysUInt32        uint64 = 2
)

// words is a LowCardinality(String) column of the values that of returns.
func words(name string, of func(c chunk) func(i int) string) column {
	return column{name, "LowCardinality(String)", func(dst []byte, chunks []chunk) []byte {
		dst = binary.LittleEndian.AppendUint64(dst, dictionaryVersion)
		// The entry 0 is the type's default value.
		dict, index := []string{""}, map[string]uint32{"": 0}
		var keys []uint32
		for _, c := range chunks {
			value := of(c)
			if value == nil {
				return nil
			}
			for i := range c.rows() {
				w := value(i)
				k, ok := index[w]
				if !ok {
					k = uint32(len(dict))
					dict, index[w] = append(dict, w), k
				}
				keys = append(keys, k)
			}
		}
		if len(keys) == 0 {
			return dst
		}
		kind := keysUInt8
		if len(dict) > math.MaxUint8 {
			kind = keysUInt32
		}
		dst = binary.LittleEndian.AppendUint64(dst, hasAdditionalKeys|updateDictionary|kind)
		dst = binary.LittleEndian.AppendUint64(dst, uint64(len(dict)))
		for _, w := range dict {
			dst = appendString(dst, w)
		}
		dst = binary.LittleEndian.AppendUint64(dst, uint64(len(keys)))
		for _, k := range keys {
			if kind == keysUInt8 {
				dst = append(dst, byte(k))
			} else {
				dst = binary.LittleEndian.AppendUint32(dst, k)
			}
		}
		return dst
	}}
}

// wordColumn is words of an Arrow string column.
func wordColumn(name string, col int) column {
	return words(name, func(c chunk) func(int) string {
		if a, ok := c.rec.Column(col).(*array.String); ok {
			return a.Value
		}
		return nil
	})
}
