package wire

import "encoding/binary"

// Header is a record header to be written.
type Header struct {
	Key   string
	Value []byte
}

// Record is a view of one decoded record. Its slices point into the decoder's buffers and are valid until the next
// call of Next on the decoder that returned it. A nil Key or Value is Kafka's null.
type Record struct {
	Offset    int64
	Timestamp int64 // milliseconds since 1970: the producer's, or the broker's where the topic stamps at append
	Key       []byte
	Value     []byte
	headers   []byte // count and pairs, undecoded
}

// Headers calls fn for each header in order until fn returns false. The slices live as long as the record's.
// It reports false where the encoded headers are malformed.
func (r *Record) Headers(fn func(key, value []byte) bool) bool {
	p := r.headers
	if len(p) == 0 {
		return true
	}
	n, k := binary.Varint(p)
	if k <= 0 || n < 0 {
		return false
	}
	p = p[k:]
	for ; n > 0; n-- {
		var key, value []byte
		var ok bool
		if key, p, ok = cutBytes(p); !ok {
			return false
		}
		if value, p, ok = cutBytes(p); !ok {
			return false
		}
		if !fn(key, value) {
			return true
		}
	}
	return true
}

// Header returns the value of the last header with that name.
func (r *Record) Header(name string) (value []byte, ok bool) {
	r.Headers(func(k, v []byte) bool {
		if string(k) == name {
			value, ok = v, true
		}
		return true
	})
	return value, ok
}

// AppendHeaders appends copies of the record's headers to dst.
func (r *Record) AppendHeaders(dst []Header) []Header {
	r.Headers(func(k, v []byte) bool {
		dst = append(dst, Header{Key: string(k), Value: append([]byte(nil), v...)})
		return true
	})
	return dst
}

// cutBytes takes a varint-length byte string off p; length -1 is null.
func cutBytes(p []byte) (v, rest []byte, ok bool) {
	l, k := binary.Varint(p)
	if k <= 0 {
		return nil, nil, false
	}
	p = p[k:]
	if l < 0 {
		return nil, p, l == -1
	}
	if l > int64(len(p)) {
		return nil, nil, false
	}
	return p[:l:l], p[l:], true
}

func varintLen(x int64) int {
	u := uint64(x<<1) ^ uint64(x>>63)
	n := 1
	for u >= 0x80 {
		u >>= 7
		n++
	}
	return n
}
