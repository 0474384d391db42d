package simulate

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"strconv"
)

// Shop is a simulated shop. It is used once: Events, then Truth and Summary.
type Shop struct {
	options    Options
	catalogue  *catalogue
	customers  []*customer
	queue      customerQueue
	onTheWay   arrivals
	sequence   uint64
	lateChance float64
	poison     *rand.Rand
	poisoned   int
	summary    Summary
}

// New draws the catalogue and the customers, and scales their visits so that
// about Options.Events events come out.
func New(o Options) (*Shop, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	s := &Shop{options: o, catalogue: newCatalogue(stream(o.Seed, 3, 0)), poison: stream(o.Seed, 4, 0), lateChance: lateChance(&o)}
	scale, botPagesPerDay := s.calibrate()
	s.customers = make([]*customer, o.Users)
	s.queue = make(customerQueue, 0, o.Users)
	for i := range s.customers {
		c := newCustomer(&o, i, scale, botPagesPerDay)
		s.customers[i] = c
		if c.next != never {
			s.queue = append(s.queue, c)
		}
	}
	heap.Init(&s.queue)
	s.summary = newSummary(&o)
	return s, nil
}

// calibrate finds the factor on visits, and a bot's pages a day, that give
// about the number of events asked for; it plays a sample of the customers.
func (s *Shop) calibrate() (scale, botPagesPerDay float64) {
	o := &s.options
	const naturalBotPages = 40
	if o.Events == 0 {
		return 1, naturalBotPages
	}
	perUserDay := float64(o.Events) / float64(o.Users) / float64(o.Days)
	botPagesPerDay = max(20*perUserDay, 1)
	humans := float64(o.Events) - float64(botCount(o))*botPagesPerDay*float64(o.Days)
	sample := min(o.Users, 2000)
	scale = perUserDay / 1.6
	for range 4 {
		count, people := 0, 0
		for i := range sample {
			c := newCustomer(o, i, scale, botPagesPerDay)
			if c.bot {
				continue
			}
			people++
			for c.next != never {
				c.step(o, s.catalogue, func(*customer, *event) { count++ })
			}
		}
		if people == 0 || count == 0 {
			break
		}
		total := float64(count) / float64(people) * float64(o.Users-int(botCount(o)))
		scale *= clamp(humans/total, 0.1, 10)
	}
	return scale, botPagesPerDay
}

// Events yields every record of both streams, merged in arrival order. The
// slices of a record are its own and may be kept. It stops at yield's error.
func (s *Shop) Events(yield func(Event) error) error {
	for len(s.queue) > 0 {
		c := s.queue[0]
		if err := s.flush(c.next, yield); err != nil {
			return err
		}
		c.step(&s.options, s.catalogue, s.send)
		if c.next == never {
			heap.Pop(&s.queue)
		} else {
			heap.Fix(&s.queue, 0)
		}
	}
	return s.flush(never, yield)
}

// flush yields what arrives before the given time: nothing that is still to
// happen can arrive earlier.
func (s *Shop) flush(before int64, yield func(Event) error) error {
	for len(s.onTheWay) > 0 && s.onTheWay[0].KafkaMillis < before {
		e := s.onTheWay.pop()
		s.summary.add(&e)
		if err := yield(e); err != nil {
			return fmt.Errorf("yielding record %d: %w", s.summary.Records-1, err)
		}
		if s.options.Poison > 0 && e.Kind != KindDuplicate && s.poison.Float64() < s.options.Poison {
			p := s.nextPoison(e.KafkaMillis)
			s.summary.add(&p)
			if err := yield(p); err != nil {
				return fmt.Errorf("yielding poison record %d: %w", s.poisoned-1, err)
			}
		}
	}
	return nil
}

func (s *Shop) nextPoison(at int64) Event {
	p := s.options.PoisonCorpus[s.poisoned%len(s.options.PoisonCorpus)]
	s.poisoned++
	return Event{Topic: p.Topic, Key: p.Key, Value: p.Value, KafkaMillis: at, Kind: KindPoison, Type: p.Class}
}

// send writes an event and puts it on its way, sometimes twice.
func (s *Shop) send(c *customer, e *event) {
	r := c.travel
	// Ids come from the event's number, so that they do not depend on its journey.
	c.written++
	hi := mix(s.options.Seed ^ mix(uint64(c.index)<<32+c.written))
	lo := mix(hi)
	id := ""
	if e.kind == "feedback" || float64(mix(lo)>>11)/(1<<53) >= s.options.WithoutID {
		id = fmt.Sprintf("%016x%08x", hi, lo>>32)
	}
	arrival, kind := s.transit(c, e.at)
	out := Event{
		Topic: e.topic, Key: recordKey(c, e, lo), Value: appendEvent(make([]byte, 0, 400), &s.options, c, e, id, s.catalogue),
		KafkaMillis: arrival, TimeMillis: e.at, Kind: kind, Type: e.kind, User: c.id, ID: id, AmountCents: e.cents, Sentiment: e.sentiment,
	}
	s.push(out)
	again, delay := r.Float64(), r.ExpFloat64()
	if again < s.options.Duplicates && id != "" && kind != KindLate {
		out.KafkaMillis += 1 + int64(min(delay, 12)*float64(10*minuteMillis))
		out.Kind = KindDuplicate
		s.push(out)
	}
}

func (s *Shop) push(e Event) {
	e.sequence = s.sequence
	s.sequence++
	s.onTheWay.push(e)
}

// recordKey is the user in most records; some producers key by session or order, or not at all.
func recordKey(c *customer, e *event, draw uint64) []byte {
	switch draw % 16 {
	case 0:
		return nil
	case 1, 2:
		return strconv.AppendUint([]byte("s-"), draw>>40, 36)
	}
	if e.topic == TopicPurchases {
		return []byte(e.order)
	}
	return []byte(c.id)
}

// customerQueue is a heap of customers by the time of what they do next.
type customerQueue []*customer

func (q customerQueue) Len() int { return len(q) }
func (q customerQueue) Less(i, j int) bool {
	if q[i].next != q[j].next {
		return q[i].next < q[j].next
	}
	return q[i].index < q[j].index
}
func (q customerQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *customerQueue) Push(x any)   { *q = append(*q, x.(*customer)) }
func (q *customerQueue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}
