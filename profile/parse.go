package profile

import (
	"fmt"
	"math"
)

// Limits of the contract.
const (
	MaxRecordBytes = 1 << 20 // value of an input record
	MaxRecordDepth = 64      // levels of nesting, the outer object being level 1
	MaxUserBytes   = 256
	MaxQuantity    = 1_000_000
	MaxAmount      = 1_000_000_000 // of price, total and a record's amount, in units of money
)

// keptItems bounds the scratch that a Parser keeps between records.
const keptItems = 1024

// ParserConfig is the part of the configuration that decides which records are events.
type ParserConfig struct {
	MaxFutureSkewMillis int64             // event time may be ahead of the Kafka timestamp by this
	Currency            string            // of AmountMicros, and of records that name none
	Rates               map[string]string // currency -> units of Currency, plain decimals such as "0.79"
	MaxBytes            int               // 0: MaxRecordBytes
	MaxDepth            int               // 0: MaxRecordDepth
}

// Parser turns input records into events. It is not for concurrent use: one a goroutine.
type Parser struct {
	maxFutureSkew int64
	currency      string
	rates         map[string]rate
	maxBytes      int
	maxDepth      int

	scan   scanner
	out    []Product // Items of the event
	reject Reject
}

// NewParser checks the configuration; errors name the key of profile.* that is wrong.
func NewParser(cfg ParserConfig) (*Parser, error) {
	p := &Parser{
		maxFutureSkew: cfg.MaxFutureSkewMillis, currency: cfg.Currency,
		maxBytes: cfg.MaxBytes, maxDepth: cfg.MaxDepth,
		rates: make(map[string]rate, len(cfg.Rates)),
	}
	if p.maxBytes == 0 {
		p.maxBytes = MaxRecordBytes
	}
	if p.maxDepth == 0 {
		p.maxDepth = MaxRecordDepth
	}
	if p.maxFutureSkew < 0 || p.maxFutureSkew > math.MaxInt64/4 {
		return nil, fmt.Errorf("max_future_skew: %d ms is out of range", p.maxFutureSkew)
	}
	if p.currency == "" {
		return nil, fmt.Errorf("currency: is empty")
	}
	if p.maxBytes < 0 || p.maxBytes > math.MaxInt32 {
		return nil, fmt.Errorf("max bytes: %d is out of range", p.maxBytes)
	}
	if p.maxDepth < 3 {
		return nil, fmt.Errorf("max depth: %d is less than an event needs", p.maxDepth)
	}
	for currency, text := range cfg.Rates {
		r, err := parseRate(text)
		if err != nil {
			return nil, fmt.Errorf("rates.%s: %w", currency, err)
		}
		if currency == "" || currency == p.currency && !r.one() {
			return nil, fmt.Errorf("rates.%s: no rate is possible for this currency but 1", currency)
		}
		p.rates[currency] = r
	}
	return p, nil
}

// Parse reads one input record of a topic of the given kind into e, or says why it is no event.
// It fills in everything but Source, Offset and Key, which are the caller's. Slices of e alias
// value or the parser's memory until its next Parse, and so does the Reject; e is undefined
// after a reject. Parse does not allocate once the parser has grown to its records' size.
func (p *Parser) Parse(value []byte, kind TopicKind, kafkaMillis int64, e *Event) *Reject {
	if len(value) > p.maxBytes {
		return p.no(ReasonTooLarge, "")
	}
	if cap(p.scan.items) > keptItems {
		p.scan.items = nil
	}
	if cap(p.out) > keptItems {
		p.out = nil
	}
	if !p.scan.record(value, kind) {
		return p.no(ReasonBadJSON, "")
	}
	if p.scan.depth > p.maxDepth {
		return p.no(ReasonTooDeep, "")
	}
	e.clear()
	e.KafkaMillis, e.Raw = kafkaMillis, value
	if r := p.common(e, kind); r != nil {
		return r
	}
	var r *Reject
	if kind == Purchases {
		r = p.purchases(e)
	} else {
		r = p.clickstream(e)
	}
	if r != nil {
		return r
	}
	if e.TimeMillis > kafkaMillis && e.TimeMillis-p.maxFutureSkew > kafkaMillis {
		return p.no(ReasonFuture, "ts")
	}
	return nil
}

// no fills in the parser's one Reject.
func (p *Parser) no(reason, field string) *Reject {
	p.reject = Reject{Reason: reason, Field: field}
	return &p.reject
}

// clear empties everything but the source position and key.
func (e *Event) clear() {
	*e = Event{
		Source: e.Source, Offset: e.Offset, Key: e.Key,
		Product: Product{PriceMicros: NoPrice, Quantity: 1},
	}
}
