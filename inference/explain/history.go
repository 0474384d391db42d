package explain

import (
	"context"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
)

// Event is one event of the customer.
type Event struct {
	At   time.Time `json:"at"`
	Type string    `json:"type"` // as events spell it
	What string    `json:"what"` // product, query, text or amount, for people
}

// Types of event that this package looks for.
const (
	purchase = "purchase"
	refund   = "refund"
	feedback = "feedback"
	pageView = "page_view"
)

// Change is what a history has differently from the customer's own.
type Change struct {
	Without []int // positions of events that are left out
	Add     []Addition
}

// Addition is an event more.
type Addition struct {
	// Like is the position of the event that it repeats; with NoEvent it is a
	// bare one of its type.
	Like   int
	Type   string
	At     time.Time
	Amount float64 // of a purchase, in the currency; 0: that of the event it repeats
}

// NoEvent is the Like of an addition that repeats nothing.
const NoEvent = -1

// History replays a customer's events as they are and as they might have been.
type History interface {
	// Events are the events up to the row's time, oldest first.
	Events() []Event
	// Changed replays each change and returns records of schemas.WindowRows for
	// the same time, and the row of each change: -1 where it leaves no event. The
	// caller releases the record.
	Changed(ctx context.Context, changes []Change) (rows arrow.Record, at []int, err error)
	// Silent returns the customer's rows as of the ends of the next days, 1 to
	// days, in which nothing happens.
	Silent(ctx context.Context, days int) (arrow.Record, error)
}
