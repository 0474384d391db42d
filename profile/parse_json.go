package profile

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// Eight bytes at a time: every byte's lowest bit, and every byte's highest.
const (
	lowBits  = 0x0101010101010101
	highBits = 0x8080808080808080
)

// skipSpace returns the index of the first byte at or after i that is not JSON white space.
func skipSpace(b []byte, i int) int {
	if i < len(b) && b[i] > ' ' {
		return i
	}
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// name scans a member's name at i and the colon. It returns the name, decoded, and the index
// of its value; -1: bad JSON.
func (s *scanner) name(i int) ([]byte, int) {
	b := s.b
	if i >= len(b) || b[i] != '"' {
		return nil, -1
	}
	start := i + 1
	end, escaped := scanString(b, start)
	if end < 0 {
		return nil, -1
	}
	i = skipSpace(b, end+1)
	if i >= len(b) || b[i] != ':' {
		return nil, -1
	}
	name := b[start:end]
	if escaped {
		// A name is compared and forgotten: its room is given back.
		n := len(s.escaped)
		name = s.decode(name)
		s.escaped = s.escaped[:n]
	}
	return name, skipSpace(b, i+1)
}

// value scans any value at i; a container there is at the given level. -1: bad JSON.
func (s *scanner) value(i, level int) (span, int) {
	b := s.b
	if i >= len(b) {
		return span{}, -1
	}
	switch c := b[i]; {
	case c == '"':
		end, escaped := scanString(b, i+1)
		if end < 0 {
			return span{}, -1
		}
		return span{off: int32(i + 1), end: int32(end), form: formString, escaped: escaped}, end + 1
	case c == '-' || c-'0' <= 9:
		end := scanNumber(b, i)
		return span{off: int32(i), end: int32(end), form: formNumber}, end
	case c == '{':
		return span{form: formObject}, s.skip(i, level)
	case c == '[':
		return span{form: formArray}, s.skip(i, level)
	case c == 'n':
		return span{}, scanLiteral(b, i, "null")
	case c == 't':
		return span{form: formBool}, scanLiteral(b, i, "true")
	case c == 'f':
		return span{form: formBool}, scanLiteral(b, i, "false")
	}
	return span{}, -1
}

// skip scans the container at i without recursion, however deep; -1: bad JSON.
func (s *scanner) skip(i, level int) int {
	b := s.b
	open := 0 // containers entered and not left
	for {
		closed := false
		switch {
		case i >= len(b):
			return -1
		case b[i] == '{' || b[i] == '[':
			object := b[i] == '{'
			s.enter(open, object)
			open++
			s.depth = max(s.depth, level+open-1)
			i = skipSpace(b, i+1)
			if i >= len(b) {
				return -1
			}
			closed = b[i] == closing(object)
			if !closed && object {
				_, i = s.name(i)
			}
		default:
			_, i = s.value(i, 0)
			closed = i >= 0 && s.next(&i, open)
		}
		for closed {
			// b[i] closes the innermost container.
			open--
			i++
			if open == 0 {
				return i
			}
			closed = s.next(&i, open)
		}
		if i < 0 {
			return -1
		}
	}
}

// next goes on after a value inside open containers: true, at the bracket that closes the
// innermost, or false, at the next value. i becomes -1 on bad JSON.
func (s *scanner) next(i *int, open int) bool {
	b, at := s.b, skipSpace(s.b, *i)
	object := s.inObject(open - 1)
	switch {
	case at < len(b) && b[at] == closing(object):
		*i = at
		return true
	case at < len(b) && b[at] == ',':
		at = skipSpace(b, at+1)
		if object {
			_, at = s.name(at)
		}
		*i = at
	default:
		*i = -1
	}
	return false
}

func (s *scanner) enter(level int, object bool) {
	word, bit := level>>6, uint64(1)<<(level&63)
	if word == len(s.nesting) {
		s.nesting = append(s.nesting, 0)
	}
	if object {
		s.nesting[word] |= bit
	} else {
		s.nesting[word] &^= bit
	}
}

func (s *scanner) inObject(level int) bool {
	return s.nesting[level>>6]>>(level&63)&1 != 0
}

func closing(object bool) byte {
	if object {
		return '}'
	}
	return ']'
}

// scanString returns the index of the quote that ends the string whose content begins at i,
// and whether it has escapes; -1: bad JSON, not UTF-8 and lone surrogates included.
func scanString(b []byte, i int) (end int, escaped bool) {
	at := i
	for ; at+8 <= len(b); at += 8 {
		x := binary.LittleEndian.Uint64(b[at:])
		quote, slash := x^lowBits*'"', x^lowBits*'\\'
		// The lowest set high bit marks the first quote, backslash, control or non-ASCII byte:
		// a borrow can only spoil the bytes above it.
		m := ((quote-lowBits)&^quote | (slash-lowBits)&^slash | (x-lowBits*' ')&^x | x) & highBits
		if m != 0 {
			at += bits.TrailingZeros64(m) >> 3
			if b[at] == '"' {
				return at, false
			}
			break
		}
	}
	return scanRest(b, i, at)
}

// scanRest goes on with scanString at a byte that the fast loop does not handle.
func scanRest(b []byte, start, i int) (end int, escaped bool) {
	ascii := true
	for i < len(b) {
		switch c := b[i]; {
		case c == '"':
			if !ascii && !utf8.Valid(b[start:i]) {
				return -1, false
			}
			return i, escaped
		case c == '\\':
			n := scanEscape(b[i:])
			if n == 0 {
				return -1, false
			}
			escaped = true
			i += n
		case c < ' ':
			return -1, false
		default:
			ascii = ascii && c < utf8.RuneSelf
			i++
		}
	}
	return -1, false
}

// scanEscape returns the length of the escape that b begins with, a surrogate pair being one;
// 0: it is not valid.
func scanEscape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		switch r := hexRune(b); {
		case r < 0:
			return 0
		case !utf16.IsSurrogate(r):
			return 6
		case utf16.DecodeRune(r, hexRune(b[6:])) != utf8.RuneError:
			return 12
		}
	}
	return 0
}

