package console

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"
)

// formats are the functions with which templates write numbers and times.
func formats(currency string) template.FuncMap {
	m := money{symbolOf(currency)}
	return template.FuncMap{
		"money": m.short, "exact": m.exact, "count": count, "percent": percent, "share": share, "day": day, "clock": clock, "signed": signed,
		"digits": func(v any, places int) string { return strconv.FormatFloat(number(v), 'f', places, 64) }, "known": func(v any) bool { return v != nil }, "label": Label, "seconds": seconds, "capital": capital, "number": number,
		"bar": func(part, whole any) float64 { return bar(number(part), number(whole), 100) },
	}
}

// symbolOf is what stands before an amount of a currency.
func symbolOf(currency string) string {
	if s := map[string]string{"GBP": "£", "EUR": "€", "USD": "$", "JPY": "¥", "INR": "₹"}[currency]; s != "" {
		return s
	}
	return currency + "\u00a0"
}

// capital is a word with a capital letter.
func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

type money struct{ symbol string }

// short is an amount as a headline has it: £1.24M, £312k, £9,876, £12.50.
func (m money) short(v float64) string {
	sign := ""
	if v < 0 {
		sign, v = "−", -v
	}
	switch {
	case v >= 999_500:
		return sign + m.symbol + trimmed(v/1e6, 2) + "M"
	case v >= 99_950:
		return sign + m.symbol + trimmed(v/1e3, 0) + "k"
	case v >= 999.5:
		return sign + m.symbol + count(int64(math.Round(v)))
	case v >= 99.5:
		return sign + m.symbol + strconv.FormatFloat(v, 'f', 0, 64)
	default:
		return sign + m.symbol + strconv.FormatFloat(v, 'f', 2, 64)
	}
}

// exact is an amount to the hundredth.
func (m money) exact(v float64) string {
	sign := ""
	if v < 0 {
		sign, v = "−", -v
	}
	whole, part := math.Modf(math.Round(v*100) / 100)
	return fmt.Sprintf("%s%s%s.%02.0f", sign, m.symbol, count(int64(whole)), part*100)
}

func trimmed(v float64, places int) string {
	s := strconv.FormatFloat(v, 'f', places, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// count writes a whole number with commas between thousands.
func count(v any) string {
	n := int64(number(v))
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "−", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// percent writes a share of 0 to 1; below a tenth with one decimal.
func percent(v any) string {
	p := number(v) * 100
	places := 0
	if p != 0 && math.Abs(p) < 10 {
		places = 1
	}
	return strconv.FormatFloat(p, 'f', places, 64) + "%"
}

func share(part, whole any) string {
	if number(whole) == 0 {
		return "–"
	}
	return percent(number(part) / number(whole))
}

// signed writes a change with its sign.
func signed(v float64, places int) string {
	s := strconv.FormatFloat(math.Abs(v), 'f', places, 64)
	switch {
	case v > 0:
		return "+" + s
	case v < 0:
		return "−" + s
	}
	return s
}

func day(t time.Time) string { return t.UTC().Format("2 Jan 2006") }

func clock(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04") + " UTC" }

// seconds writes a span given in milliseconds as people say it.
func seconds(millis float64) string {
	switch s := millis / 1000; {
	case s < 1:
		return strconv.FormatFloat(millis, 'f', 0, 64) + " ms"
	case s < 120:
		return trimmed(s, 1) + " s"
	case s < 7200:
		return trimmed(s/60, 0) + " min"
	case s < 172_800:
		return trimmed(s/3600, 0) + " h"
	default:
		return count(int64(s/86400)) + " days"
	}
}

// bar is the length of a bar of at most full.
func bar(part, whole, full float64) float64 {
	if whole <= 0 {
		return 0
	}
	return math.Round(min(1, math.Abs(part)/whole)*full*10) / 10
}

// number reads any of the numeric types that the driver yields, or a pointer to
// what may be NULL; 0 for others.
func number(v any) float64 {
	switch n := v.(type) {
	case *int64:
		if n != nil {
			return float64(*n)
		}
	case *float64:
		if n != nil {
			return *n
		}
	case float64:
		return n
	case float32:
		return float64(n)
	case int:
		return float64(n)
	case int64:
		return float64(n)
	case int32:
		return float64(n)
	case uint64:
		return float64(n)
	case uint32:
		return float64(n)
	case uint16:
		return float64(n)
	case uint8:
		return float64(n)
	case interface{ InexactFloat64() float64 }:
		return n.InexactFloat64()
	}
	return 0
}
