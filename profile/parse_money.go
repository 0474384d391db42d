package profile

import (
	"errors"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

const (
	micros    = 1_000_000
	maxMicros = MaxAmount * micros
)

// purchases checks the fields of the purchases topic, in the contract's order.
func (p *Parser) purchases(e *Event) *Reject {
	f := &p.scan.fields
	if f[fieldOrderID].form > formString {
		return p.no(ReasonWrongType, "order_id")
	}
	hasTotal := f[fieldTotal].form != formAbsent
	switch f[fieldItems].form {
	case formAbsent:
	case formArray:
		if r := p.items(e, hasTotal); r != nil {
			return r
		}
	default:
		return p.no(ReasonWrongType, "items")
	}
	field := "items"
	if hasTotal {
		field = "total"
		if reason := p.amount(f[fieldTotal], &e.AmountMicros); reason != "" {
			return p.no(reason, field)
		}
	} else if len(e.Items) == 0 {
		return p.no(ReasonMissingField, "total")
	}
	return p.convert(e, field)
}

// items checks every item and, without a total, sums them up.
func (p *Parser) items(e *Event, hasTotal bool) *Reject {
	p.out = p.out[:0]
	over := false
	for i := range p.scan.items {
		it := &p.scan.items[i]
		switch it.whole.form {
		case formAbsent:
			continue
		case formObject:
		default:
			return p.no(ReasonWrongType, "items["+strconv.Itoa(i)+"]")
		}
		p.out = append(p.out, Product{PriceMicros: NoPrice, Quantity: 1})
		out := &p.out[len(p.out)-1]
		if reason, part := p.item(it, out, hasTotal); reason != "" {
			return p.no(reason, "items["+strconv.Itoa(i)+"]."+part)
		}
		e.Quantity += out.Quantity
		if hasTotal || over {
			continue
		}
		hi, lo := bits.Mul64(uint64(out.PriceMicros), uint64(out.Quantity))
		if over = hi != 0 || lo > uint64(maxMicros-e.AmountMicros); !over {
			e.AmountMicros += int64(lo)
		}
	}
	if over {
		return p.no(ReasonBadAmount, "items")
	}
	e.Items = p.out
	return nil
}

// item checks the parts of one item; what is wrong with which, or "".
func (p *Parser) item(it *item, out *Product, hasTotal bool) (reason, part string) {
	for i, s := range [...]*[]byte{partID: &out.ID, partName: &out.Name, partCategory: &out.Category} {
		if it.parts[i].form > formString {
			return ReasonWrongType, [...]string{"product_id", "name", "category"}[i]
		}
		*s = p.text(it.parts[i])
	}
	if reason := p.amount(it.parts[partPrice], &out.PriceMicros); reason != "" {
		return reason, "price"
	}
	if out.PriceMicros == NoPrice && !hasTotal {
		return ReasonMissingField, "price"
	}
	return p.quantity(it.parts[partQuantity], &out.Quantity), "quantity"
}

// amount reads a price or total of 0..MaxAmount, rounded half up to millionths; an absent one
// leaves out as it is. It returns the reason to refuse it, or "".
func (p *Parser) amount(v span, out *int64) (reason string) {
	if v.form != formNumber {
		if v.form == formAbsent {
			return ""
		}
		return ReasonWrongType
	}
	d := parseDecimal(p.scan.b[v.off:v.end], 6)
	if d.negative && !d.zero() || d.value > maxMicros || d.value == maxMicros && d.remainder() {
		return ReasonBadAmount
	}
	*out = int64(d.value)
	if d.next >= 5 {
		*out++
	}
	return ""
}

// quantity reads a whole number of 1..MaxQuantity, however it is written (2.0 and 1e3 are
// whole); an absent one leaves out as it is. It returns the reason to refuse it, or "".
func (p *Parser) quantity(v span, out *int64) (reason string) {
	if v.form != formNumber {
		if v.form == formAbsent {
			return ""
		}
		return ReasonWrongType
	}
	d := parseDecimal(p.scan.b[v.off:v.end], 0)
	switch {
	case d.remainder():
		return ReasonWrongType
	case d.negative || d.value < 1 || d.value > MaxQuantity:
		return ReasonBadAmount
	}
	*out = int64(d.value)
	return ""
}

// decimal is the absolute value of a number in units of 10^-scale: whole units, the digit after
// them, and whether anything but zeros follows.
type decimal struct {
	value    uint64 // math.MaxUint64: or more
	next     byte   // 0..9
	more     bool
	negative bool
}

func (d *decimal) remainder() bool { return d.next != 0 || d.more }
func (d *decimal) zero() bool      { return d.value == 0 && !d.remainder() }

// push appends a digit to the value.
func (d *decimal) push(digit byte) {
	if d.value > (math.MaxUint64-9)/10 {
		d.value = math.MaxUint64
		return
	}
	d.value = d.value*10 + uint64(digit)
}

// parseDecimal reads a number of JSON's grammar exactly, whatever its length and exponent.
func parseDecimal(text []byte, scale int) (d decimal) {
	if text[0] == '-' {
		d.negative = true
		text = text[1:]
	}
	// The weight of the first digit is 10^(units-1) units.
	units, digits := scale, len(text)
	point := -1
	for i, c := range text {
		if c == '.' {
			point = i
		} else if c|0x20 == 'e' {
			units += parseExponent(text[i+1:])
			digits = i
			break
		}
	}
	if point < 0 {
		units += digits
	} else {
		units += point
	}
	for i, c := range text[:digits] {
		if i == point {
			continue
		}
		switch {
		case units > 0:
			d.push(c - '0')
		case units == 0:
			d.next = c - '0'
		case c != '0':
			d.more = true
		}
		units--
	}
	for ; units > 0 && d.value != 0 && d.value != math.MaxUint64; units-- {
		d.push(0)
	}
	return d
}

// parseExponent reads an exponent; one beyond any record's length is cut.
func parseExponent(text []byte) int {
	const limit = 1 << 40
	negative := text[0] == '-'
	if negative || text[0] == '+' {
		text = text[1:]
	}
	n := 0
	for _, c := range text {
		n = min(n*10+int(c-'0'), limit)
	}
	if negative {
		return -n
	}
	return n
}

// rate is the exact decimal mantissa / 10^decimals.
type rate struct {
	mantissa uint64
	power    uint64 // 10^decimals
}

func (r rate) one() bool { return r.mantissa == r.power }

// maxRateDigits keeps a converted amount within 128 bits and the divisor within 64.
const (
	maxRateDigits = 18
	maxRate       = 1_000_000
)

var errRate = errors.New("must be a plain decimal above 0 and at most 1000000, of at most 18 decimals and 19 digits")

// parseRate reads a rate such as "0.79".
func parseRate(text string) (rate, error) {
	whole, fraction, _ := strings.Cut(text, ".")
	digits := whole + fraction
	if len(digits) == 0 || len(digits) > maxRateDigits+1 || whole == "" || strings.HasSuffix(text, ".") {
		return rate{}, errRate
	}
	r := rate{power: 1}
	for _, c := range []byte(digits) {
		if c < '0' || c > '9' {
			return rate{}, errRate
		}
		r.mantissa = r.mantissa*10 + uint64(c-'0')
	}
	for range fraction {
		r.power *= 10
	}
	over, most := bits.Mul64(r.power, maxRate)
	if r.mantissa == 0 || len(fraction) > maxRateDigits || over == 0 && r.mantissa > most {
		return rate{}, errRate
	}
	return r, nil
}

// convert turns e's amount into the profile's currency. Field is where the amount came from.
func (p *Parser) convert(e *Event, field string) *Reject {
	v := p.scan.fields[fieldCurrency]
	if v.form == formAbsent {
		return nil
	}
	if v.form != formString {
		return p.no(ReasonWrongType, "currency")
	}
	currency := p.text(v)
	if string(currency) == p.currency {
		return nil
	}
	r, ok := p.rates[string(currency)]
	if !ok {
		return p.no(ReasonBadCurrency, "currency")
	}
	hi, lo := bits.Mul64(uint64(e.AmountMicros), r.mantissa)
	lo, carry := bits.Add64(lo, r.power/2, 0)
	hi += carry
	if hi >= r.power {
		return p.no(ReasonBadAmount, field)
	}
	amount, _ := bits.Div64(hi, lo, r.power)
	if amount > math.MaxInt64 {
		return p.no(ReasonBadAmount, field)
	}
	e.AmountMicros = int64(amount)
	return nil
}
