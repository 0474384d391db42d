package simulate

import "math"

// botPages is how many pages a bot reads in one crawl.
const botPages = 24

// item is a line of an order; cents is the price of one piece.
type item struct {
	product  *product
	cents    int64
	quantity int
}

// event is one thing a customer did, before it is written as JSON.
type event struct {
	at        int64
	kind      string
	topic     string
	session   int
	product   *product
	quantity  int
	query     string
	text      string
	hasText   bool
	campaign  string
	channel   string
	url       string
	order     string
	items     []item
	cents     int64 // total, where hasTotal
	hasTotal  bool
	foreign   bool
	sentiment float64
}

// step lets the customer do what is due at c.next and plans what follows.
// It emits the events in the customer's own time order.
func (c *customer) step(o *Options, cat *catalogue, emit func(*customer, *event)) {
	now, end := c.next, o.endMillis()
	if c.last = max(c.last, now); c.bot {
		c.crawl(cat, now, end, emit)
		return
	}
	if now < c.browse {
		c.followUp(cat, now, emit)
		c.last = max(c.last, now)
		c.plan(c.last, end, false)
		return
	}
	last, bought := c.visit(o, cat, now, end, emit)
	c.last = max(c.last, last)
	if bought && c.behave.Float64() < c.leaveAfterBuy {
		c.leave(c.last+1+c.behave.Int64N(2*dayMillis), end)
		return
	}
	c.mood = clamp(c.mood+0.07*(c.baseMood-c.mood)+0.10*c.behave.NormFloat64(), -1.2, 1.2)
	c.drift()
	c.plan(c.last, end, true)
}

// crawl is a bot's session: many pages at an even pace, nothing bought.
func (c *customer) crawl(cat *catalogue, now, end int64, emit func(*customer, *event)) {
	r := c.behave
	c.session++
	at, last := now, now
	for range botPages {
		p := cat.pick(r, r.IntN(categoryCount))
		e := event{at: at, kind: "product_view", topic: TopicClickstream, session: c.session, product: p, url: "/p/" + p.id}
		if r.IntN(3) == 0 {
			e = event{at: at, kind: "page_view", topic: TopicClickstream, session: c.session, url: "/c/" + cat.categories[p.category].code}
		}
		if at >= end {
			break
		}
		emit(c, &e)
		last = at
		at += 1500 + r.Int64N(400)
	}
	c.next = last + minuteMillis + int64((0.8+0.4*r.Float64())/c.sessionsPerDay*float64(dayMillis))
	if c.next >= end {
		c.next = never
	}
	c.browse = c.next
}

// visit plays one session and returns the time of its last event and whether it bought.
func (c *customer) visit(o *Options, cat *catalogue, now, end int64, emit func(*customer, *event)) (last int64, bought bool) {
	r := c.behave
	c.session++
	at := now
	last = now
	put := func(e event) bool {
		e.at, e.session = at, c.session
		if e.topic == "" {
			e.topic = TopicClickstream
		}
		if at >= end {
			return false
		}
		emit(c, &e)
		last = at
		at += 2*secondMillis + int64(r.ExpFloat64()*35*float64(secondMillis))
		return true
	}
	c.arrive(put)
	w := shares(c.interest)
	focus := choose(r, w[:])
	// A content customer looks around more: a hint of what is to come, no proof.
	looks := geometric(r, 2.6*math.Exp(0.3*clamp(c.mood, -1, 1)), 14)
	buys := r.Float64() < c.conversion
	if r.Float64() < 0.45 {
		put(event{kind: "search", query: c.query(cat, focus), url: "/search"})
	}
	for range looks {
		if r.Float64() < 0.15 {
			focus = choose(r, w[:])
		}
		p := cat.pick(r, focus)
		put(event{kind: "product_view", product: p, url: "/p/" + p.id})
		if r.Float64() < 0.10 {
			put(event{kind: "add_to_cart", product: p, quantity: 1})
			if r.Float64() < 0.4 {
				put(event{kind: "remove_from_cart", product: p, quantity: 1})
			}
		}
	}
	unasked := 0.05
	if c.mood < unhappy {
		unasked = 0.15
	}
	if r.Float64() < unasked {
		// Unasked feedback tells the mood, and with it the hazard of leaving.
		tone := clamp(0.8*c.mood+0.3*r.NormFloat64(), -1, 1)
		p := cat.pick(r, focus)
		put(event{kind: "feedback", product: p, text: feedbackText(r, c.lang, p.name[c.lang], tone), hasText: true, sentiment: tone})
	}
	if buys {
		focus = c.errand(focus)
		bought = c.buy(o, cat, focus, w[:], put)
		if bought {
			c.experience(last)
		}
	}
	if c.wake(w[:], focus, bought) {
		put(event{kind: "search", query: needQuery(r, c.lang, cat, c.need), url: "/search"})
	}
	return last, bought
}

// arrive opens a session: an ad that was shown and clicked, or just the front page.
func (c *customer) arrive(put func(event) bool) {
	r := c.behave
	campaign, channel := campaignTable[r.IntN(len(campaignTable))], channelTable[r.IntN(len(channelTable))]
	for range geometric(r, 0.4, 4) {
		put(event{kind: "ad_impression", campaign: campaignTable[r.IntN(len(campaignTable))], channel: channelTable[r.IntN(len(channelTable))]})
	}
	if r.Float64() < 0.22 {
		put(event{kind: "ad_impression", campaign: campaign, channel: channel})
		put(event{kind: "ad_click", campaign: campaign, channel: channel, url: "/landing/" + campaign})
		return
	}
	put(event{kind: "page_view", url: "/"})
}
