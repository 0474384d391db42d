package simulate

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// moodHazard is how strongly an unhappy mood raises the hazard of leaving.
const moodHazard = 3.2

// never is the time of a customer with nothing more to do.
const never = int64(math.MaxInt64)

const categoryCount = 13

// segmentData shapes the customers of one segment.
type segmentData struct {
	name        string
	weight      float64
	sessions    float64 // mean sessions a day at natural rates
	conversion  float64 // mean share of sessions that buy
	orderCents  float64 // mean order value
	hazard      float64 // drop-out hazard a day in a neutral mood
	perPurchase float64 // mean probability of leaving for good after a purchase
}

var segmentTable = []segmentData{
	{"loyal", 0.18, 0.45, 0.22, 7200, 0.0018, 0.012},
	{"regular", 0.34, 0.27, 0.15, 5200, 0.0058, 0.045},
	{"bargain", 0.20, 0.33, 0.09, 2900, 0.0105, 0.080},
	{"occasional", 0.18, 0.12, 0.16, 6100, 0.0075, 0.090},
	{"newcomer", 0.10, 0.30, 0.12, 4300, 0.0260, 0.180},
}

// followUp is something a purchase leads to later: a refund or a feedback.
type followUp struct {
	at         int64
	refund     bool
	order      string
	items      []item
	totalCents int64
	foreign    bool
	sentiment  float64
}

// customer is the latent state of one user; it is advanced by step.
type customer struct {
	index   int
	id      string
	behave  *rand.Rand // what the customer does
	travel  *rand.Rand // how the events arrive
	bot     bool
	segment int
	lang    int
	client  int // how the customer's device writes times
	session int

	joined     int64
	next       int64 // time of the next session or follow-up
	browse     int64 // time of the next session
	last       int64 // time of the last event
	droppedOut int64 // 0 while active
	written    uint64
	pending    []followUp

	sessionsPerDay float64
	conversion     float64
	meanCents      float64
	hazardPerDay   float64
	leaveAfterBuy  float64
	mood, baseMood float64
	need           int                    // category to be bought next; or noNeed
	interest       [categoryCount]float64 // log weights
	firstInterest  [categoryCount]float64
}

// newCustomer draws the latent traits of user index; scale multiplies how often
// humans visit, and botsPerDay is how many pages a bot reads a day.
func newCustomer(o *Options, index int, scale, botsPerDay float64) *customer {
	r := stream(o.Seed, 1, uint64(index))
	c := &customer{index: index, id: userID(index), behave: r, travel: stream(o.Seed, 2, uint64(index))}
	weights := make([]float64, len(segmentTable))
	for i, s := range segmentTable {
		weights[i] = s.weight
	}
	c.segment = choose(r, weights)
	s := segmentTable[c.segment]
	if r.Float64() < 0.35 {
		c.lang = chinese
	}
	c.client = choose(r, []float64{0.6, 0.25, 0.15})
	c.sessionsPerDay = gamma(r, 1.0, s.sessions) + 0.02
	c.conversion = beta(r, 6*s.conversion, 6*(1-s.conversion))
	// Mean order values follow the gamma-gamma model's inverse gamma.
	c.meanCents = clamp(s.orderCents*3/gamma(r, 4, 1), 300, 200_000)
	c.hazardPerDay = gamma(r, 2, s.hazard/2)
	c.leaveAfterBuy = beta(r, 20*s.perPurchase, 20*(1-s.perPurchase))
	c.baseMood = clamp(0.15+0.3*r.NormFloat64(), -0.8, 0.8)
	c.mood, c.need = c.baseMood, noNeed
	for i := range c.interest {
		c.interest[i] = 1.3 * r.NormFloat64()
	}
	c.firstInterest = c.interest
	span := float64(o.endMillis() - o.startMillis())
	c.joined = o.startMillis()
	if c.segment == 4 || r.Float64() < 0.2 {
		c.joined += int64(0.75 * span * r.Float64())
	}
	if c.bot = botIndex(o, index); c.bot {
		c.sessionsPerDay, c.joined, c.hazardPerDay = botsPerDay/botPages, o.startMillis(), 0
	} else {
		c.sessionsPerDay *= scale
		c.conversion /= max(1, scale)
	}
	c.browse = c.joined + int64(r.ExpFloat64()/c.sessionsPerDay*float64(dayMillis)*0.5)
	c.next = c.browse
	if c.next >= o.endMillis() {
		c.next = never
	}
	return c
}

// userID is unique by index; some ids are not ASCII, as in any real shop.
func userID(index int) string {
	n := index * 7919 % 9_999_991 // a prime modulus keeps them apart
	if index%97 == 41 {
		return fmt.Sprintf("用户%07d", n)
	}
	return fmt.Sprintf("u%07d", n)
}

func botIndex(o *Options, index int) bool {
	bots := int(o.Bots*float64(o.Users) + 0.5)
	return bots > 0 && index%max(1, o.Users/bots) == 0 && index/max(1, o.Users/bots) < bots
}

func botCount(o *Options) int64 { return int64(o.Bots*float64(o.Users) + 0.5) }

// weights returns the interests as shares that sum to 1.
func shares(log [categoryCount]float64) [categoryCount]float64 {
	var w [categoryCount]float64
	sum := 0.0
	for i, x := range log {
		w[i] = math.Exp(x)
		sum += w[i]
	}
	for i := range w {
		w[i] /= sum
	}
	return w
}

// drift moves the interests a little, and now and then by a jump.
func (c *customer) drift() {
	r := c.behave
	for i := range c.interest {
		c.interest[i] = 0.995*c.interest[i] + 0.06*r.NormFloat64()
	}
	if r.Float64() < 0.015 {
		c.interest[r.IntN(categoryCount)] += 1.6
	}
}

// plan decides what comes after now: drop-out, the next session or a follow-up.
func (c *customer) plan(now, end int64, visited bool) {
	r := c.behave
	if visited {
		rate := c.sessionsPerDay * math.Exp(0.3*c.mood)
		c.browse = c.timeOfDay(now+20*minuteMillis, now+int64(r.ExpFloat64()/rate*float64(dayMillis)))
	}
	c.next = c.browse
	for _, f := range c.pending {
		c.next = min(c.next, f.at)
	}
	until := min(c.next, end)
	days := float64(until-now) / float64(dayMillis)
	hazard := c.hazardPerDay * math.Exp(-moodHazard*c.mood)
	if days > 0 && r.Float64() < 1-math.Exp(-hazard*days) {
		c.leave(now+1+int64(r.Float64()*float64(until-now-1)), end)
		return
	}
	if c.next >= end {
		c.next = never
	}
}

// leave ends the customer's life at the shop; what was still to come is
// cancelled. Leaving after the history's end is not told: nobody could know.
func (c *customer) leave(at, end int64) {
	c.next, c.pending = never, nil
	if at < end {
		c.droppedOut = at
	}
}

var hourWeights = []float64{2, 1, .5, .4, .4, .6, 1.5, 3, 4, 5, 5.5, 6, 6.5, 6, 5, 5, 5, 5.5, 7, 8.5, 10, 9, 7, 4}

// timeOfDay keeps the day of at and draws an hour people shop at, not before earliest.
func (c *customer) timeOfDay(earliest, at int64) int64 {
	r := c.behave
	hour := choose(r, hourWeights)
	if c.lang == chinese {
		hour = (hour + 16) % 24 // eight hours east
	}
	t := at - at%dayMillis + int64(hour)*hourMillis + r.Int64N(hourMillis)
	if t < earliest {
		t = earliest + r.Int64N(hourMillis)
	}
	return t
}
