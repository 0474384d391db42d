package profile

import "bytes"

// text returns the content of a string value, nil for an absent one. Without escapes it is a
// slice of the record.
func (p *Parser) text(v span) []byte {
	if v.form != formString {
		return nil
	}
	if v.escaped {
		return p.scan.decode(p.scan.b[v.off:v.end])
	}
	return p.scan.b[v.off:v.end]
}

// optional reads a string field that may be absent.
func (p *Parser) optional(v span, field string, out *[]byte) *Reject {
	if v.form > formString {
		return p.no(ReasonWrongType, field)
	}
	*out = p.text(v)
	return nil
}

// required reads a string field that the event's type cannot do without; it may be empty.
func (p *Parser) required(v span, field string, out *[]byte) *Reject {
	if v.form == formAbsent {
		return p.no(ReasonMissingField, field)
	}
	return p.optional(v, field, out)
}

// common checks the four fields of every event.
func (p *Parser) common(e *Event, kind TopicKind) *Reject {
	var name []byte
	f := &p.scan.fields
	if r := p.required(f[fieldType], "type", &name); r != nil {
		return r
	}
	if e.Type = typeOf(name); e.Type.Kind() != kind || kind == 0 {
		return p.no(ReasonUnknownType, "type")
	}
	if r := p.required(f[fieldUser], "user_id", &e.User); r != nil {
		return r
	}
	if !usableUser(e.User, f[fieldUser].escaped) {
		return p.no(ReasonBadID, "user_id")
	}
	ok := false
	switch v := f[fieldTime]; v.form {
	case formAbsent:
		return p.no(ReasonMissingField, "ts")
	case formString:
		e.TimeMillis, ok = parseTime(p.text(v))
	case formNumber:
		e.TimeMillis, ok = parseMillis(p.scan.b[v.off:v.end])
	default:
		return p.no(ReasonWrongType, "ts")
	}
	if !ok {
		return p.no(ReasonBadTime, "ts")
	}
	return p.optional(f[fieldID], "event_id", &e.ID)
}

// clickstream checks the fields of the clickstream topic, in the contract's order.
func (p *Parser) clickstream(e *Event) *Reject {
	f := &p.scan.fields
	if r := p.product(e); r != nil {
		return r
	}
	if e.Type == TypeSearch && f[fieldQuery].form == formAbsent {
		return p.no(ReasonMissingField, "query")
	}
	if r := p.optional(f[fieldQuery], "query", &e.Query); r != nil {
		return r
	}
	if e.Type == TypeFeedback && f[fieldText].form == formAbsent {
		return p.no(ReasonMissingField, "text")
	}
	if r := p.optional(f[fieldText], "text", &e.Text); r != nil {
		return r
	}
	if r := p.optional(f[fieldCampaign], "campaign", &e.Campaign); r != nil {
		return r
	}
	if r := p.optional(f[fieldChannel], "channel", &e.Channel); r != nil {
		return r
	}
	if f[fieldURL].form > formString {
		return p.no(ReasonWrongType, "url")
	}
	if reason := p.quantity(f[fieldQuantity], &e.Product.Quantity); reason != "" {
		return p.no(reason, "quantity")
	}
	return nil
}

// product checks the clickstream product and its parts.
func (p *Parser) product(e *Event) *Reject {
	form := p.scan.fields[fieldProduct].form
	if form != formAbsent && form != formObject {
		return p.no(ReasonWrongType, "product")
	}
	parts := &p.scan.product
	if form == formObject {
		if r := p.optional(parts[partID], "product.id", &e.Product.ID); r != nil {
			return r
		}
	}
	if len(e.Product.ID) == 0 {
		switch e.Type {
		case TypeProductView, TypeAddToCart, TypeRemoveFromCart:
			return p.no(ReasonMissingField, "product.id")
		}
	}
	if form == formAbsent {
		return nil
	}
	if r := p.optional(parts[partName], "product.name", &e.Product.Name); r != nil {
		return r
	}
	if r := p.optional(parts[partCategory], "product.category", &e.Product.Category); r != nil {
		return r
	}
	if reason := p.amount(parts[partPrice], &e.Product.PriceMicros); reason != "" {
		return p.no(reason, "product.price")
	}
	return nil
}

// typeOf finds an event type by its name, 0 if there is none.
func typeOf(name []byte) Type {
	switch string(name) {
	case "page_view":
		return TypePageView
	case "product_view":
		return TypeProductView
	case "search":
		return TypeSearch
	case "add_to_cart":
		return TypeAddToCart
	case "remove_from_cart":
		return TypeRemoveFromCart
	case "ad_impression":
		return TypeAdImpression
	case "ad_click":
		return TypeAdClick
	case "feedback":
		return TypeFeedback
	case "purchase":
		return TypePurchase
	case "refund":
		return TypeRefund
	}
	return 0
}

// usableUser says whether an id names one user. Only an escaped string can hold a NUL.
func usableUser(id []byte, escaped bool) bool {
	if len(id) == 0 || len(id) > MaxUserBytes || escaped && bytes.IndexByte(id, 0) >= 0 {
		return false
	}
	for len(id) > 0 && isSpace(id[0]) {
		id = id[1:]
	}
	for len(id) > 0 && isSpace(id[len(id)-1]) {
		id = id[:len(id)-1]
	}
	switch len(id) {
	case 0:
		return false
	case 1:
		return id[0] != '0'
	case 4:
		return !equalFold(id, "null")
	case 7:
		return !equalFold(id, "unknown")
	case 9:
		return !equalFold(id, "undefined") && !equalFold(id, "anonymous")
	case 32:
		return string(id) != "00000000000000000000000000000000"
	case 36:
		return string(id) != "00000000-0000-0000-0000-000000000000"
	}
	return true
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// equalFold compares ASCII letters in any case; lower is all lower-case letters.
func equalFold(s []byte, lower string) bool {
	for i, c := range s {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
