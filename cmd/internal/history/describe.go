package history

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"profilestream/profile"
)

// Lengths of what people are shown of an event.
const (
	shownItems = 2
	shownRunes = 60
)

// describe says in a few words what an event is about.
func describe(e *profile.Event, currency string) string {
	switch e.Type {
	case profile.TypePurchase, profile.TypeRefund:
		s := fmt.Sprintf("%s %.2f", currency, float64(e.AmountMicros)/1e6)
		var names []string
		for i := range e.Items[:min(shownItems, len(e.Items))] {
			names = append(names, product(&e.Items[i]))
		}
		if len(names) > 0 {
			s += ": " + strings.Join(names, ", ")
		}
		if n := len(e.Items) - len(names); n > 0 {
			s += fmt.Sprintf(" and %d more", n)
		}
		return s
	case profile.TypeSearch:
		return short(string(e.Query))
	case profile.TypeFeedback:
		return short(string(e.Text))
	case profile.TypeAdImpression, profile.TypeAdClick:
		return short(string(e.Campaign))
	}
	return product(&e.Product)
}

func product(p *profile.Product) string {
	for _, s := range [][]byte{p.Name, p.ID, p.Category} {
		if len(s) > 0 {
			return short(string(s))
		}
	}
	return ""
}

// short cuts a text and keeps control characters from the terminal.
func short(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
	if utf8.RuneCountInString(s) <= shownRunes {
		return s
	}
	return string([]rune(s)[:shownRunes-1]) + "…"
}
