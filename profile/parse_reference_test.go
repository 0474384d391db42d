package profile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// The reference reads a record the slow way, on encoding/json and math/big, straight from the
// words of the contract. It shares nothing with the parser but the types of its answer.
type reference struct {
	skew     int64
	currency string
	rates    map[string]*big.Rat
}

// refEvent is an Event in comparable form.
type refEvent struct {
	Type, User, ID                 string
	Millis                         int64
	Amount                         string
	Quantity                       int64
	Product                        refProduct
	Items                          []refProduct
	Query, Text, Campaign, Channel string
}

type refProduct struct {
	ID, Name, Category string
	Price              int64
	Quantity           int64
}

func asReference(e *Event) *refEvent {
	product := func(p Product) refProduct {
		return refProduct{string(p.ID), string(p.Name), string(p.Category), p.PriceMicros, p.Quantity}
	}
	r := &refEvent{
		Type: e.Type.String(), User: string(e.User), ID: string(e.ID), Millis: e.TimeMillis,
		Amount: strconv.FormatInt(e.AmountMicros, 10), Quantity: e.Quantity, Product: product(e.Product),
		Query: string(e.Query), Text: string(e.Text), Campaign: string(e.Campaign), Channel: string(e.Channel),
	}
	for _, p := range e.Items {
		r.Items = append(r.Items, product(p))
	}
	return r
}

// maxReferenceDepth: encoding/json itself gives up at 10000 levels.
const maxReferenceDepth = 9000

var (
	refNumber   = big.NewRat(1_000_000, 1)
	refLimit    = big.NewRat(1_000_000_000, 1)
	refTime     = regexp.MustCompile(`^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$`)
	refInteger  = regexp.MustCompile(`^-?\d+$`)
	refNobody   = regexp.MustCompile(`^(|null|undefined|0|unknown|anonymous|0{32}|0{8}-0{4}-0{4}-0{4}-0{12})$`)
	clickstream = strings.Fields("page_view product_view search add_to_cart remove_from_cart ad_impression ad_click feedback")
)

// parse panics with a *Reject for a record that is no event.
func (f reference) parse(value []byte, kind TopicKind, kafkaMillis int64) (e *refEvent, r *Reject) {
	defer func() {
		if no, ok := recover().(*Reject); ok {
			e, r = nil, no
		}
	}()
	if len(value) > 1048576 {
		refuse("too_large", "")
	}
	if !utf8.Valid(value) || !json.Valid(value) || loneSurrogate(value) {
		refuse("bad_json", "")
	}
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	var document any
	if err := d.Decode(&document); err != nil {
		panic(err)
	}
	object, ok := document.(map[string]any)
	if !ok {
		refuse("bad_json", "")
	}
	if bracketDepth(value) > 64 {
		refuse("too_deep", "")
	}
	e = &refEvent{Amount: "0", Product: refProduct{Price: -1, Quantity: 1}}
	f.fill(e, object, kind)
	if e.Millis > kafkaMillis+f.skew {
		refuse("future", "ts")
	}
	return e, nil
}

func refuse(reason, field string) { panic(&Reject{reason, field}) }

func (f reference) fill(e *refEvent, o map[string]any, kind TopicKind) {
	e.Type = str(o, "type", "type", true)
	switch {
	case kind == Purchases && (e.Type == "purchase" || e.Type == "refund"):
	case kind == Clickstream && strings.Contains(" "+strings.Join(clickstream, " ")+" ", " "+e.Type+" ") && e.Type != "" && !strings.Contains(e.Type, " "):
	default:
		refuse("unknown_type", "type")
	}
	e.User = str(o, "user_id", "user_id", true)
	lower := strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 32
		}
		return r
	}, strings.Trim(e.User, " \t\n\v\f\r"))
	if refNobody.MatchString(lower) || len(e.User) > 256 || strings.Contains(e.User, "\x00") {
		refuse("bad_id", "user_id")
	}
	e.Millis = refMillis(o["ts"])
	e.ID = str(o, "event_id", "event_id", false)
	if kind == Purchases {
		f.purchases(e, o)
		return
	}
	needs := e.Type == "product_view" || e.Type == "add_to_cart" || e.Type == "remove_from_cart"
	switch p := o["product"].(type) {
	case nil:
		if needs {
			refuse("missing_field", "product.id")
		}
	case map[string]any:
		e.Product.ID = str(p, "id", "product.id", false)
		if needs && e.Product.ID == "" {
			refuse("missing_field", "product.id")
		}
		e.Product.Name = str(p, "name", "product.name", false)
		e.Product.Category = str(p, "category", "product.category", false)
		if x, ok := money(p, "price", "product.price"); ok {
			e.Product.Price = x.Int64()
		}
	default:
		refuse("wrong_type", "product")
	}
	e.Query = str(o, "query", "query", e.Type == "search")
	e.Text = str(o, "text", "text", e.Type == "feedback")
	e.Campaign = str(o, "campaign", "campaign", false)
	e.Channel = str(o, "channel", "channel", false)
	str(o, "url", "url", false)
	e.Product.Quantity = whole(o, "quantity", "quantity")
}

