package simulate

import (
	"math"
	"strconv"
)

// buy fills a cart worth about a draw from the customer's spend, and pays.
func (c *customer) buy(o *Options, cat *catalogue, focus int, w []float64, put func(event) bool) bool {
	r := c.behave
	target := gamma(r, 3, c.meanCents/3)
	lines := 1 + geometric(r, 1.1, 7)
	items := make([]item, 0, lines)
	sum := int64(0)
	for i := range lines {
		category := focus
		if i > 0 && r.Float64() < 0.35 {
			category = choose(r, w)
		}
		p := cat.pickNear(r, category, target/float64(lines))
		quantity := 1 + geometric(r, 0.25, 5)
		if float64(p.cents)*3 < target/float64(lines) {
			quantity = min(int(target/float64(lines)/float64(p.cents)), 40)
		}
		if !put(event{kind: "product_view", product: p, url: "/p/" + p.id}) ||
			!put(event{kind: "add_to_cart", product: p, quantity: quantity}) {
			return false
		}
		items = append(items, item{p, p.cents, quantity})
		sum += p.cents * int64(quantity)
	}
	factor := target / float64(sum)
	e := event{kind: "purchase", topic: TopicPurchases, order: c.orderID(), items: items}
	e.foreign = r.Float64() < o.Foreign
	if factor > 0.8 && factor < 1.25 && r.Float64() < 0.5 {
		// The prices themselves are discounted or raised, and no total is sent.
		for i := range items {
			items[i].cents = max(1, int64(math.Floor(float64(items[i].cents)*factor+0.5)))
			e.cents += items[i].cents * int64(items[i].quantity)
		}
	} else {
		// Vouchers and shipping are in the total only.
		e.hasTotal, e.cents = true, max(1, int64(math.Floor(target+0.5)))
	}
	if !put(e) {
		return false
	}
	c.pending = append(c.pending, followUp{order: e.order, items: items, totalCents: e.cents, foreign: e.foreign})
	return true
}

func (c *customer) orderID() string {
	return "O" + strconv.FormatUint(c.behave.Uint64()>>20, 36)
}

// experience decides how the newest order goes, moves the mood, and turns the
// order into the feedback and the refund that it leads to.
func (c *customer) experience(now int64) {
	r := c.behave
	order := c.pending[len(c.pending)-1]
	c.pending = c.pending[:len(c.pending)-1]
	outcome := clamp(0.45+0.35*c.baseMood+0.3*r.NormFloat64(), -1, 1)
	bad := r.Float64() < 0.16-0.08*c.baseMood
	if bad {
		outcome = clamp(-0.65+0.25*r.NormFloat64(), -1, 0)
		c.mood -= 0.7
	} else {
		c.mood += 0.12 * outcome
	}
	refund, feedback := 0.04, 0.32
	if bad {
		refund, feedback = 0.38, 0.55
	}
	if r.Float64() < refund {
		f := order
		f.refund = true
		f.at = c.timeOfDay(now+hourMillis, now+2*dayMillis+int64(r.Float64()*12*float64(dayMillis)))
		if len(f.items) > 1 && r.Float64() < 0.6 {
			part := f.items[r.IntN(len(f.items))]
			f.items = []item{part}
			f.totalCents = min(f.totalCents, part.cents*int64(part.quantity))
		}
		c.pending = append(c.pending, f)
	}
	if r.Float64() < feedback {
		f := order
		f.at = c.timeOfDay(now+hourMillis, now+dayMillis+int64(r.Float64()*6*float64(dayMillis)))
		f.sentiment = clamp(outcome+0.15*r.NormFloat64(), -1, 1)
		c.pending = append(c.pending, f)
	}
}

// followUp plays the earliest pending refund or feedback.
func (c *customer) followUp(cat *catalogue, now int64, emit func(*customer, *event)) {
	at := 0
	for i := range c.pending {
		if c.pending[i].at < c.pending[at].at {
			at = i
		}
	}
	f := c.pending[at]
	c.pending = append(c.pending[:at:at], c.pending[at+1:]...)
	c.session++
	if f.refund {
		emit(c, &event{at: now, kind: "refund", topic: TopicPurchases, session: c.session, order: f.order,
			items: f.items, cents: f.totalCents, hasTotal: true, foreign: f.foreign})
		return
	}
	p := f.items[0].product
	emit(c, &event{at: now, kind: "feedback", topic: TopicClickstream, session: c.session, product: p,
		text: feedbackText(c.behave, c.lang, p.name[c.lang], f.sentiment), hasText: true, sentiment: f.sentiment})
}
