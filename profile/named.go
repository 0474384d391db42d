package profile

import "bytes"

// Covers says whether a source position lies below the erased ones. An older epoch of a
// partition lies below all of a newer one.
func (e *Erase) Covers(s *Source, offset int64) bool {
	for i := range e.Positions {
		p := &e.Positions[i]
		if p.Source.Topic == s.Topic && p.Source.Partition == s.Partition {
			return s.Epoch < p.Source.Epoch || s.Epoch == p.Source.Epoch && offset < p.NextOffset
		}
	}
	return false
}

// Clone is a copy that shares nothing with the record that it was decoded from.
func (e *Erase) Clone() Erase {
	return Erase{User: bytes.Clone(e.User), Positions: append([]Position(nil), e.Positions...)}
}

// Named calls fn with each id by which a record that is no event may name its user, until fn
// returns true, and says whether it did. Those are the record's key and what stands behind the
// name user_id, at any depth and of any type; in a value that is no JSON every string and every
// word, since there nothing tells which of them is the user. An id may come more than once.
func Named(key, value []byte, fn func(id []byte) bool) bool {
	if len(key) > 0 && fn(key) {
		return true
	}
	f := userFields{b: value, scan: scanner{b: value}, fn: func(_, _ int, id []byte, _ form) bool { return fn(id) }}
	if len(value) > MaxRecordBytes {
		return f.walk()
	}
	whole := scanner{}
	return f.walk() || !whole.record(value, Clickstream) && words(value, fn)
}

// words calls fn with every string of a value and every run of bytes between JSON's punctuation.
func words(b []byte, fn func(id []byte) bool) bool {
	const between = " \t\r\n\"':,;{}[]"
	s := scanner{b: b}
	for i := 0; i < len(b); i++ {
		if b[i] != '"' {
			continue
		}
		if end, escaped := scanString(b, i+1); end > 0 && fn(s.content(i+1, end, escaped)) {
			return true
		}
	}
	for word := range bytes.FieldsFuncSeq(b, func(r rune) bool { return bytes.ContainsRune([]byte(between), r) }) {
		if fn(word) {
			return true
		}
	}
	return false
}

// content is the decoded content of the string between two places.
func (s *scanner) content(from, to int, escaped bool) []byte {
	if !escaped {
		return s.b[from:to]
	}
	s.escaped = s.escaped[:0]
	return s.decode(s.b[from:to])
}

// userFields finds the values behind the name user_id: fn gets the place of each, its content
// and what it is. Of arrays and objects fn gets the strings in them, and the place of the whole.
type userFields struct {
	b    []byte
	scan scanner
	fn   func(from, to int, id []byte, f form) (stop bool)
}

// walk says whether fn stopped it. In a broken record it goes on behind what it cannot read.
func (f *userFields) walk() bool {
	b := f.b
	for i := 0; i < len(b); {
		if b[i] != '"' {
			next := bytes.IndexByte(b[i:], '"')
			if next < 0 {
				return false
			}
			i += next
		}
		end, escaped := scanString(b, i+1)
		if end < 0 {
			i++
			continue
		}
		name := f.scan.content(i+1, end, escaped)
		i = skipSpace(b, end+1)
		if string(name) != "user_id" || i >= len(b) || b[i] != ':' {
			continue
		}
		var stop bool
		if i, stop = f.value(skipSpace(b, i+1)); stop {
			return true
		}
	}
	return false
}

// value passes the value at i on and returns the place behind it.
func (f *userFields) value(i int) (next int, stop bool) {
	b := f.b
	switch {
	case i >= len(b):
		return i, false
	case b[i] == '"':
		end, escaped := scanString(b, i+1)
		if end < 0 {
			return i, false
		}
		return end + 1, f.fn(i, end+1, f.scan.content(i+1, end, escaped), formString)
	case b[i] == '{' || b[i] == '[':
		return f.container(i)
	}
	end := i
	for end < len(b) && !bytes.ContainsRune([]byte(" \t\r\n\"',{}[]"), rune(b[end])) {
		end++
	}
	what := formBool // or null
	if b[i] == '-' || b[i]-'0' <= 9 {
		what = formNumber
	}
	return end, end > i && f.fn(i, end, b[i:end], what)
}

func (f *userFields) container(i int) (next int, stop bool) {
	what := formArray
	if f.b[i] == '{' {
		what = formObject
	}
	end := f.scan.skip(i, 1)
	if end < 0 {
		return i + 1, false
	}
	stop = f.fn(i, end, nil, what)
	inner := scanner{b: f.b[i:end]}
	for at := 0; !stop && at < len(inner.b); at++ {
		if inner.b[at] != '"' {
			continue
		}
		if e, escaped := scanString(inner.b, at+1); e > 0 {
			stop = f.fn(i, end, inner.content(at+1, e, escaped), what)
			at = e
		}
	}
	return end, stop
}

// Pseudonymize appends a JSON record to dst with other ids in place of its users': every string
// behind the name user_id, at any depth, becomes what fn makes of it. What no event can have for
// a user becomes as unusable without telling anything: numbers 0, arrays and objects empty,
// strings over MaxUserBytes or with a NUL "". The rest of the record stays as it is.
func Pseudonymize(dst, value []byte, fn func(dst, id []byte) []byte) []byte {
	done := 0
	f := userFields{b: value, scan: scanner{b: value}}
	f.fn = func(from, to int, id []byte, what form) bool {
		if from < done { // inside of what was emptied
			return false
		}
		dst = append(dst, value[done:from]...)
		done = to
		switch {
		case what == formString && usableUser(id, true):
			dst = append(fn(append(dst, '"'), id), '"')
		case what == formString && (len(id) > MaxUserBytes || bytes.IndexByte(id, 0) >= 0):
			dst = append(dst, `""`...)
		case what == formNumber:
			dst = append(dst, '0')
		case what == formArray:
			dst = append(dst, "[]"...)
		case what == formObject:
			dst = append(dst, "{}"...)
		default:
			dst = append(dst, value[from:to]...)
		}
		return false
	}
	f.walk()
	return append(dst, value[done:]...)
}
