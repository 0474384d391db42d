package profile

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"profilestream/schemas"
)

// Texts of values by what they may stand for. Most are valid, so that many records get far.
var (
	genTypes = []string{
		`"page_view"`, `"product_view"`, `"search"`, `"add_to_cart"`, `"remove_from_cart"`, `"ad_impression"`, `"ad_click"`, `"feedback"`,
		`"purchase"`, `"refund"`, `"ref\u0075nd"`, `"Purchase"`, `""`, `null`, `3`,
	}
	genUsers = []string{
		`"u-1"`, `"用户"`, `"u\u00e9\n"`, `" u "`, `"\ud83d\ude00"`, `"null"`, `"NuLl"`, `"Un\u212anown"`, `"un\u004Bnown"`, `"\u000b0\f"`, `""`, `" "`, `"a\u0000"`,
		`"anonymous"`, `"undefined"`, `"00000000-0000-0000-0000-000000000000"`, `"00000000-0000-0000-0000-00000000000a"`, `"\ud83d"`, `"\ud83dx\ude00"`, `7`, `null`,
	}
	genTimes = []string{
		`1767607200000`, `1767607200000`, `"2026-01-05T10:00:00Z"`, `"2026-01-05T10:00:00.123456789+05:30"`, `"2024-02-29t23:59:59.9z"`, `"2026-09-01T12:05:00Z"`, `"2026-09-01T12:05:00.001Z"`,
		`"2000-01-01T00:00:00-00:00"`, `"2000-01-01T00:00:00+00:01"`, `"1900-02-29T00:00:00Z"`, `"2100-02-29T00:00:00Z"`, `"2400-02-29T00:00:00Z"`, `"2026-04-31T00:00:00Z"`, `"2026-13-01T00:00:00Z"`, `"2026-00-01T00:00:00Z"`,
		`"2026-01-05T10:60:00Z"`, `"2026-01-05T10:00:60Z"`, `"2026-01-05T10:00:00"`, `"2026-01-05T10:00:00.Z"`, `"2026-01-05T10:00:00.1234567891Z"`, `"2026-01-05T10:00:00+1:00"`, `"2026-01-05T10:00:00+23:59"`, `"2026-01-05T10:00:00-24:00"`, `"2026-01-05T10:00:00+01:60"`,
		`"9999-12-31T23:59:59-01:00"`, `946684800000`, `946684799999`, `-1`, `-0`, `0`, `1767607200000.0`, `1.7e12`, `253402300799999`, `253402300800000`, `9223372036854775808`, `"\u0032026-01-05T10:00:00Z"`, `true`, `{}`, `null`,
	}
	genStrings = []string{`"x"`, `"x"`, `"SKU-1"`, `""`, `"\""`, `"\/\\\b\f\n\r\t"`, `"日本"`, `"\u65e5"`, `"eight by"`, `"eight byt\u0041s"`, `null`, `1`, `true`, `[]`, `{}`}
	genAmounts = []string{
		`1`, `0`, `-0`, `-0.0e5`, `9.99`, `12.3456785`, `12.34567849999`, `0.0000005`, `4.9e-7`, `5E-7`, `1e3`, `1.5e+2`, `1000000000`, `1e9`, `0.1e10`, `1000000000.0000001`, `999999999.9999999`, `999999999.99999949`,
		`1e10`, `1e400`, `0e400`, `1e-400`, `-1e-400`, `-1`, `123456789012345678901234567890e-25`, `0.00000000000000000000000000001e28`, `18446744073709551616`, `18446744073709551615.9`, `1e99999999999999999999`, `"1"`, `null`, `false`,
	}
	genQuantities = []string{`1`, `2`, `1000000`, `1000001`, `0`, `-1`, `1.0`, `1e3`, `1.5`, `10e-1`, `1e-1`, `1e6`, `1e7`, `0.0`, `-0`, `-1.5`, `1e-999`, `1e999`, `"1"`, `null`}
	genMoneys     = []string{`"GBP"`, `"USD"`, `"JPY"`, `"IDR"`, `"BTC"`, `"EUR"`, `"\u0055SD"`, `"gbp"`, `"XXX"`, `""`, `null`, `5`}
	genOther      = []string{`1`, `"x"`, `null`, `[1,[2,{"a":[]}]]`, `{"user_id":1,"a":{"b":{}}}`, `-1.5e-7`, `01`, `1.`, `+1`, `nul`, `"\x"`, `"\ud800"`, `[1,]`, `{"a"}`, `[}`, `{]`, strings.Repeat(`[`, 62) + strings.Repeat(`]`, 62), strings.Repeat(`{"a":`, 64) + `1` + strings.Repeat(`}`, 64)}
	genSpace      = []string{"", "", "", "", " ", "\n", "\t\r "}
)