func (f reference) purchases(e *refEvent, o map[string]any) {
	str(o, "order_id", "order_id", false)
	sum, hasTotal, field := new(big.Int), o["total"] != nil, "items"
	switch items := o["items"].(type) {
	case nil:
	case []any:
		for i, element := range items {
			at := fmt.Sprintf("items[%d]", i)
			if element == nil {
				continue
			}
			it, ok := element.(map[string]any)
			if !ok {
				refuse("wrong_type", at)
			}
			p := refProduct{ID: str(it, "product_id", at+".product_id", false), Name: str(it, "name", at+".name", false),
				Category: str(it, "category", at+".category", false), Price: -1}
			x, priced := money(it, "price", at+".price")
			if priced {
				p.Price = x.Int64()
			} else if !hasTotal {
				refuse("missing_field", at+".price")
			}
			p.Quantity = whole(it, "quantity", at+".quantity")
			sum.Add(sum, x.Mul(x, big.NewInt(p.Quantity)))
			e.Quantity += p.Quantity
			e.Items = append(e.Items, p)
		}
	default:
		refuse("wrong_type", "items")
	}
	if hasTotal {
		sum, _ = money(o, "total", "total")
		field = "total"
	} else if sum.Cmp(big.NewInt(1e15)) > 0 {
		refuse("bad_amount", "items")
	} else if len(e.Items) == 0 {
		refuse("missing_field", "total")
	}
	if o["currency"] != nil {
		if c := str(o, "currency", "currency", false); c != f.currency {
			rate := f.rates[c]
			if rate == nil {
				refuse("bad_currency", "currency")
			}
			sum = halfUp(new(big.Rat).Mul(new(big.Rat).SetInt(sum), rate))
			if !sum.IsInt64() {
				refuse("bad_amount", field)
			}
		}
	}
	e.Amount = sum.String()
}

func str(o map[string]any, name, field string, required bool) string {
	switch v := o[name].(type) {
	case nil:
		if required {
			refuse("missing_field", field)
		}
	case string:
		return v
	default:
		refuse("wrong_type", field)
	}
	return ""
}

// money reads an amount in millionths, false if it is absent.
func money(o map[string]any, name, field string) (*big.Int, bool) {
	if o[name] == nil {
		return new(big.Int), false
	}
	n, ok := o[name].(json.Number)
	if !ok {
		refuse("wrong_type", field)
	}
	x := rational(n)
	if x.Sign() < 0 || x.Cmp(refLimit) > 0 {
		refuse("bad_amount", field)
	}
	return halfUp(x.Mul(x, refNumber)), true
}

func halfUp(x *big.Rat) *big.Int {
	x = new(big.Rat).Add(x, big.NewRat(1, 2))
	return new(big.Int).Div(x.Num(), x.Denom())
}

func whole(o map[string]any, name, field string) int64 {
	if o[name] == nil {
		return 1
	}
	n, ok := o[name].(json.Number)
	if !ok {
		refuse("wrong_type", field)
	}
	x := rational(n)
	if !x.IsInt() {
		refuse("wrong_type", field)
	}
	if x.Cmp(big.NewRat(1, 1)) < 0 || x.Cmp(big.NewRat(1_000_000, 1)) > 0 {
		refuse("bad_amount", field)
	}
	return x.Num().Int64()
}

// rational is exact but for exponents that would fill the memory: there the sign, and that the
// number is far from or next to zero, is all that matters.
func rational(n json.Number) *big.Rat {
	text := strings.ToLower(string(n))
	mantissa, exponent, _ := strings.Cut(text, "e")
	m, _ := new(big.Rat).SetString(mantissa)
	if exponent == "" || m.Sign() == 0 {
		return m
	}
	e, ok := new(big.Int).SetString(strings.TrimPrefix(exponent, "+"), 10)
	if !ok {
		panic("exponent " + exponent)
	}
	if most := int64(len(mantissa)) + 100; e.CmpAbs(big.NewInt(most)) > 0 {
		e.SetInt64(int64(e.Sign()) * most)
	}
	ten := new(big.Int).Exp(big.NewInt(10), new(big.Int).Abs(e), nil)
	if e.Sign() < 0 {
		return m.Quo(m, new(big.Rat).SetInt(ten))
	}
	return m.Mul(m, new(big.Rat).SetInt(ten))
}

func refMillis(ts any) int64 {
	var t int64
	switch v := ts.(type) {
	case nil:
		refuse("missing_field", "ts")
	case string:
		parsed, err := time.Parse(time.RFC3339Nano, strings.ToUpper(v))
		if !refTime.MatchString(v) || err != nil {
			refuse("bad_time", "ts")
		}
		t = parsed.UnixMilli()
	case json.Number:
		x, ok := new(big.Int).SetString(string(v), 10)
		if !refInteger.MatchString(string(v)) || !ok || !x.IsInt64() {
			refuse("bad_time", "ts")
		}
		t = x.Int64()
	default:
		refuse("wrong_type", "ts")
	}
	if t < time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() || t >= time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() {
		refuse("bad_time", "ts")
	}
	return t
}

// bracketDepth counts levels of a valid document.
func bracketDepth(value []byte) (deepest int) {
	depth, inString := 0, false
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}

var refEscape = regexp.MustCompile(`\\(u[0-9a-fA-F]{4}|.)`)

// loneSurrogate looks for one in a valid document, where backslashes stand in strings only.
func loneSurrogate(value []byte) bool {
	high := -1 // where the escape after a high surrogate must begin
	for _, m := range refEscape.FindAllIndex(value, -1) {
		code := uint64(0)
		if m[1]-m[0] == 6 {
			code, _ = strconv.ParseUint(string(value[m[0]+2:m[1]]), 16, 16)
		}
		isLow := code >= 0xdc00 && code < 0xe000
		if (high >= 0 || isLow) && !(high == m[0] && isLow) {
			return true
		}
		high = -1
		if code >= 0xd800 && code < 0xdc00 {
			high = m[1]
		}
	}
	return high >= 0
}
