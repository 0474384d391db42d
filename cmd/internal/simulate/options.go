package simulate

import (
	"fmt"
	"time"
)

// Topics that the simulated shop writes, as the contract names them.
const (
	TopicClickstream = "clickstream"
	TopicPurchases   = "purchases"
)

const (
	secondMillis = int64(1000)
	minuteMillis = 60 * secondMillis
	hourMillis   = 60 * minuteMillis
	dayMillis    = 24 * hourMillis
)

const maxUsers = 9_999_990

// Poison is one record that admission must dead-letter.
type Poison struct {
	Class string // name of the kind of damage, for the summary
	Topic string // TopicClickstream or TopicPurchases
	Key   []byte
	Value []byte
}

// Options says what to simulate. Fractions are of the valid events.
type Options struct {
	Seed   uint64
	Users  int       // customers, bots included
	Days   int       // length of the history in days
	Start  time.Time // first instant of the history
	Events int64     // approximate number of events to aim at; 0 keeps natural rates

	Disorder    float64       // fraction delayed between a minute and MaxDisorder
	MaxDisorder time.Duration // longest delay of a disordered event
	Late        float64       // fraction that arrives when its day is closed
	Lateness    time.Duration // the pipeline's lateness, which late events exceed
	Duplicates  float64       // fraction sent again, byte for byte
	Poison      float64       // fraction of poison records added
	Bots        float64       // fraction of the users that are bots
	WithoutID   float64       // fraction of events that carry no event_id

	Foreign         float64 // fraction of orders in ForeignCurrency
	ForeignCurrency string
	Currency        string // written in every other order; "" writes none

	PoisonCorpus []Poison // what Poison draws from, in turn
}

// DefaultOptions returns the shop of the end-to-end test: about 200,000 events
// of 2,000 users over 60 days, 10 % disordered, 1 % late, 1 % sent twice.
func DefaultOptions() Options {
	return Options{
		Seed: 1, Users: 2000, Days: 60, Events: 200_000,
		Start:    time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		Disorder: 0.10, MaxDisorder: 6 * time.Hour,
		Late: 0.01, Lateness: 7 * 24 * time.Hour,
		Duplicates: 0.01, Poison: 0.001, Bots: 0.005, WithoutID: 0.002,
	}
}

// Validate reports the first option that cannot be simulated, by its flag name.
func (o Options) Validate() error {
	switch {
	case o.Users < 1 || o.Users > maxUsers:
		return fmt.Errorf("users: %d is not in 1..%d", o.Users, maxUsers)
	case o.Days < 1 || o.Days > 3660:
		return fmt.Errorf("days: %d is not in 1..3660", o.Days)
	case o.Start.Year() < 2000 || o.Start.Year() > 2200:
		return fmt.Errorf("start: year %d is not in 2000..2200", o.Start.Year())
	case o.Events < 0:
		return fmt.Errorf("events: %d is negative", o.Events)
	case o.MaxDisorder < 0 || o.MaxDisorder > o.Lateness:
		return fmt.Errorf("max-disorder: %v is not in 0..lateness (%v)", o.MaxDisorder, o.Lateness)
	case o.Disorder > 0 && o.MaxDisorder < 2*time.Minute:
		return fmt.Errorf("max-disorder: %v is shorter than 2m", o.MaxDisorder)
	case o.Foreign > 0 && o.ForeignCurrency == "":
		return fmt.Errorf("foreign-currency: empty although foreign is %v", o.Foreign)
	case o.Poison > 0 && len(o.PoisonCorpus) == 0:
		return fmt.Errorf("poison: %v asked for, but the corpus is empty", o.Poison)
	}
	for _, f := range []struct {
		name  string
		value float64
	}{
		{"disorder", o.Disorder}, {"late", o.Late}, {"duplicates", o.Duplicates}, {"poison", o.Poison},
		{"bots", o.Bots}, {"without-id", o.WithoutID}, {"foreign", o.Foreign},
	} {
		if !(f.value >= 0 && f.value <= 0.9) {
			return fmt.Errorf("%s: %v is not in 0..0.9", f.name, f.value)
		}
	}
	if o.Disorder+o.Late > 0.9 {
		return fmt.Errorf("late: disorder and late together exceed 0.9")
	}
	return nil
}

func (o Options) startMillis() int64 { return o.Start.UnixMilli() }
func (o Options) endMillis() int64   { return o.startMillis() + int64(o.Days)*dayMillis }
