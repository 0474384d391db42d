package profile

import (
	"encoding/binary"
	"math"
)

// Least bytes that an encoded element takes: a count is checked against what is left of the
// record before anything grows.
const (
	minSourceBytes = 3
	minItemBytes   = 1
)

// maxInternedTopics bounds the names that a Record keeps; beyond it the table starts anew.
const maxInternedTopics = 256

// decoder reads one record. After the first failure, what is set and every read gives zero.
type decoder struct {
	b    []byte
	i    int
	r    *Record
	what string // the part that did not fit
}

func (d *decoder) fail(what string) {
	if d.what == "" {
		d.what = what
	}
	d.i = len(d.b)
}

func (d *decoder) byte() byte {
	if d.i >= len(d.b) {
		d.fail("length")
		return 0
	}
	d.i++
	return d.b[d.i-1]
}

func (d *decoder) uvarint() uint64 {
	if d.i < len(d.b) && d.b[d.i] < 0x80 {
		d.i++
		return uint64(d.b[d.i-1])
	}
	v, n := binary.Uvarint(d.b[d.i:])
	if n <= 0 {
		d.fail("number")
		return 0
	}
	d.i += n
	return v
}

func (d *decoder) varint() int64 {
	u := d.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

// count reads a number that is never negative.
func (d *decoder) count() int64 {
	v := d.uvarint()
	if v > math.MaxInt64 {
		d.fail("number")
		return 0
	}
	return int64(v)
}

func (d *decoder) int32() int32 {
	v := d.uvarint()
	if v > math.MaxInt32 {
		d.fail("number")
		return 0
	}
	return int32(v)
}

// length reads a number of elements of at least size bytes each that must still follow.
func (d *decoder) length(size int) int {
	v := d.uvarint()
	if v > uint64(len(d.b)-d.i)/uint64(size) {
		d.fail("length")
		return 0
	}
	return int(v)
}

func (d *decoder) bytes(n int) []byte {
	if d.what != "" || n > len(d.b)-d.i {
		d.fail("length")
		return nil
	}
	s := d.b[d.i : d.i+n]
	d.i += n
	return s
}

func (d *decoder) source() Source {
	s := Source{Epoch: d.int32(), Partition: d.int32()}
	switch code := d.uvarint(); code {
	case topicClickstream:
		s.Topic = "clickstream"
	case topicPurchases:
		s.Topic = "purchases"
	default:
		if code-topicName > uint64(len(d.b)-d.i) {
			d.fail("topic")
			return Source{}
		}
		s.Topic = d.r.intern(d.bytes(int(code - topicName)))
	}
	return s
}

// intern returns name as a string, one allocation for each different name.
func (r *Record) intern(name []byte) string {
	if s, ok := r.topics[string(name)]; ok {
		return s
	}
	if r.topics == nil || len(r.topics) >= maxInternedTopics {
		r.topics = make(map[string]string)
	}
	s := string(name)
	r.topics[s] = s
	return s
}

// ref reads a reference; the result is never nil unless the record is corrupt.
func (d *decoder) ref(raw []byte) []byte {
	at := d.uvarint()
	if at == 0 {
		return d.bytes(d.length(1))
	}
	n := d.uvarint()
	if at-1 > uint64(len(raw)) || n > uint64(len(raw))-(at-1) {
		d.fail("reference")
		return nil
	}
	return raw[at-1 : at-1+n]
}

func (d *decoder) event(e *Event) {
	items := e.Items[:0]
	flags := d.byte()
	*e = Event{Type: Type(d.byte())}
	kind := e.Type.Kind()
	if kind == 0 {
		d.fail("type")
		return
	}
	e.Source = d.source()
	e.Offset = d.count()
	e.TimeMillis = d.varint()
	e.KafkaMillis = e.TimeMillis + d.varint()
	raw := d.bytes(d.length(1))
	e.Raw = raw
	e.User = d.ref(raw)
	if len(e.User) == 0 {
		d.fail("user")
	}
	switch flags {
	case 0:
	case flagKeyUser:
		e.Key = e.User
	case flagKey:
		e.Key = d.ref(raw)
	default:
		d.fail("flags")
	}
	d.fields(e, raw, kind)
	if kind == Purchases {
		e.AmountMicros = d.count()
		e.Items = items
		d.items(e, raw)
	}
}

func (d *decoder) fields(e *Event, raw []byte, kind TopicKind) {
	mask := d.uvarint()
	if mask > maskAll || kind == Purchases && mask >= maskPrice {
		d.fail("mask")
		return
	}
	if mask&(1<<maskRefs-1) != 0 {
		for i, s := range [maskRefs]*[]byte{
			&e.ID, &e.Product.ID, &e.Product.Name, &e.Product.Category,
			&e.Query, &e.Text, &e.Campaign, &e.Channel,
		} {
			if mask&(1<<i) != 0 {
				*s = d.ref(raw)
			}
		}
	}
	e.Product.PriceMicros, e.Product.Quantity = NoPrice, 1
	if mask&maskPrice != 0 {
		e.Product.PriceMicros = d.count()
	}
	if mask&maskQuantity != 0 {
		e.Product.Quantity = d.count()
	}
}

func (d *decoder) items(e *Event, raw []byte) {
	for range d.length(minItemBytes) {
		mask := d.byte()
		if d.what != "" {
			return
		}
		if mask > itemAll {
			d.fail("item")
			return
		}
		e.Items = append(e.Items, Product{PriceMicros: NoPrice, Quantity: 1})
		p := &e.Items[len(e.Items)-1]
		if mask&1 != 0 {
			p.ID = d.ref(raw)
		}
		if mask&2 != 0 {
			p.Name = d.ref(raw)
		}
		if mask&4 != 0 {
			p.Category = d.ref(raw)
		}
		if mask&itemPrice != 0 {
			p.PriceMicros = d.count()
		}
		if mask&itemQuantity != 0 {
			p.Quantity = d.count()
		}
		e.Quantity += p.Quantity
	}
}
