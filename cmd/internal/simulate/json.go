package simulate

import (
	"strconv"
	"time"
)

// appendEvent writes an event as the JSON value of a record. id "" writes none.
func appendEvent(b []byte, o *Options, c *customer, e *event, id string, cat *catalogue) []byte {
	b = append(b, '{')
	if id != "" {
		b = append(b, `"event_id":`...)
		b = append(appendString(b, id), ',')
	}
	b = append(b, `"user_id":`...)
	b = appendString(b, c.id)
	b = append(b, `,"type":"`...)
	b = append(b, e.kind...)
	b = append(b, `","ts":`...)
	b = appendTime(b, c, e.at)
	if e.product != nil {
		b = append(b, `,"product":{"id":`...)
		b = appendString(b, e.product.id)
		b = appendProduct(b, c.lang, e.product, cat)
		b = append(b, `,"price":`...)
		b = append(appendCents(b, e.product.cents), '}')
	}
	if e.query != "" {
		b = appendField(b, "query", e.query)
	}
	if e.hasText {
		b = appendField(b, "text", e.text)
	}
	if e.campaign != "" {
		b = appendField(b, "campaign", e.campaign)
		b = appendField(b, "channel", e.channel)
	} else if e.kind == "page_view" {
		b = append(b, `,"campaign":null`...)
	}
	if e.url != "" {
		b = appendField(b, "url", e.url)
	}
	if e.quantity > 0 {
		b = append(b, `,"quantity":`...)
		b = strconv.AppendInt(b, int64(e.quantity), 10)
	}
	if e.topic == TopicPurchases {
		b = appendOrder(b, o, c, e, cat)
	}
	b = append(b, `,"session_id":"`...)
	b = strconv.AppendInt(b, int64(c.index), 36)
	b = append(b, '-')
	b = strconv.AppendInt(b, int64(e.session), 36)
	b = append(b, `","context":{"device":"`...)
	b = append(b, clientTable[c.client]...)
	if c.lang == chinese {
		return append(b, `","locale":"zh-CN"}}`...)
	}
	return append(b, `","locale":"en-GB"}}`...)
}

// clientTable describes the devices; the pipeline ignores fields it does not know.
var clientTable = []string{`web","app":"shop-web 5.14.2`, `android","app":"shop 8.3.0`, `ios","app":"shop 8.2.7`}

func appendOrder(b []byte, o *Options, c *customer, e *event, cat *catalogue) []byte {
	b = appendField(b, "order_id", e.order)
	b = append(b, `,"items":[`...)
	for i, it := range e.items {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"product_id":`...)
		b = appendString(b, it.product.id)
		b = appendProduct(b, c.lang, it.product, cat)
		b = append(b, `,"price":`...)
		b = appendCents(b, it.cents)
		if it.quantity != 1 || c.client == 0 {
			b = append(b, `,"quantity":`...)
			b = strconv.AppendInt(b, int64(it.quantity), 10)
		}
		b = append(b, '}')
	}
	b = append(b, ']')
	if e.hasTotal {
		b = append(b, `,"total":`...)
		b = appendCents(b, e.cents)
	}
	switch {
	case e.foreign:
		b = appendField(b, "currency", o.ForeignCurrency)
	case o.Currency != "":
		b = appendField(b, "currency", o.Currency)
	}
	return b
}

func appendProduct(b []byte, lang int, p *product, cat *catalogue) []byte {
	b = appendField(b, "name", p.name[lang])
	return appendField(b, "category", cat.categories[p.category].name[english])
}

// appendTime writes a time as the customer's client does: UTC with
// milliseconds, an integer of milliseconds, or local time with microseconds.
func appendTime(b []byte, c *customer, millis int64) []byte {
	switch c.client {
	case 1:
		return strconv.AppendInt(b, millis, 10)
	case 2:
		zone := time.FixedZone("", 3600)
		if c.lang == chinese {
			zone = time.FixedZone("", 8*3600)
		}
		t := time.UnixMilli(millis).Add(time.Duration(millis%997) * time.Microsecond).In(zone)
		b = append(b, '"')
		b = t.AppendFormat(b, "2006-01-02T15:04:05.000000Z07:00")
		return append(b, '"')
	}
	b = append(b, '"')
	b = time.UnixMilli(millis).UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	return append(b, '"')
}

func appendField(b []byte, name, value string) []byte {
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, '"', ':')
	return appendString(b, value)
}

// appendCents writes an amount of cents as a decimal number of units.
func appendCents(b []byte, cents int64) []byte {
	b = strconv.AppendInt(b, cents/100, 10)
	if f := cents % 100; f != 0 {
		b = append(b, '.', byte('0'+f/10))
		if f%10 != 0 {
			b = append(b, byte('0'+f%10))
		}
	}
	return b
}

// appendString writes a JSON string. s must be valid UTF-8.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch ch := s[i]; {
		case ch == '"' || ch == '\\':
			b = append(b, '\\', ch)
		case ch < 0x20:
			b = append(b, '\\', 'u', '0', '0', hex[ch>>4], hex[ch&15])
		default:
			b = append(b, ch)
		}
	}
	return append(b, '"')
}
