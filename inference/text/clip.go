package text

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// clip makes s one line of at most words words and about tokens tokens: control
// characters and runs of space become one space, what does not fit is cut between words
// (between characters in scripts that write without spaces).
func clip(s string, words, tokens int) string {
	var b strings.Builder
	n, cost := 0, 0
	for word := range strings.FieldsFuncSeq(s, breaks) {
		c := estimate(word)
		if n == words || (cost+c > tokens && n > 0) {
			break
		}
		if cost+c > tokens {
			word = cut(word, tokens)
			c = tokens
		}
		if n > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(strings.ToValidUTF8(word, ""))
		n, cost = n+1, cost+c
	}
	return strings.TrimRightFunc(b.String(), loose)
}

// loose is what a cut text should not end with.
func loose(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsPunct(r) && !unicode.In(r, unicode.Pe, unicode.Pf)
}

func breaks(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
}

// cut shortens one long word to about tokens tokens.
func cut(word string, tokens int) string {
	end := 0
	for i, r := range word {
		next := i + utf8.RuneLen(max(r, 0))
		if r == utf8.RuneError {
			next = i + 1
		}
		if estimate(word[:next]) > tokens {
			break
		}
		end = next
	}
	return word[:end]
}

// lettersPerToken is how much of a word of the Latin alphabet one WordPiece covers,
// rounded down, names of shops being rarer than prose.
const lettersPerToken = 5

// estimate is about the number of tokens of s, seldom too small: letters and digits by
// their runs, everything else a token a character.
func estimate(s string) int {
	n, run := 0, 0
	for _, r := range s {
		switch {
		case r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)):
			if run%lettersPerToken == 0 {
				n++
			}
			run++
		case r == ' ':
			run = 0
		default:
			n++
			run = 0
		}
	}
	return n
}
