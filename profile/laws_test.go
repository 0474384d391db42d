package profile_test

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

const day0 = 20_000 // first day of made-up history

var kinds = []string{"page_view", "product_view", "product_view", "search", "add_to_cart", "remove_from_cart",
	"ad_impression", "ad_click", "feedback", "purchase", "purchase", "refund"}

// drawEvent makes an event of a random source whose time sits near tile edges as often as not.
func drawEvent(t *rapid.T, maxDay int) *shopEvent {
	pick := func(n int, what string) int { return rapid.IntRange(0, n-1).Draw(t, what) }
	e := &shopEvent{
		user: fmt.Sprintf("u%d", pick(3, "user")),
		kind: kinds[pick(len(kinds), "kind")],
		ts:   int64(day0+pick(maxDay, "day")) * oDay,
	}
	in := int64(pick(int(oDay), "ms"))
	edges := []int64{1, 5 * oM, 30 * oM, oH, 24 * oH}
	if g := edges[pick(len(edges), "edge")]; g > 1 {
		in = in/g*g - int64(pick(2, "before"))
	}
	e.ts += (in + oDay) % oDay
	e.topic = "clickstream"
	if e.kind == "purchase" || e.kind == "refund" {
		e.topic = "purchases"
		e.amount = int64(pick(2_000_000, "amount"))
		for range pick(3, "items") {
			e.items = append(e.items, [2]string{fmt.Sprintf("p%d", pick(12, "item")), fmt.Sprintf("c%d", pick(4, "category"))})
			e.quantity++
		}
	} else if pick(3, "with product") > 0 {
		e.product = fmt.Sprintf("p%d", pick(12, "product"))
		if pick(2, "with category") == 1 {
			e.cat = fmt.Sprintf("c%d", pick(4, "category"))
		}
	}
	if pick(4, "with id") > 0 {
		e.id = fmt.Sprintf("e%d", pick(1000, "id"))
	}
	return e
}

// drawLog makes a log of two sources: events in any order, watermarks that are true for their
// source, or ahead of it now and then as those of an idle source are, duplicates and repeats.
func drawLog(t *rapid.T, events int, maxDay int, ahead bool) []logItem {
	items := []logItem{{set: []string{"clickstream/0", "purchases/0"}}}
	offsets, marks := map[string]int64{}, map[string]int64{}
	var past []*shopEvent
	for range events {
		var e *shopEvent
		if len(past) > 0 && rapid.IntRange(0, 9).Draw(t, "again") == 0 {
			c := *past[rapid.IntRange(0, len(past)-1).Draw(t, "which")]
			e = &c
		} else {
			e = drawEvent(t, maxDay)
		}
		src := e.topic + "/0"
		e.offset = offsets[src]
		offsets[src]++
		past = append(past, e)
		items = append(items, logItem{ev: e})
		marks[src] = max(marks[src], e.ts)
		switch rapid.IntRange(0, 9).Draw(t, "then") {
		case 0:
			items = append(items, logItem{mark: src, w: marks[src]})
		case 1:
			if ahead {
				w := int64(day0+rapid.IntRange(0, maxDay).Draw(t, "w"))*oDay - int64(rapid.IntRange(0, 1).Draw(t, "end"))
				marks[src] = max(marks[src], w)
				items = append(items, logItem{mark: src, w: w})
			}
		case 2:
			c := *e // appended again by a retry
			items = append(items, logItem{ev: &c})
		}
	}
	return items
}

// drain moves W to the end of a day.
func drain(items []logItem, day int64) []logItem {
	w := (day0+day+1)*oDay - 1
	return append(items, logItem{mark: "clickstream/0", w: w}, logItem{mark: "purchases/0", w: w})
}

func play(o *oracleState, items []logItem) {
	for _, it := range items {
		switch {
		case it.ev != nil:
			o.event(*it.ev)
		case it.set != nil:
			o.list(it.set)
		case it.mark != "":
			o.watermark(it.mark, it.w)
		}
	}
}

// drawRun feeds a log with emission points, checkpoints and restarts wherever the draw says.
func drawRun(t *rapid.T, r *runner, items []logItem, live bool) {
	r.p.SetLive(live)
	r.maxBytes = rapid.SampledFrom([]int{1, 3000, 1 << 20}).Draw(t, "max bytes")
	for i := range items {
		r.apply(int64(i)*3, &items[i])
		switch rapid.IntRange(0, 12).Draw(t, "point") {
		case 0:
			r.work()
		case 1:
			r.emitLive()
		case 2:
			r.checkpoint(false)
		case 3:
			r.checkpoint(true)
		case 4: // stopped in the middle: the next record comes before the rest
			r.p.Work(r.maxBytes)
			r.take()
		}
	}
	r.p.TouchAll()
	r.emitLive()
}

func TestRowsEqualTheOracle(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		lateness := rapid.SampledFrom([]int64{oDay, oDay + 5*oH, 7 * oDay, 20 * oDay}).Draw(rt, "lateness")
		maxDay := rapid.SampledFrom([]int{3, 12, 60, 420}).Draw(rt, "days")
		items := drain(drawLog(rt, rapid.IntRange(1, 60).Draw(rt, "events"), maxDay, true), int64(maxDay)+rapid.Int64Range(-2, 60).Draw(rt, "silence"))
		r := newRunner(t, testConfig(lateness))
		drawRun(rt, r, items, rapid.Bool().Draw(rt, "live"))
		o := newOracle(lateness)
		play(o, items)
		if err := r.check(o); err != nil {
			rt.Fatal(err)
		}
	})
}

