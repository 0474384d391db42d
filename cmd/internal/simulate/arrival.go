package simulate

import "math"

// Kind says how a record came to be where it is in the arrival order.
type Kind uint8

// Kinds of records, from the ordinary to the damaged.
const (
	KindPrompt    Kind = iota // arrived within seconds
	KindDelayed               // disordered, within the lateness
	KindLate                  // arrived when its UTC day was closed
	KindDuplicate             // an event sent again
	KindPoison                // must be dead-lettered
)

var kindNames = [...]string{"prompt", "delayed", "late", "duplicate", "poison"}

func (k Kind) String() string { return kindNames[k] }

// Event is one Kafka record of the simulated shop.
type Event struct {
	Topic       string
	Key         []byte // nil where the producer sends none
	Value       []byte
	KafkaMillis int64 // arrival, milliseconds since 1970
	TimeMillis  int64 // event time; 0 for poison
	Kind        Kind
	Type        string  // event type; the class for poison
	User, ID    string  // "" where the record has none
	AmountCents int64   // purchases and refunds, in the order's own currency
	Sentiment   float64 // latent sentiment of feedback, -1..1

	sequence uint64
}

// minPromptMillis is the least time an event travels.
const minPromptMillis = 20

// transit draws when an event arrives.
func (s *Shop) transit(c *customer, at int64) (arrival int64, kind Kind) {
	o, r := &s.options, c.travel
	u := r.Float64()
	prompt := at + minPromptMillis + int64(r.ExpFloat64()*1200)
	switch {
	case u < o.Disorder:
		span := math.Log(float64(o.MaxDisorder.Milliseconds()) / float64(minuteMillis))
		return at + int64(float64(minuteMillis)*math.Exp(span*r.Float64())), KindDelayed
	case u < o.Disorder+s.lateChance:
		arrival = at + o.Lateness.Milliseconds() + lateMargin + int64(lateSpread*r.Float64())
		if arrival < o.endMillis() {
			return arrival, KindLate
		}
	}
	return prompt, KindPrompt
}

// Late events arrive at least lateMargin beyond the lateness, so that their day
// is closed although the slowest source lags by hours, spread over a day.
const (
	lateMargin = 2 * dayMillis
	lateSpread = float64(dayMillis)
)

// lateChance is the chance of an event to be late that makes the asked share of
// all, although the events of the last days cannot be: they would come when
// nothing else does, and no watermark would have passed them.
func lateChance(o *Options) float64 {
	days := float64(o.Days)
	able := days - float64(o.Lateness.Milliseconds())/float64(dayMillis) - 2.5
	if able <= 1 {
		return 0
	}
	return min(o.Late*days/able, 0.9-o.Disorder)
}

// arrivals is a min-heap of records on their way.
type arrivals []Event

func (h arrivals) less(i, j int) bool {
	if h[i].KafkaMillis != h[j].KafkaMillis {
		return h[i].KafkaMillis < h[j].KafkaMillis
	}
	return h[i].sequence < h[j].sequence
}

func (h *arrivals) push(e Event) {
	*h = append(*h, e)
	a := *h
	for i := len(a) - 1; i > 0; {
		parent := (i - 1) / 2
		if !a.less(i, parent) {
			return
		}
		a[i], a[parent] = a[parent], a[i]
		i = parent
	}
}

func (h *arrivals) pop() Event {
	a := *h
	top, n := a[0], len(a)-1
	a[0] = a[n]
	a[n] = Event{}
	*h = a[:n]
	a = a[:n]
	for i := 0; ; {
		child := 2*i + 1
		if child >= n {
			return top
		}
		if child+1 < n && a.less(child+1, child) {
			child++
		}
		if !a.less(child, i) {
			return top
		}
		a[i], a[child] = a[child], a[i]
		i = child
	}
}
