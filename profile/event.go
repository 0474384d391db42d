package profile

import "strings"

// TopicKind says which row of the event contract a topic's records follow.
type TopicKind uint8

// The two kinds of input topic. The zero value is no kind.
const (
	Clickstream TopicKind = 1 + iota
	Purchases
)

// String returns the kind's name as it ends a topic's name.
func (k TopicKind) String() string {
	switch k {
	case Clickstream:
		return "clickstream"
	case Purchases:
		return "purchases"
	}
	return "unknown"
}

// KindOfTopic derives the kind from the last dot-separated element of a topic's name:
// "clickstream" and "eu.shop.clickstream" are both Clickstream. False: no known kind.
func KindOfTopic(name string) (TopicKind, bool) {
	switch name[strings.LastIndexByte(name, '.')+1:] {
	case "clickstream":
		return Clickstream, true
	case "purchases":
		return Purchases, true
	}
	return 0, false
}

// Type is the kind of an event. Values are part of the log's format: never renumber.
type Type uint8

// The types of the event contract, clickstream first.
const (
	TypePageView Type = 1 + iota
	TypeProductView
	TypeSearch
	TypeAddToCart
	TypeRemoveFromCart
	TypeAdImpression
	TypeAdClick
	TypeFeedback
	TypePurchase
	TypeRefund

	lastType = TypeRefund
)

var typeNames = [...]string{
	TypePageView: "page_view", TypeProductView: "product_view", TypeSearch: "search",
	TypeAddToCart: "add_to_cart", TypeRemoveFromCart: "remove_from_cart",
	TypeAdImpression: "ad_impression", TypeAdClick: "ad_click", TypeFeedback: "feedback",
	TypePurchase: "purchase", TypeRefund: "refund",
}

// String returns the name that events use, "" for a value outside the contract.
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return ""
}

// Valid says whether t is a type of the contract.
func (t Type) Valid() bool { return t >= TypePageView && t <= lastType }

// Kind returns the kind of topic that carries the type, 0 for an invalid one.
func (t Type) Kind() TopicKind {
	switch {
	case t >= TypePurchase && t <= TypeRefund:
		return Purchases
	case t.Valid():
		return Clickstream
	}
	return 0
}

// Source identifies one partition of one input topic. The epoch grows when an input topic
// was recreated or truncated, so that a position never names two records.
type Source struct {
	Epoch     int32
	Topic     string
	Partition int32
}

// NoPrice is the PriceMicros of a product without a price.
const NoPrice int64 = -1

// Product is a product of an event: the one looked at or put in the cart, or an item of a
// purchase. Empty slices are absent fields.
type Product struct {
	ID, Name, Category []byte
	PriceMicros        int64 // millionths of the record's own currency, NoPrice if absent
	Quantity           int64 // 1..1,000,000; 1 where the record gives none
}

// Event is an admitted event with the position it came from. All byte slices are read-only
// and alias either the record's value or memory of whoever filled the event in (Parser.Parse,
// DecodeRecord), valid until that one is used again.
type Event struct {
	Source      Source
	Offset      int64 // of the source record
	KafkaMillis int64 // Kafka timestamp of the source record

	TimeMillis int64 // event time, ms since 1970, at or after 2000-01-01
	Type       Type
	User       []byte // 1..256 bytes, no NUL, not altered
	ID         []byte // empty: the source position is the id

	AmountMicros int64     // purchase, refund: >= 0, millionths of profile.currency
	Quantity     int64     // purchase, refund: sum of the items' quantities, 0 without items
	Product      Product   // clickstream; its Quantity is the event's
	Items        []Product // purchase, refund

	// Search and feedback texts may be empty and still present; see Type.
	Query, Text, Campaign, Channel []byte

	Key []byte // of the source record, nil if it had none
	Raw []byte // value of the source record as it was
}

// DLQ reasons of the contract. ReasonLate and ReasonHot are decided by windowing.
const (
	ReasonTooLarge     = "too_large"
	ReasonBadJSON      = "bad_json"
	ReasonTooDeep      = "too_deep"
	ReasonMissingField = "missing_field"
	ReasonWrongType    = "wrong_type"
	ReasonBadID        = "bad_id"
	ReasonUnknownType  = "unknown_type"
	ReasonBadTime      = "bad_time"
	ReasonFuture       = "future"
	ReasonBadAmount    = "bad_amount"
	ReasonBadCurrency  = "bad_currency"
	ReasonHot          = "hot"
	ReasonLate         = "late"
)

// Reject says why a record is no event. Field is the path of the offending field, such as
// "user_id", "product.id" or "items[2].price"; empty for too_large, bad_json and too_deep.
// It never holds a part of the record's content.
type Reject struct {
	Reason, Field string
}

// Error makes a Reject usable as an error; it holds no personal data.
func (r *Reject) Error() string {
	if r.Field == "" {
		return r.Reason
	}
	return r.Reason + " " + r.Field
}
