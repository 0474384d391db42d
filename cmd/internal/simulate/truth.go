package simulate

import (
	"math"
	"sort"
	"strconv"
	"time"
)

// Share is the weight of a category among a customer's interests.
type Share struct {
	Category string
	Weight   float64 // of 1
}

// Truth is what the simulator knows of a customer and no event tells.
type Truth struct {
	User    string
	Segment string // "bot" for bots
	Bot     bool
	Chinese bool
	Joined  time.Time
	// DroppedOut is when the customer left for good; zero for those still
	// active at the history's end.
	DroppedOut time.Time
	// PurchasesPerDay is the latent rate while active and in a neutral mood.
	PurchasesPerDay float64
	MeanOrderValue  float64 // latent mean of an order, in currency units
	// ExpectedSpend90d is what the next 90 days would bring, before refunds,
	// from a customer who is still active when they begin: drop-out by hazard
	// and after purchases is in it. It is 0 for the bots.
	ExpectedSpend90d float64
	Mood             float64 // at the end, about -1..1: the hazard of leaving falls with it
	Need             string  // category to be bought next at the end; "" if none in particular
	Sessions         int
	Interests        []Share // at the end of the history, largest first
	FirstInterests   []Share // when the customer joined, largest first
}

// Truth yields the latent truth of every customer, by index. It is complete
// after Events has returned.
func (s *Shop) Truth(yield func(Truth) error) error {
	for _, c := range s.customers {
		if err := yield(s.truth(c)); err != nil {
			return err
		}
	}
	return nil
}

func (s *Shop) truth(c *customer) Truth {
	t := Truth{
		User: c.id, Segment: segmentTable[c.segment].name, Bot: c.bot, Chinese: c.lang == chinese,
		Joined: time.UnixMilli(c.joined).UTC(), Sessions: c.session,
		Interests: s.ranked(c.interest), FirstInterests: s.ranked(c.firstInterest),
	}
	if c.need != noNeed {
		t.Need = s.catalogue.categories[c.need].name[english]
	}
	if c.bot {
		t.Segment = "bot"
		return t
	}
	if c.droppedOut > 0 {
		t.DroppedOut = time.UnixMilli(c.droppedOut).UTC()
	}
	t.PurchasesPerDay = c.sessionsPerDay * c.conversion * math.Exp(0.3*c.baseMood)
	t.Mood = c.mood
	t.MeanOrderValue = c.meanCents / 100
	hazard := c.hazardPerDay*math.Exp(-moodHazard*c.baseMood) + t.PurchasesPerDay*c.leaveAfterBuy
	days := 90.0
	if hazard > 1e-9 {
		days = (1 - math.Exp(-90*hazard)) / hazard
	}
	t.ExpectedSpend90d = t.PurchasesPerDay * t.MeanOrderValue * days
	return t
}

func (s *Shop) ranked(log [categoryCount]float64) []Share {
	w := shares(log)
	out := make([]Share, categoryCount)
	for i := range out {
		out[i] = Share{s.catalogue.categories[i].name[english], w[i]}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Weight > out[j].Weight })
	return out
}

// appendTruth writes one line of truth.jsonl, without the newline.
func appendTruth(b []byte, t *Truth) []byte {
	b = append(b, `{"user_id":`...)
	b = appendString(b, t.User)
	b = appendField(b, "segment", t.Segment)
	b = append(b, `,"bot":`...)
	b = strconv.AppendBool(b, t.Bot)
	b = append(b, `,"language":"`...)
	if t.Chinese {
		b = append(b, `zh"`...)
	} else {
		b = append(b, `en"`...)
	}
	b = appendField(b, "joined_at", t.Joined.Format(millisLayout))
	b = append(b, `,"dropped_out_at":`...)
	if t.DroppedOut.IsZero() {
		b = append(b, "null"...)
	} else {
		b = appendString(b, t.DroppedOut.Format(millisLayout))
	}
	b = appendNumber(b, "purchases_per_day", t.PurchasesPerDay)
	b = appendNumber(b, "mean_order_value", t.MeanOrderValue)
	b = appendNumber(b, "expected_spend_90d", t.ExpectedSpend90d)
	b = appendNumber(b, "mood", t.Mood)
	b = appendField(b, "need", t.Need)
	b = append(b, `,"sessions":`...)
	b = strconv.AppendInt(b, int64(t.Sessions), 10)
	b = appendShares(b, "interests", t.Interests)
	b = appendShares(b, "first_interests", t.FirstInterests)
	return append(b, '}')
}

const millisLayout = "2006-01-02T15:04:05.000Z"

// appendNumber writes a number with six decimals: no shortest form, no exponent.
func appendNumber(b []byte, name string, x float64) []byte {
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, '"', ':')
	return strconv.AppendFloat(b, x, 'f', 6, 64)
}

func appendShares(b []byte, name string, list []Share) []byte {
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, '"', ':', '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"category":`...)
		b = appendString(b, s.Category)
		b = append(appendNumber(b, "weight", s.Weight), '}')
	}
	return append(b, ']')
}
