package profile

import (
	"bytes"
	"encoding/binary"
)

// Layout of an event's value after the two bytes (version, kind):
//
//	flags, type                       one byte each
//	source                            see appendSource
//	offset                            uvarint
//	time, kafka time - time           varint
//	raw                               uvarint length, bytes: the source record's value as it was
//	user                              ref
//	key                               ref, if flagKey
//	mask                              uvarint
//	id, product id, name, category,
//	query, text, campaign, channel    refs, each if its bit of the mask is set
//	price, quantity                   uvarint, each if its bit is set: clickstream only
//	amount, number of items           uvarint: purchases only
//	items                             each: mask byte, refs of id, name, category, price, quantity
//
// A ref is a place in raw, (offset + 1, length), both uvarint, or (0, length, bytes) for what is
// not found there as it is: strings that had escapes, and a key of its own. So a record is about
// as long as its JSON, and decoding is index arithmetic.

// Flags of an event.
const (
	flagKeyUser = 1 << iota // the source record's key equals the user id
	flagKey                 // the key is stored as a ref
)

// Bits of an event's mask. The first eight are refs, in the order in which they are written.
const (
	maskRefs     = 8
	maskPrice    = 1 << 8
	maskQuantity = 1 << 9 // the quantity is not 1
	maskAll      = 1<<10 - 1
)

// Bits of an item's mask. The first three are refs.
const (
	itemRefs     = 3
	itemPrice    = 1 << 3
	itemQuantity = 1 << 4 // the quantity is not 1
	itemAll      = 1<<5 - 1
)

// AppendEvent appends the log record of e to dst. Slices of e that lie inside e.Raw are stored
// as references, others are copied. Numbers that the contract keeps from being negative must
// not be.
func AppendEvent(dst []byte, e *Event) []byte {
	flags := byte(0)
	switch {
	case e.Key == nil:
	case bytes.Equal(e.Key, e.User):
		flags = flagKeyUser
	default:
		flags = flagKey
	}
	b := append(dst, RecordVersion, byte(KindEvent), flags, byte(e.Type))
	b = appendSource(b, e.Source)
	b = binary.AppendUvarint(b, uint64(e.Offset))
	b = binary.AppendVarint(b, e.TimeMillis)
	b = binary.AppendVarint(b, e.KafkaMillis-e.TimeMillis)
	b = binary.AppendUvarint(b, uint64(len(e.Raw)))
	b = append(b, e.Raw...)
	b = appendRef(b, e.Raw, e.User)
	if flags == flagKey {
		b = appendRef(b, e.Raw, e.Key)
	}
	b = appendFields(b, e)
	if e.Type.Kind() == Purchases {
		b = binary.AppendUvarint(b, uint64(e.AmountMicros))
		b = binary.AppendUvarint(b, uint64(len(e.Items)))
		for i := range e.Items {
			b = appendItem(b, e.Raw, &e.Items[i])
		}
	}
	return b
}

// appendFields appends the mask and the parts it names.
func appendFields(b []byte, e *Event) []byte {
	refs := [maskRefs][]byte{
		e.ID, e.Product.ID, e.Product.Name, e.Product.Category,
		e.Query, e.Text, e.Campaign, e.Channel,
	}
	mask := uint64(0)
	for i, s := range refs {
		if len(s) > 0 {
			mask |= 1 << i
		}
	}
	if e.Type.Kind() == Clickstream {
		if e.Product.PriceMicros != NoPrice {
			mask |= maskPrice
		}
		if e.Product.Quantity != 1 {
			mask |= maskQuantity
		}
	}
	b = binary.AppendUvarint(b, mask)
	for _, s := range refs {
		if len(s) > 0 {
			b = appendRef(b, e.Raw, s)
		}
	}
	if mask&maskPrice != 0 {
		b = binary.AppendUvarint(b, uint64(e.Product.PriceMicros))
	}
	if mask&maskQuantity != 0 {
		b = binary.AppendUvarint(b, uint64(e.Product.Quantity))
	}
	return b
}

func appendItem(b, raw []byte, p *Product) []byte {
	at := len(b)
	b = append(b, 0)
	mask := byte(0)
	for i, s := range [itemRefs][]byte{p.ID, p.Name, p.Category} {
		if len(s) > 0 {
			mask |= 1 << i
			b = appendRef(b, raw, s)
		}
	}
	if p.PriceMicros != NoPrice {
		mask |= itemPrice
		b = binary.AppendUvarint(b, uint64(p.PriceMicros))
	}
	if p.Quantity != 1 {
		mask |= itemQuantity
		b = binary.AppendUvarint(b, uint64(p.Quantity))
	}
	b[at] = mask
	return b
}

// appendRef appends a ref to s: by place if s is a subslice of raw, else by value.
func appendRef(b, raw, s []byte) []byte {
	// Two slices of one array that were not capped end at the same place, so the difference of
	// their capacities is the distance of their starts; comparing addresses proves it.
	at := cap(raw) - cap(s)
	if len(s) > 0 && at >= 0 && at+len(s) <= len(raw) && &raw[at] == &s[0] {
		b = binary.AppendUvarint(b, uint64(at)+1)
		return binary.AppendUvarint(b, uint64(len(s)))
	}
	b = append(b, 0)
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}
