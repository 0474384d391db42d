package schemas

import (
	"embed"
	"encoding/json"
	"fmt"
	"strings"
)

//go:embed golden/poison.jsonl
var poisonLines string

//go:embed golden/events.jsonl
var eventLines string

// EventSchemas holds the JSON Schemas of the input topics, events/clickstream.json and
// events/purchases.json. They are documentation: admission has its own, stricter checks.
//
//go:embed events/*.json
var EventSchemas embed.FS

// PoisonCase is a record that is no event, one named way of being wrong, with the dead-letter
// reason and field that admission must give it (docs/events.md lists them all). The cases hold
// for any Kafka timestamp up to the year 9998, any rates without the currencies XXX and gbp,
// and the limits of the contract.
type PoisonCase struct {
	Class  string
	Topic  string // last element of the topic's name: clickstream or purchases
	Reason string
	Field  string // "" for too_large, bad_json and too_deep
	Value  []byte // nil: a Kafka tombstone
}

// hugeBytes is a size that default limits of topics and clients carry in any case.
const hugeBytes = 256 << 10

// Huge says whether the value may be more than a topic with default settings takes.
func (c PoisonCase) Huge() bool { return len(c.Value) > hugeBytes }

// GoldenEvent is a valid record and what admission must read in it, for the currency GBP and
// the rates {USD: 0.79}.
type GoldenEvent struct {
	Name  string
	Topic string // last element of the topic's name
	Value []byte
	Want  GoldenWant
}

// GoldenWant holds the parts of a canonical event. Amounts are in millionths.
type GoldenWant struct {
	Type            string `json:"type"`
	UserID          string `json:"user_id"`
	EventID         string `json:"event_id"`
	TimeMillis      int64  `json:"time_millis"` // since 1970
	AmountMicros    int64  `json:"amount_micros"`
	Quantity        int64  `json:"quantity"` // sum over the items
	Items           int    `json:"items"`
	ProductID       string `json:"product_id"`
	ProductName     string `json:"product_name"`
	Category        string `json:"category"`
	PriceMicros     int64  `json:"price_micros"`
	ProductQuantity int64  `json:"product_quantity"` // 0: not given, which means 1
	Query           string `json:"query"`
	Text            string `json:"text"`
	Campaign        string `json:"campaign"`
	Channel         string `json:"channel"`
}

// goldenLine is one line of either file. The value is given as text, as base64, as parts to be
// repeated, or not at all (a tombstone).
type goldenLine struct {
	Class  string     `json:"class"`
	Name   string     `json:"name"`
	Topic  string     `json:"topic"`
	Reason string     `json:"reason"`
	Field  string     `json:"field"`
	Want   GoldenWant `json:"want"`

	Value       *string `json:"value"`
	ValueBase64 []byte  `json:"value_base64"`
	Parts       []struct {
		Text  string `json:"text"`
		Count int    `json:"count"`
	} `json:"parts"`
	Tombstone bool `json:"tombstone"`
}

func (l *goldenLine) bytes() []byte {
	switch {
	case l.Tombstone:
		return nil
	case l.Value != nil:
		return []byte(*l.Value)
	case l.Parts != nil:
		var b strings.Builder
		for _, p := range l.Parts {
			b.WriteString(strings.Repeat(p.Text, p.Count))
		}
		return []byte(b.String())
	}
	return l.ValueBase64
}

// goldenFile parses an embedded file; a line that does not parse is a bug in this repository.
func goldenFile(name, lines string) []goldenLine {
	var out []goldenLine
	for n, text := range strings.Split(strings.TrimSuffix(lines, "\n"), "\n") {
		var l goldenLine
		d := json.NewDecoder(strings.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(&l); err != nil {
			panic(fmt.Sprintf("schemas: golden/%s line %d: %v", name, n+1, err))
		}
		out = append(out, l)
	}
	return out
}

// Poison returns the poison corpus, in the order of admission's checks.
func Poison() []PoisonCase {
	var out []PoisonCase
	for _, l := range goldenFile("poison.jsonl", poisonLines) {
		out = append(out, PoisonCase{Class: l.Class, Topic: l.Topic, Reason: l.Reason, Field: l.Field, Value: l.bytes()})
	}
	return out
}

// GoldenEvents returns the samples of valid events; every type is among them.
func GoldenEvents() []GoldenEvent {
	var out []GoldenEvent
	for _, l := range goldenFile("events.jsonl", eventLines) {
		out = append(out, GoldenEvent{Name: l.Name, Topic: l.Topic, Value: l.bytes(), Want: l.Want})
	}
	return out
}
