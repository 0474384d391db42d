package profile

// scanner checks that a record is one valid JSON object and notes, in the same pass, where the
// values of the known fields are. A name given twice is simply noted again: the last counts.
type scanner struct {
	b       []byte
	depth   int // deepest level of the record
	fields  [fieldCount]span
	product [partCount]span
	items   []item
	escaped []byte   // decoded strings of the record that had escapes
	nesting []uint64 // of skip: a bit a level, set for objects
}

// item is one element of items: what it is, and its parts if it is an object.
type item struct {
	whole span
	parts [partCount]span
}

// span is a value of the record: its place and what it is. The place of a string is without
// its quotes; those of objects and arrays are not noted. The zero span is an absent value.
type span struct {
	off, end int32
	form     form
	escaped  bool
}

// form is the JSON type of a value; null counts as absent.
type form uint8

const (
	formAbsent form = iota
	formString
	formNumber
	formBool
	formObject
	formArray
)

// Known fields of the outer object.
const (
	fieldType = iota
	fieldUser
	fieldTime
	fieldID
	fieldProduct
	fieldQuery
	fieldText
	fieldCampaign
	fieldChannel
	fieldURL
	fieldQuantity
	fieldOrderID
	fieldItems
	fieldTotal
	fieldCurrency
	fieldCount
	fieldUnknown = -1
)

// Known fields of product and of an item.
const (
	partID = iota
	partName
	partCategory
	partPrice
	partQuantity
	partCount
	partUnknown = -1
)

// fieldOf finds a name among the fields of a topic's row of the contract.
func fieldOf(name []byte, kind TopicKind) int {
	switch string(name) {
	case "type":
		return fieldType
	case "user_id":
		return fieldUser
	case "ts":
		return fieldTime
	case "event_id":
		return fieldID
	}
	if kind == Purchases {
		switch string(name) {
		case "order_id":
			return fieldOrderID
		case "items":
			return fieldItems
		case "total":
			return fieldTotal
		case "currency":
			return fieldCurrency
		}
		return fieldUnknown
	}
	switch string(name) {
	case "product":
		return fieldProduct
	case "query":
		return fieldQuery
	case "text":
		return fieldText
	case "campaign":
		return fieldCampaign
	case "channel":
		return fieldChannel
	case "url":
		return fieldURL
	case "quantity":
		return fieldQuantity
	}
	return fieldUnknown
}

// partOf finds a name among the fields of a clickstream product, or of a purchases item.
func partOf(name []byte, kind TopicKind) int {
	switch string(name) {
	case "name":
		return partName
	case "category":
		return partCategory
	case "price":
		return partPrice
	case "id":
		if kind == Clickstream {
			return partID
		}
	case "product_id":
		if kind == Purchases {
			return partID
		}
	case "quantity":
		if kind == Purchases {
			return partQuantity
		}
	}
	return partUnknown
}

// record scans a whole record; false: it is not one JSON object.
func (s *scanner) record(b []byte, kind TopicKind) bool {
	s.b, s.depth = b, 1
	s.fields = [fieldCount]span{}
	s.escaped = s.escaped[:0]
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '{' {
		return false
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		return skipSpace(b, i+1) == len(b)
	}
	for {
		var name []byte
		if name, i = s.name(i); i < 0 {
			return false
		}
		var v span
		switch f := fieldOf(name, kind); {
		case f == fieldUnknown:
			_, i = s.value(i, 2)
		case f == fieldProduct && i < len(b) && b[i] == '{':
			s.fields[f] = span{form: formObject}
			i = s.parts(i, 2, kind, &s.product)
		case f == fieldItems && i < len(b) && b[i] == '[':
			s.fields[f] = span{form: formArray}
			i = s.elements(i, kind)
		default:
			v, i = s.value(i, 2)
			s.fields[f] = v
		}
		if i < 0 {
			return false
		}
		switch i = skipSpace(b, i); {
		case i >= len(b):
			return false
		case b[i] == ',':
			i = skipSpace(b, i+1)
		case b[i] == '}':
			return skipSpace(b, i+1) == len(b)
		default:
			return false
		}
	}
}

// parts scans the object at i, which is at the given level, into out; -1: bad JSON.
func (s *scanner) parts(i, level int, kind TopicKind, out *[partCount]span) int {
	b := s.b
	*out = [partCount]span{}
	s.depth = max(s.depth, level)
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1
	}
	for {
		var name []byte
		if name, i = s.name(i); i < 0 {
			return -1
		}
		part := partOf(name, kind)
		var v span
		if v, i = s.value(i, level+1); i < 0 {
			return -1
		}
		if part != partUnknown {
			out[part] = v
		}
		switch i = skipSpace(b, i); {
		case i >= len(b):
			return -1
		case b[i] == ',':
			i = skipSpace(b, i+1)
		case b[i] == '}':
			return i + 1
		default:
			return -1
		}
	}
}

// elements scans the array of items at i; -1: bad JSON.
func (s *scanner) elements(i int, kind TopicKind) int {
	b := s.b
	s.items = s.items[:0]
	s.depth = max(s.depth, 2)
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == ']' {
		return i + 1
	}
	for {
		s.items = append(s.items, item{})
		it := &s.items[len(s.items)-1]
		if i < len(b) && b[i] == '{' {
			it.whole.form = formObject
			i = s.parts(i, 3, kind, &it.parts)
		} else {
			it.whole, i = s.value(i, 3)
		}
		if i < 0 {
			return -1
		}
		switch i = skipSpace(b, i); {
		case i >= len(b):
			return -1
		case b[i] == ',':
			i = skipSpace(b, i+1)
		case b[i] == ']':
			return i + 1
		default:
			return -1
		}
	}
}
