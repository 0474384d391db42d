package explain

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"
)

// Flip is a change that puts the customer into another band of churn.
type Flip struct {
	Kind  string  `json:"kind"`
	Size  float64 `json:"size"` // money, or a number of orders or days
	Words string  `json:"words"`
	// Cost compares changes of different kinds, in days of the customer's ordinary
	// life: a purchase costs the mean time in which so much is spent, a visit the
	// mean time between active days, a later order or a silence its days.
	Cost  float64 `json:"cost_days"`
	Churn float64 `json:"churn_probability"` // after the change
	Band  string  `json:"churn_band"`
}

// Kinds of change.
const (
	kindPurchase = "purchase"
	kindOrders   = "orders"
	kindVisits   = "visits"
	kindLater    = "last_order_later"
	kindSilence  = "silence"
)

// Reach of the search.
const (
	maxOrders  = 5
	maxVisits  = 21
	laterSteps = 40
	maxSilence = 180
)

const day = 24 * time.Hour

// What a customer of whom nothing is known does.
const (
	defaultGapDays   = 30
	defaultMeanOrder = 20
)

// rhythm learns the customer's ordinary life from the windows.
func (t *search) rhythm(features map[string]any) {
	number := func(name string) float64 {
		switch v := features[name].(type) {
		case float64:
			return v
		case int64:
			return float64(v)
		}
		return 0
	}
	t.gapDays, t.meanOrder, t.activeGap, t.last = defaultGapDays, defaultMeanOrder, defaultGapDays, NoEvent
	if gap := number("mean_order_gap_days"); gap > 0 {
		t.gapDays = max(1, gap)
	}
	if n, sum := number("orders_total"), number("revenue_total"); n > 0 && sum > 0 {
		t.meanOrder = sum / n
	}
	if n := number("active_days_90d"); n > 0 {
		t.activeGap = 90 / n
	}
	for i, e := range t.events {
		if e.Type == purchase {
			t.last = i
		}
	}
}

// flips tries each kind of change, from small to large, and keeps the smallest
// that leads to another band, least cost first. What it returns was scored: the
// changed events were replayed.
func (t *search) flips(ctx context.Context) ([]Flip, error) {
	out := []Flip{}
	kinds := []func(context.Context) (*Flip, error){t.purchase, t.orders, t.visits, t.later, t.silence}
	for i, kind := range kinds {
		t.o.Progress("looking for a flip", i, len(kinds))
		f, err := kind(ctx)
		if err != nil {
			return nil, err
		}
		if f != nil {
			out = append(out, *f)
		}
	}
	t.o.Progress("looking for a flip", len(kinds), len(kinds))
	slices.SortStableFunc(out, func(a, b Flip) int { return cmp.Compare(a.Cost, b.Cost) })
	return out, nil
}

// first scores changes in order and returns the first that flips.
func (t *search) first(ctx context.Context, changes []Change) (int, *outcome, error) {
	scores, err := t.scores(ctx, changes, func(int) {})
	if err != nil {
		return 0, nil, err
	}
	for i, o := range scores {
		if o != nil && o.band != t.now.band {
			return i, o, nil
		}
	}
	return len(changes), nil, nil
}

// rounded keeps two digits, at least whole units: what is said is what was tried.
func rounded(x float64) float64 {
	unit := max(1, math.Pow(10, math.Floor(math.Log10(max(1, x)))-1))
	return max(1, math.Round(x/unit)*unit)
}

// purchase looks for the smallest amount of one purchase at the row's time, from
// a quarter of an ordinary one: by steps of 2, then between the last two by halves.
func (t *search) purchase(ctx context.Context) (*Flip, error) {
	buy := func(x float64) Change { return t.buy([]time.Time{t.asOf}, x) }
	var amounts []float64
	var changes []Change
	for f := 1. / 4; f <= 32; f *= 2 {
		if x := rounded(t.meanOrder * f); len(amounts) == 0 || x > amounts[len(amounts)-1] {
			amounts, changes = append(amounts, x), append(changes, buy(x))
		}
	}
	i, o, err := t.first(ctx, changes)
	if err != nil || o == nil {
		return nil, err
	}
	high, low := amounts[i], amounts[max(0, i-1)]
	for {
		x := rounded((low + high) / 2)
		if x <= low || x >= high {
			break
		}
		_, then, err := t.first(ctx, []Change{buy(x)})
		if err != nil {
			return nil, err
		}
		if then != nil {
			high, o = x, then
		} else {
			low = x
		}
	}
	words := fmt.Sprintf("one purchase of %s %.0f at that time", t.o.Currency, high)
	return flip(kindPurchase, high, t.gapDays*high/t.meanOrder, words, o), nil
}

