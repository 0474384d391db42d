package clickhouse

import (
	"encoding/binary"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
)

const float32Bytes = 4

// vectors is an Array(Float32) column of a fixed-size list; NULL is [].
func vectors(name string, col int) column {
	return column{name, "Array(Float32)", func(dst []byte, chunks []chunk) []byte {
		end := uint64(0)
		for _, c := range chunks {
			a, ok := c.rec.Column(col).(*array.FixedSizeList)
			if !ok {
				return nil
			}
			n := uint64(a.DataType().(*arrow.FixedSizeListType).Len())
			for i := range a.Len() {
				if a.IsValid(i) {
					end += n
				}
				dst = binary.LittleEndian.AppendUint64(dst, end)
			}
		}
		for _, c := range chunks {
			a := c.rec.Column(col).(*array.FixedSizeList)
			values := a.ListValues().Data()
			buf := values.Buffers()[1]
			if buf == nil {
				continue
			}
			bytes := buf.Bytes()[values.Offset()*float32Bytes:]
			width := int(a.DataType().(*arrow.FixedSizeListType).Len()) * float32Bytes
			first := a.Data().Offset()
			if a.NullN() == 0 {
				dst = append(dst, bytes[first*width:(first+a.Len())*width]...)
				continue
			}
			for i := range a.Len() {
				if a.IsValid(i) {
					dst = append(dst, bytes[(first+i)*width:(first+i+1)*width]...)
				}
			}
		}
		return dst
	}}
}

// empty is an Array(Float32) column of empty arrays.
func empty(name string) column {
	return column{name, "Array(Float32)", func(dst []byte, chunks []chunk) []byte {
		for _, c := range chunks {
			dst = append(dst, make([]byte, 8*c.rows())...)
		}
		return dst
	}}
}

// weights is a column of variable lists of (string, float32), which ClickHouse
// holds alike as Map and as Array(Tuple): ends of the lists, all strings, all
// numbers.
func weights(name, typ string, col int) column {
	return column{name, typ, func(dst []byte, chunks []chunk) []byte {
		end := uint64(0)
		for _, c := range chunks {
			list, ok := c.rec.Column(col).(array.ListLike)
			if !ok {
				return nil
			}
			for i := range list.Len() {
				lo, hi := list.ValueOffsets(i)
				if list.IsValid(i) {
					end += uint64(hi - lo)
				}
				dst = binary.LittleEndian.AppendUint64(dst, end)
			}
		}
		for _, c := range chunks {
			list := c.rec.Column(col).(array.ListLike)
			entries, ok := list.ListValues().(*array.Struct)
			if !ok {
				return nil
			}
			names, ok := entries.Field(0).(*array.String)
			if !ok {
				return nil
			}
			for i := range list.Len() {
				for j, hi := entryRange(list, i); j < hi; j++ {
					dst = appendString(dst, names.Value(int(j)))
				}
			}
		}
		for _, c := range chunks {
			list := c.rec.Column(col).(array.ListLike)
			numbers := list.ListValues().(*array.Struct).Field(1)
			bytes := raw(nil, numbers, float32Bytes)
			for i := range list.Len() {
				lo, hi := entryRange(list, i)
				dst = append(dst, bytes[lo*float32Bytes:hi*float32Bytes]...)
			}
		}
		return dst
	}}
}

func entryRange(list array.ListLike, i int) (lo, hi int64) {
	if list.IsNull(i) {
		return 0, 0
	}
	return list.ValueOffsets(i)
}

// flagNames is an Array(String) column of the names of the bits of a uint32.
func flagNames(name string, col int, names []string) column {
	return column{name, "Array(String)", func(dst []byte, chunks []chunk) []byte {
		end := uint64(0)
		var values []byte
		for _, c := range chunks {
			a, ok := c.rec.Column(col).(*array.Uint32)
			if !ok {
				return nil
			}
			for i := range a.Len() {
				for bit, word := range names {
					if a.Value(i)&(1<<bit) != 0 {
						end++
						values = appendString(values, word)
					}
				}
				dst = binary.LittleEndian.AppendUint64(dst, end)
			}
		}
		return append(dst, values...)
	}}
}
