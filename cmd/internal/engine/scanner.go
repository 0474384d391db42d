package engine

import "strings"

// scanner walks the words and signs of a statement that stand outside comments, quotes and brackets.
type scanner struct {
	sql        string
	start, end int // of the token that next returned
}

// next returns the next token, words in upper case, or "" at the end. A bracket is skipped with all that is in it.
func (s *scanner) next() string {
	depth := 0
	for s.start = s.end; s.start < len(s.sql); s.start = s.end {
		rest := s.sql[s.start:]
		switch c := rest[0]; {
		case isSpace(c):
			s.end++
		case strings.HasPrefix(rest, "--"), c == '#':
			s.end += through(rest, "\n", 1)
		case strings.HasPrefix(rest, "/*"):
			s.end += through(rest, "*/", 2)
		case c == '\'' || c == '"' || c == '`':
			s.end += quotedLen(rest)
			if depth == 0 {
				return s.sql[s.start:s.end]
			}
		case c == '(' || c == '[' || c == '{':
			depth++
			s.end++
		case c == ')' || c == ']' || c == '}':
			depth = max(depth-1, 0)
			s.end++
		case isWord(c):
			for s.end < len(s.sql) && isWord(s.sql[s.end]) {
				s.end++
			}
			if depth == 0 {
				return strings.ToUpper(s.sql[s.start:s.end])
			}
		default:
			s.end++
			if depth == 0 {
				return s.sql[s.start:s.end]
			}
		}
	}
	return ""
}

// through is the length up to and including the mark, searched from the given offset, or all of it.
func through(text, mark string, from int) int {
	if at := strings.Index(text[from:], mark); at >= 0 {
		return from + at + len(mark)
	}
	return len(text)
}

// quotedLen is the length of the quoted text that begins here; a backslash escapes, a doubled quote goes on.
func quotedLen(text string) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case text[0]:
			return i + 1
		}
	}
	return len(text)
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'
}

func isWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c >= 0x80
}