// genRecord draws the text of a record: mostly valid, with repeated, escaped and unknown names.
func genRecord(t *rapid.T, kind TopicKind) []byte {
	pick := func(label string, of []string) string { return rapid.SampledFrom(of).Draw(t, label) }
	// usually draws the value of a required field, from its first few texts nine times in ten.
	usually := func(label string, of []string, good int) string {
		if rapid.IntRange(0, 9).Draw(t, label+" good") > 0 {
			of = of[:good]
		}
		return pick(label, of)
	}
	object := func(fields map[string][]string, names []string) string {
		var b strings.Builder
		for i, name := range rapid.SliceOfN(rapid.SampledFrom(names), 0, len(names)).Draw(t, "names") {
			if i > 0 {
				b.WriteString("," + pick("space", genSpace))
			}
			fmt.Fprintf(&b, `"%s":%s`, name, usually(name, fields[name], min(len(fields[name]), 3)))
		}
		return "{" + b.String() + "}"
	}
	parts := map[string][]string{
		"id": genStrings, "product_id": genStrings, "name": genStrings, "category": genStrings,
		"price": genAmounts, "quantity": genQuantities, "x": genOther,
	}
	types := genTypes[:8]
	if kind == Purchases {
		types = genTypes[8:10]
	}
	members := []string{
		`"user_id":` + usually("user", genUsers, 5),
		`"type":` + usually("type", append(types[:len(types):len(types)], genTypes...), len(types)),
		`"ts":` + usually("ts", genTimes, 6),
	}
	optional := map[string][]string{
		"event_id": genStrings, "query": genStrings, "text": genStrings, "campaign": genStrings, "channel": genStrings,
		"url": genStrings, "quantity": genQuantities, "order_id": genStrings, "total": genAmounts, "currency": genMoneys,
		"x": genOther, "Type": genTypes, `user\u005fid`: genUsers, `tot\u0061l`: genAmounts, "ts": genTimes,
	}
	var names []string
	for _, name := range strings.Fields(`event_id query text campaign channel url quantity product product order_id items items total currency x Type user\u005fid tot\u0061l ts`) {
		if rapid.IntRange(0, 3).Draw(t, "with "+name) == 0 {
			names = append(names, name)
		}
	}
	for _, name := range names {
		var value string
		switch {
		case name == "product" && rapid.IntRange(0, 9).Draw(t, "object") > 0:
			value = object(parts, []string{"id", "name", "category", "price", "x", "quantity", "product_id"})
		case name == "items" && rapid.IntRange(0, 9).Draw(t, "array") > 0:
			var items []string
			for range rapid.IntRange(0, 3).Draw(t, "items") {
				if rapid.IntRange(0, 9).Draw(t, "item") == 0 {
					items = append(items, pick("not an item", genOther))
					continue
				}
				items = append(items, object(parts, []string{"product_id", "name", "category", "price", "price", "quantity", "x", "id"}))
			}
			value = "[" + strings.Join(items, ",") + "]"
		case name == "product" || name == "items":
			value = pick("no container", genOther)
		default:
			value = usually(name, optional[name], min(len(optional[name]), 6))
		}
		members = append(members, `"`+name+`":`+value)
	}
	members = rapid.Permutation(members).Draw(t, "order")
	s := pick("space", genSpace)
	return []byte(s + "{" + s + strings.Join(members, s+","+s) + s + "}" + s)
}