// buy is a purchase of an amount at each of the times, of what was bought last.
func (t *search) buy(at []time.Time, amount float64) Change {
	var c Change
	for _, a := range at {
		c.Add = append(c.Add, Addition{Like: t.last, Type: purchase, At: a, Amount: amount})
	}
	return c
}

// orders looks for the least number of ordinary purchases, one a day up to the
// row's time. One is what purchase looks for.
func (t *search) orders(ctx context.Context) (*Flip, error) {
	var changes []Change
	amount := rounded(t.meanOrder)
	for n := 2; n <= maxOrders; n++ {
		var at []time.Time
		for k := range n {
			at = append(at, latest(t.asOf.Add(-time.Duration(k)*day), t.events[0].At))
		}
		changes = append(changes, t.buy(at, amount))
	}
	i, o, err := t.first(ctx, changes)
	if err != nil || o == nil {
		return nil, err
	}
	n := i + 2
	words := fmt.Sprintf("%d purchases of %s %.0f, one a day up to that time", n, t.o.Currency, amount)
	return flip(kindOrders, float64(n), t.gapDays*float64(n)*amount/t.meanOrder, words, o), nil
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// visits looks for the least number of days with a page view more, the newest
// days without an event first.
func (t *search) visits(ctx context.Context) (*Flip, error) {
	active := map[int64]bool{}
	for _, e := range t.events {
		active[e.At.UnixMilli()/day.Milliseconds()] = true
	}
	var changes []Change
	var add []Addition
	for back := 0; back < 365 && len(changes) < maxVisits; back++ {
		at := t.asOf.Add(-time.Duration(back) * day)
		if at.Before(t.events[0].At) {
			break
		}
		if active[at.UnixMilli()/day.Milliseconds()] {
			continue
		}
		add = append(add, Addition{Like: NoEvent, Type: pageView, At: at})
		changes = append(changes, Change{Add: slices.Clone(add)})
	}
	i, o, err := t.first(ctx, changes)
	if err != nil || o == nil {
		return nil, err
	}
	n := float64(i + 1)
	return flip(kindVisits, n, n*t.activeGap, fmt.Sprintf("a visit on %.0f more of the days before", n), o), nil
}

// later looks for the least number of days by which the last purchase would have
// to be more recent.
func (t *search) later(ctx context.Context) (*Flip, error) {
	if t.last == NoEvent {
		return nil, nil
	}
	at := t.events[t.last].At
	silent := int(t.asOf.Sub(at) / day)
	move := func(days int) Change {
		return Change{Without: []int{t.last}, Add: []Addition{{Like: t.last, Type: purchase, At: at.Add(time.Duration(days) * day)}}}
	}
	days := func(from, to, step int) (changes []Change) {
		for d := from; d <= to; d += step {
			changes = append(changes, move(d))
		}
		return changes
	}
	step := (silent + laterSteps - 1) / laterSteps
	i, o, err := t.first(ctx, days(step, silent, max(1, step)))
	if err != nil || o == nil {
		return nil, err
	}
	n := (i + 1) * step
	if step > 1 {
		k, then, err := t.first(ctx, days(n-step+1, n-1, 1))
		if err != nil {
			return nil, err
		}
		if then != nil {
			n, o = n-step+1+k, then
		}
	}
	return flip(kindLater, float64(n), float64(n), fmt.Sprintf("the last purchase %d days later", n), o), nil
}

// silence looks for the least number of days after the row in which nothing
// happens.
func (t *search) silence(ctx context.Context) (*Flip, error) {
	rows, err := t.h.Silent(ctx, maxSilence)
	if err != nil {
		return nil, err
	}
	defer rows.Release()
	scored, err := t.s.Score(ctx, rows)
	if err != nil {
		return nil, err
	}
	defer scored.Release()
	for i, o := range outcomes(scored) {
		if o.band != t.now.band {
			n := float64(i + 1)
			return flip(kindSilence, n, n, fmt.Sprintf("%.0f more days of silence", n), &o), nil
		}
	}
	return nil, nil
}

func flip(kind string, size, cost float64, words string, o *outcome) *Flip {
	return &Flip{Kind: kind, Size: size, Words: words, Cost: cost, Churn: o.churn, Band: o.band}
}