// hexRune reads \uXXXX at the start of b; -1: there is none.
func hexRune(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	var r rune
	for _, c := range b[2:6] {
		switch {
		case c-'0' <= 9:
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return -1
		}
	}
	return r
}

// decode appends the content of a scanned string to the record's decoded strings.
func (s *scanner) decode(text []byte) []byte {
	if cap(s.escaped)-len(s.escaped) < len(text) {
		// Decoding never lengthens a string, so room for the record is room for all of them.
		// What was decoded before stays where it is.
		s.escaped = make([]byte, 0, max(2*cap(s.escaped), len(s.b)))
	}
	out := s.escaped
	start := len(out)
	for i := 0; i < len(text); {
		if text[i] != '\\' {
			out = append(out, text[i])
			i++
			continue
		}
		n := scanEscape(text[i:])
		switch c := text[i+1]; c {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r := hexRune(text[i:])
			if n == 12 {
				r = utf16.DecodeRune(r, hexRune(text[i+6:]))
			}
			out = utf8.AppendRune(out, r)
		default:
			out = append(out, c)
		}
		i += n
	}
	s.escaped = out
	return out[start:len(out):len(out)]
}

// scanNumber returns the index after the number at i, by JSON's grammar; -1: bad JSON.
func scanNumber(b []byte, i int) int {
	if b[i] == '-' {
		i++
	}
	first := i
	i = scanDigits(b, i)
	if i == first || b[first] == '0' && i > first+1 {
		return -1
	}
	if i < len(b) && b[i] == '.' {
		first = i + 1
		if i = scanDigits(b, first); i == first {
			return -1
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		first = i
		if i = scanDigits(b, first); i == first {
			return -1
		}
	}
	return i
}

func scanDigits(b []byte, i int) int {
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}

// scanLiteral returns the index after the literal if it stands at i, else -1.
func scanLiteral(b []byte, i int, literal string) int {
	if len(b)-i < len(literal) || string(b[i:i+len(literal)]) != literal {
		return -1
	}
	return i + len(literal)
}