func TestParserAgreesWithTheReference(t *testing.T) {
	p, ref := testParser(t)
	accepted, all := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]TopicKind{Clickstream, Purchases}).Draw(t, "kind")
		value := genRecord(t, kind)
		switch rapid.IntRange(0, 19).Draw(t, "damage") {
		case 0: // one byte is another
			value[rapid.IntRange(0, len(value)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		case 1: // cut
			value = value[:rapid.IntRange(0, len(value)-1).Draw(t, "length")]
		}
		agree(t, p, ref, value, kind, testNow)
		all++
		if _, r := ref.parse(value, kind, testNow); r == nil {
			accepted++
		}
	})
	if accepted < all/10 {
		t.Errorf("only %d of %d records were events: the generator tests little", accepted, all)
	}
}

func TestAmountsAgreeWithExactArithmetic(t *testing.T) {
	p, ref := testParser(t)
	digits := rapid.StringMatching(`(0|[1-9][0-9]{0,11})(\.[0-9]{1,12})?([eE][+-]?[0-9]{1,2})?`)
	rapid.Check(t, func(t *rapid.T) {
		var items []string
		for range rapid.IntRange(1, 4).Draw(t, "items") {
			items = append(items, fmt.Sprintf(`{"price":%s,"quantity":%d}`, digits.Draw(t, "price"), rapid.IntRange(1, 2000).Draw(t, "quantity")))
		}
		total := ""
		if rapid.Bool().Draw(t, "with total") {
			total = `"total":` + digits.Draw(t, "total") + ","
		}
		value := fmt.Sprintf(`{"user_id":"u","type":"purchase","ts":1767607200000,%s"items":[%s],"currency":%s}`,
			total, strings.Join(items, ","), rapid.SampledFrom(genMoneys[:6]).Draw(t, "currency"))
		agree(t, p, ref, []byte(value), Purchases, testNow)
	})
}

func TestTimesAgreeWithTheCalendar(t *testing.T) {
	first, last := int64(minTimeMillis), int64(maxTimeMillis)
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.Int64Range(first+86_400_000, last-86_400_000).Draw(t, "ms")
		zone := time.FixedZone("", 60*rapid.IntRange(-23*60-59, 23*60+59).Draw(t, "minutes east"))
		nanos := rapid.Int64Range(0, 999_999).Draw(t, "ns")
		text := time.UnixMilli(want).Add(time.Duration(nanos)).In(zone).Format(time.RFC3339Nano)
		if got, ok := parseTime([]byte(text)); !ok || got != want {
			t.Fatalf("%s: %d, %v, want %d", text, got, ok, want)
		}
		if got, ok := parseMillis([]byte(strconv.FormatInt(want, 10))); !ok || got != want {
			t.Fatalf("%d: %d, %v", want, got, ok)
		}
	})
	// Every day of a cycle of the calendar.
	for day := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() < 2401; day = day.AddDate(0, 0, 1) {
		text := day.Format(time.RFC3339)
		if got, ok := parseTime([]byte(text)); !ok || got != day.UnixMilli() {
			t.Fatalf("%s: %d, %v", text, got, ok)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range schemas.Poison() {
		if len(c.Value) < 4096 {
			f.Add(c.Value, c.Topic == "purchases")
		}
	}
	for _, g := range schemas.GoldenEvents() {
		f.Add(g.Value, g.Topic == "purchases")
	}
	f.Add([]byte(benchEscapes), false)
	f.Add([]byte(benchPurchase), true)
	p, ref := testParser(f)
	f.Fuzz(func(t *testing.T, value []byte, purchases bool) {
		kind := Clickstream
		if purchases {
			kind = Purchases
		}
		var e Event
		if r := p.Parse(value, kind, testNow, &e); r == nil && !(json.Valid(value) && utf8.Valid(value)) {
			t.Fatalf("accepted %q", value)
		}
		if len(value) < 1<<16 && bracketDepth(value) <= maxReferenceDepth {
			agree(t, p, ref, value, kind, testNow)
		}
	})
}
