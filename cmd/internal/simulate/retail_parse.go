package simulate

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// toUTF8 reads bytes that are not UTF-8 as Latin-1, as older copies of the file are.
func toUTF8(s string) string {
	if utf8.ValidString(s) {
		return strings.Clone(s)
	}
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}

var retailLayouts = []string{"2006-01-02 15:04:05", "2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05", "2006-01-02 15:04", "1/2/2006 15:04", "1/2/2006 15:04:05", "1/2/06 15:04"}

func parseRetailTime(s string) (int64, error) {
	for _, layout := range retailLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UnixMilli(), nil
		}
	}
	return 0, fmt.Errorf("invoice date %q has none of the known forms", s)
}

// parseMicros reads a plain decimal of at most six decimals, exactly.
func parseMicros(s string) (int64, error) {
	sign := int64(1)
	if strings.HasPrefix(s, "-") {
		sign, s = -1, s[1:]
	}
	whole, frac, _ := strings.Cut(s, ".")
	for len(frac) > 6 && frac[len(frac)-1] == '0' {
		frac = frac[:len(frac)-1]
	}
	if len(frac) > 6 {
		return 0, fmt.Errorf("%q has more than six decimals", s)
	}
	v, err := strconv.ParseUint(whole+frac+strings.Repeat("0", 6-len(frac)), 10, 62)
	return sign * int64(v), err
}

// appendMicros writes millionths as a decimal without trailing zeros.
func appendMicros(b []byte, micros int64) []byte {
	b = strconv.AppendInt(b, micros/1e6, 10)
	if frac := micros % 1e6; frac != 0 {
		s := strconv.FormatInt(frac+1e6, 10)[1:]
		b = append(b, '.')
		b = append(b, strings.TrimRight(s, "0")...)
	}
	return b
}
