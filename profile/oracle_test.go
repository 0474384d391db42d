package profile_test

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
)

// The oracle recomputes everything from the list of events by the words of contract.md and
// design.md: no tiles, no sets kept, no code of the package.

type shopEvent struct {
	topic            string
	partition        int32
	offset           int64 // in the source partition
	user, id, kind   string
	ts               int64 // ms
	product, cat     string
	items            [][2]string // product id, category
	quantity, amount int64
}

const (
	oDay = int64(24 * 3600 * 1000)
	oH   = int64(3600 * 1000)
	oM   = int64(60 * 1000)
)

// oracleState is what the log so far amounts to.
type oracleState struct {
	lateness int64
	w        int64
	haveW    bool
	marks    map[string]int64 // by source
	listed   map[string]bool
	applied  []shopEvent
	ids      map[string]bool
	seen     map[string]int64
	counts   map[string]int // "applied clickstream/0" and so on
}

func newOracle(lateness int64) *oracleState {
	return &oracleState{lateness: lateness, marks: map[string]int64{}, listed: map[string]bool{},
		ids: map[string]bool{}, seen: map[string]int64{}, counts: map[string]int{}}
}

func (o *oracleState) event(e shopEvent) {
	src := fmt.Sprintf("%s/%d", e.topic, e.partition)
	if last, ok := o.seen[src]; ok && e.offset <= last {
		return
	}
	o.seen[src] = e.offset
	day := e.ts / oDay
	if o.haveW && (day+1)*oDay+o.lateness <= o.w {
		o.counts["late "+src]++
		return
	}
	id := e.id
	if id == "" {
		id = fmt.Sprintf("\x00%s@%d", src, e.offset)
	}
	key := fmt.Sprintf("%q %q %q %d", e.user, e.topic, id, day)
	if o.ids[key] {
		o.counts["duplicates "+src]++
		return
	}
	o.ids[key] = true
	o.counts["applied "+src]++
	o.applied = append(o.applied, e)
}

func (o *oracleState) watermark(src string, w int64) {
	if old, ok := o.marks[src]; !ok || w > old {
		o.marks[src] = w
	}
	o.move()
}

func (o *oracleState) list(sources []string) {
	o.listed = map[string]bool{}
	for _, s := range sources {
		o.listed[s] = true
	}
	o.move()
}

func (o *oracleState) move() {
	if len(o.listed) == 0 {
		return
	}
	w := int64(math.MaxInt64)
	for s := range o.listed {
		m, ok := o.marks[s]
		if !ok {
			return
		}
		w = min(w, m)
	}
	if !o.haveW || w > o.w {
		o.w, o.haveW = w, true
	}
}

func (o *oracleState) users() map[string][]shopEvent {
	m := map[string][]shopEvent{}
	for _, e := range o.applied {
		m[e.user] = append(m[e.user], e)
	}
	return m
}

// dayRows lists the (user, day) that are due, with the trigger a first emission would have.
func (o *oracleState) dayRows() map[string]map[int64]string {
	out := map[string]map[int64]string{}
	if !o.haveW {
		return out
	}
	late := (o.lateness + oDay - 1) / oDay
	for user, events := range o.users() {
		rows := map[int64]string{}
		first := int64(math.MaxInt64)
		for _, e := range events {
			first = min(first, e.ts/oDay)
		}
		for day := first; (day+1)*oDay-1 <= o.w; day++ {
			last := int64(-1)
			for _, e := range events {
				if d := e.ts / oDay; d <= day && d > last {
					last = d
				}
			}
			k := day - last
			switch {
			case k == 0:
				rows[day] = "day"
			case k <= max(14, late+1), k <= 371 && k%7 == 0:
				rows[day] = "silence"
			}
		}
		if len(rows) > 0 {
			out[user] = rows
		}
	}
	return out
}

// liveAsOf is the as_of of a user's latest row, given the days that are due.
func (o *oracleState) liveAsOf(events []shopEvent, due map[int64]string) int64 {
	t := int64(0)
	for _, e := range events {
		t = max(t, e.ts)
	}
	for day := range due {
		t = max(t, (day+1)*oDay-1)
	}
	return t
}

var oracleWindows = []struct {
	name string
	w, g int64
}{
	{"1h", oH, 5 * oM}, {"24h", 24 * oH, oH}, {"7d", 7 * oDay, oDay},
	{"30d", 30 * oDay, oDay}, {"90d", 90 * oDay, oDay}, {"365d", 365 * oDay, oDay},
}

// features computes every feature of a user as of t. A missing key is NULL.
func oracleFeatures(events []shopEvent, t int64) map[string]float64 {
	f := map[string]float64{}
	for _, win := range oracleWindows {
		lo := t/win.g*win.g + win.g - win.w
		var in []shopEvent
		for _, e := range events {
			if e.ts >= lo && e.ts <= t {
				in = append(in, e)
			}
		}
		oracleWindow(f, "_"+win.name, in)
	}
	oracleLife(f, events, t)
	return f
}