// L2: any order in which no event becomes late, and any identical duplicates.
func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const days = 40
		items := []logItem{{set: []string{"clickstream/0", "purchases/0"}}}
		for i := range rapid.IntRange(2, 40).Draw(rt, "events") {
			e := drawEvent(rt, days)
			e.id = fmt.Sprint("own", i) // without an id, the position would be one
			items = append(items, logItem{ev: e})
		}
		run := func(order []logItem) *runner {
			offsets := map[string]int64{}
			log := append([]logItem{}, order...)
			for i := range log {
				if e := log[i].ev; e != nil {
					c := *e
					c.offset = offsets[c.topic]
					offsets[c.topic]++
					log[i].ev = &c
				}
			}
			r := newRunner(t, testConfig(60*oDay))
			drawRun(rt, r, drain(log, days+50), true)
			return r
		}
		a := run(items)
		shuffled := rapid.Permutation(items[1:]).Draw(rt, "order")
		for range rapid.IntRange(0, 5).Draw(rt, "duplicates") {
			shuffled = append(shuffled, shuffled[rapid.IntRange(0, len(shuffled)-1).Draw(rt, "which")])
		}
		// Watermarks in the midst, at most as far as lateness allows.
		mid := rapid.IntRange(0, len(shuffled)).Draw(rt, "mid")
		w := (day0 + rapid.Int64Range(0, 55).Draw(rt, "w")) * oDay
		log := append([]logItem{items[0]}, shuffled[:mid]...)
		log = append(log, logItem{mark: "clickstream/0", w: w}, logItem{mark: "purchases/0", w: w})
		b := run(append(log, shuffled[mid:]...))
		if err := a.sameRows(b); err != nil {
			rt.Fatal(err)
		}
	})
}

// L3 in one process: checkpoints and restarts at any point give the rows of an undisturbed run,
// and versions and triggers too where no correction was joined with another.
func TestRestartsDoNotMatter(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		items := drain(drawLog(rt, rapid.IntRange(1, 60).Draw(rt, "events"), 30, true), 40)
		a, b := newRunner(t, testConfig(3*oDay)), newRunner(t, testConfig(3*oDay))
		a.p.SetLive(true)
		b.p.SetLive(true)
		for i := range items {
			a.apply(int64(i), &items[i])
			a.emitLive()
			b.apply(int64(i), &items[i])
			b.emitLive()
			if rapid.Bool().Draw(rt, "restart") {
				b.checkpoint(true)
			}
		}
		if err := a.sameRows(b); err != nil {
			rt.Fatal(err)
		}
		if a.nDays != b.nDays {
			rt.Fatalf("%d and %d day rows", a.nDays, b.nDays)
		}
		for k, x := range a.days {
			if y := b.days[k]; x.version != y.version || x.trigger != y.trigger || x.kafka != y.kafka {
				rt.Fatalf("%+v\n%+v", x, y)
			}
		}
		for k, x := range a.live {
			if y := b.live[k]; x.version != y.version || x.trigger != y.trigger {
				rt.Fatalf("%+v\n%+v", x, y)
			}
		}
	})
}

// L4: a row as of T does not change if events after T are taken away or others come.
func TestRowsKnowNothingOfTheFuture(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const days = 30
		items := drawLog(rt, rapid.IntRange(2, 60).Draw(rt, "events"), days, false)
		cut := (day0 + rapid.Int64Range(0, days).Draw(rt, "cut")) * oDay
		var past []logItem
		for _, it := range items {
			switch {
			case it.ev != nil && it.ev.ts >= cut:
				if rapid.Bool().Draw(rt, "other") {
					c := *it.ev
					c.kind, c.topic, c.amount, c.items, c.user = "page_view", "clickstream", 0, nil, "u1"
					c.offset += 1000
					past = append(past, logItem{ev: &c})
				}
			case it.mark == "": // W comes at the end, so that no event is late in either run
				past = append(past, it)
			}
		}
		var all []logItem
		for _, it := range items {
			if it.mark == "" {
				all = append(all, it)
			}
		}
		a, b := newRunner(t, testConfig(2*oDay)), newRunner(t, testConfig(2*oDay))
		fix := func(log []logItem) []logItem { // offsets that grow
			offsets := map[string]int64{}
			for i := range log {
				if e := log[i].ev; e != nil {
					c := *e
					if c.id == "" { // the position would be the id, and it differs between the runs
						c.id = fmt.Sprintf("%s-%d", c.topic, e.offset)
					}
					c.offset = offsets[c.topic]
					offsets[c.topic]++
					log[i].ev = &c
				}
			}
			return log
		}
		drawRun(rt, a, drain(fix(all), days), true)
		drawRun(rt, b, drain(fix(past), days), true)
		for k, x := range a.days {
			if k.asOf >= cut {
				continue
			}
			if y, ok := b.days[k]; !ok || y.digest != x.digest {
				rt.Fatalf("row %v depends on the future: %+v\n%+v", k, x, y)
			}
		}
	})
}

func TestVersionsOfAnotherRunDiffer(t *testing.T) {
	a, b := newRunner(t, testConfig(oDay)), newRunner(t, testConfig(oDay))
	e := &shopEvent{topic: "clickstream", user: "u", kind: "page_view", ts: day0 * oDay}
	a.apply(0, &logItem{ev: e})
	c := *e
	c.ts++
	b.apply(0, &logItem{ev: &c})
	a.p.TouchAll()
	b.p.TouchAll()
	a.emitLive()
	b.emitLive()
	if err := a.sameRows(b); !errors.Is(err, errNotEqual) {
		t.Fatal("a millisecond makes no difference")
	}
}