func oracleWindow(f map[string]float64, suffix string, in []shopEvent) {
	kinds := map[string]float64{}
	prods, cats, days, halves := map[string]bool{}, map[string]bool{}, map[int64]bool{}, map[int64]bool{}
	var items, revenue int64
	for _, e := range in {
		kinds[e.kind]++
		days[e.ts/oDay] = true
		halves[e.ts/(30*oM)] = true
		if e.product != "" {
			prods[e.product] = true
		}
		if e.cat != "" {
			cats[e.cat] = true
		}
		for _, it := range e.items {
			if it[0] != "" {
				prods[it[0]] = true
			}
			if it[1] != "" {
				cats[it[1]] = true
			}
		}
		switch e.kind {
		case "purchase":
			items += e.quantity
			revenue += e.amount
		case "refund":
			revenue -= e.amount
		}
	}
	f["page_views"+suffix] = kinds["page_view"] + kinds["product_view"]
	f["product_views"+suffix] = kinds["product_view"]
	f["searches"+suffix] = kinds["search"]
	f["cart_adds"+suffix] = kinds["add_to_cart"]
	f["ad_clicks"+suffix] = kinds["ad_click"]
	f["refunds"+suffix] = kinds["refund"]
	f["orders"+suffix] = kinds["purchase"]
	f["items"+suffix] = float64(items)
	f["revenue"+suffix] = float64(revenue)
	f["distinct_products"+suffix] = float64(len(prods))
	f["distinct_categories"+suffix] = float64(len(cats))
	f["active_days"+suffix] = float64(len(days))
	var hs []int64
	for h := range halves {
		hs = append(hs, h)
	}
	slices.Sort(hs)
	sessions := 0
	for i, h := range hs {
		if i == 0 || hs[i-1] != h-1 {
			sessions++
		}
	}
	f["sessions"+suffix] = float64(sessions)
}

func oracleLife(f map[string]float64, events []shopEvent, t int64) {
	var all, orders []int64
	var revenue int64
	for _, e := range events {
		if e.ts > t {
			continue
		}
		all = append(all, e.ts)
		if e.kind == "purchase" {
			orders = append(orders, e.ts)
			revenue += e.amount
		} else if e.kind == "refund" {
			revenue -= e.amount
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	sort.Slice(orders, func(i, j int) bool { return orders[i] < orders[j] })
	f["first_seen"], f["last_seen"] = float64(all[0]), float64(all[len(all)-1])
	f["orders_total"], f["revenue_total"], f["events_total"] = float64(len(orders)), float64(revenue), float64(len(all))
	f["days_since_last_event"] = float64((t - all[len(all)-1]) / oDay)
	if n := len(orders); n > 0 {
		f["last_order_at"] = float64(orders[n-1])
		f["days_since_last_order"] = float64((t - orders[n-1]) / oDay)
		if n > 1 {
			f["mean_order_gap_days"] = float64(orders[n-1]-orders[0]) / float64(n-1) / float64(oDay)
		}
	}
}

// oracleRecent is the list of newest distinct entries as of t, as the documentation of the
// column says: "kind time id category", newest first in each kind, ties by content.
func oracleRecent(events []shopEvent, t int64) []string {
	type item struct {
		kind    int
		ts      int64
		content string
	}
	keep := map[int]int{1: 5, 2: 2, 3: 5, 4: 1, 5: 2, 6: 1}
	newest := map[string]item{}
	lo := t/oDay*oDay + oDay - 365*oDay
	put := func(kind int, ts int64, id, name, cat string) {
		if id+name+cat == "" || ts > t || ts < lo {
			return
		}
		c := strings.Join([]string{id, name, cat}, "\x00")
		k := fmt.Sprint(kind, c)
		if old, ok := newest[k]; !ok || ts > old.ts {
			newest[k] = item{kind, ts, c}
		}
	}
	for _, e := range events {
		switch e.kind {
		case "product_view":
			put(1, e.ts, e.product, "", e.cat)
		case "add_to_cart":
			put(2, e.ts, e.product, "", e.cat)
		case "ad_click":
			put(6, e.ts, e.product, "", e.cat)
		case "search":
			put(5, e.ts, "", "q"+e.id, "")
		case "purchase", "refund":
			for _, it := range e.items {
				put(map[string]int{"purchase": 3, "refund": 4}[e.kind], e.ts, it[0], "", it[1])
			}
		}
	}
	var list []item
	for _, it := range newest {
		list = append(list, it)
	}
	sort.Slice(list, func(i, j int) bool {
		a, b := list[i], list[j]
		if a.kind != b.kind {
			return a.kind < b.kind
		}
		if a.ts != b.ts {
			return a.ts > b.ts
		}
		return a.content < b.content
	})
	var out []string
	n := map[int]int{}
	for _, it := range list {
		if n[it.kind]++; n[it.kind] <= keep[it.kind] {
			out = append(out, fmt.Sprintf("%d %d %s", it.kind, it.ts, it.content))
		}
	}
	return out
}
