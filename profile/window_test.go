package profile_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"profilestream/profile"
	"profilestream/schemas"
)

// feed applies items at offsets that go on from the last ones.
func (r *runner) feed(items ...logItem) {
	r.t.Helper()
	for i := range items {
		r.apply(r.p.Offset()+1, &items[i])
	}
}

var oneSource = logItem{set: []string{"clickstream/0"}}

func mark(w int64) logItem { return logItem{mark: "clickstream/0", w: w} }

// views makes page views of a user at times, with source offsets from the given one on.
func views(user string, offset int64, times ...int64) []logItem {
	var items []logItem
	for i, ts := range times {
		items = append(items, logItem{ev: &shopEvent{topic: "clickstream", offset: offset + int64(i), user: user, kind: "page_view", ts: ts}})
	}
	return items
}

func (r *runner) account(topic string) profile.SourceAccount {
	for _, a := range r.p.Accounting() {
		if a.Source.Topic == topic {
			return a
		}
	}
	return profile.SourceAccount{}
}

func TestWindowEdges(t *testing.T) {
	const d = day0 * oDay
	asOf := d + 14*oH + 32*oM + 10 // a live row's: the newest event
	for _, c := range []struct {
		name   string
		window string
		lo     int64 // first time that counts
	}{
		{"twelve five-minute tiles", "1h", d + 13*oH + 35*oM},
		{"24 hourly tiles", "24h", d - oDay + 15*oH},
		{"7 days", "7d", d - 6*oDay},
		{"30 days", "30d", d - 29*oDay},
		{"90 days", "90d", d - 89*oDay},
		{"365 days", "365d", d - 364*oDay},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRunner(t, testConfig(oDay))
			r.feed(oneSource)
			r.feed(views("u", 0, c.lo-1, c.lo, asOf)...)
			r.p.TouchAll()
			r.emitLive()
			if got := r.live["u"].f["page_views_"+c.window]; got != 2 {
				t.Fatalf("page_views_%s is %v, want 2: the edge and as_of in, the millisecond before out", c.window, got)
			}
		})
	}
}

func TestSessionsJoinAcrossMidnight(t *testing.T) {
	const d = day0 * oDay
	r := newRunner(t, testConfig(oDay))
	r.feed(oneSource)
	// Half-hours 46 and 47 of a day, 0 of the next, then 2: two sessions.
	r.feed(views("u", 0, d-oH, d-1, d, d+oH, d+oH+3)...)
	r.p.TouchAll()
	r.emitLive()
	for name, want := range map[string]float64{"sessions_24h": 2, "sessions_7d": 2, "sessions_1h": 1, "active_days_24h": 2, "active_days_1h": 1} {
		if got := r.live["u"].f[name]; got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

func TestLateIsDecidedByTheDay(t *testing.T) {
	const d = day0 * oDay
	for _, c := range []struct {
		name string
		w    int64
		late bool
	}{
		{"lateness not over", d + oDay + 2*oDay - 1, false},
		{"closed at the millisecond", d + oDay + 2*oDay, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRunner(t, testConfig(2*oDay))
			r.feed(oneSource)
			r.feed(views("u", 0, d+5, d+6)...)
			r.feed(mark(c.w))
			again := logItem{ev: &shopEvent{topic: "clickstream", offset: 2, user: "u", kind: "page_view", ts: d + oDay - 1}}
			r.feed(again)
			r.emitLive()
			a := r.account("clickstream")
			if (a.Late == 1) != c.late || (a.Applied == 3) == c.late {
				t.Fatalf("%+v", a)
			}
			if c.late && (len(r.diverted) != 1 || r.diverted[0].Reason != "late" || r.diverted[0].Offset != 2 ||
				string(r.diverted[0].Value) != `{"raw":2}` || r.diverted[0].KafkaMillis != d+oDay+4) {
				t.Fatalf("%+v", r.diverted)
			}
		})
	}
}

func TestHotComesAfterLateAndDuplicate(t *testing.T) {
	const d = day0 * oDay
	cfg := testConfig(oDay)
	cfg.MaxEventsUserDay = 2
	r := newRunner(t, cfg)
	named := func(offset int64, id string, ts int64) logItem {
		return logItem{ev: &shopEvent{topic: "clickstream", offset: offset, user: "u", id: id, kind: "page_view", ts: ts}}
	}
	r.feed(oneSource, named(0, "a", d), named(1, "b", d), named(2, "a", d), named(3, "c", d), named(4, "d", d+oDay))
	r.p.TouchAll()
	r.emitLive()
	if a := r.account("clickstream"); a.Applied != 3 || a.Duplicates != 1 || a.Hot != 1 || a.Late != 0 {
		t.Fatalf("%+v", a)
	}
	if len(r.diverted) != 1 || r.diverted[0].Reason != "hot" || r.diverted[0].Offset != 3 {
		t.Fatalf("%+v", r.diverted)
	}
	if row := r.live["u"]; row.flags != schemas.FlagHot || row.f["events_total"] != 3 {
		t.Fatalf("%+v", row)
	}
	r.feed(mark(d+3*oDay), named(5, "e", d))
	r.emitLive()
	if a := r.account("clickstream"); a.Late != 1 || a.Hot != 1 {
		t.Fatalf("late is decided before hot: %+v", a)
	}
	r.checkpoint(true)
	r.feed(mark(d + 40*oDay))
	r.emitLive()
	if row := r.days[rowKey{"u", d + 30*oDay - 1}]; row.flags != schemas.FlagHot {
		t.Fatalf("hot for 30 days: %+v", row)
	}
	if row := r.days[rowKey{"u", d + 37*oDay - 1}]; row.user == "" || row.flags != 0 {
		t.Fatalf("hot after 35 days: %+v", row)
	}
}

func TestBotIsBusyAndBuysNothing(t *testing.T) {
	const d = day0 * oDay
	for _, c := range []struct {
		name   string
		events int
		buys   bool
		flags  uint32
	}{
		{"busy", 100, false, schemas.FlagBot}, {"less busy", 99, false, 0}, {"busy buyer", 100, true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRunner(t, testConfig(oDay))
			r.feed(oneSource)
			for i := range c.events {
				r.feed(views("u", int64(i), d+5*oM+int64(i))...)
			}
			if c.buys {
				r.feed(logItem{ev: &shopEvent{topic: "purchases", user: "u", kind: "purchase", ts: d + oH, amount: 1}})
			}
			r.feed(mark(d + 4*oDay))
			r.checkpoint(true)
			r.p.TouchAll()
			r.emitLive()
			if got := r.live["u"].flags; got != c.flags {
				t.Fatalf("flags %b, want %b", got, c.flags)
			}
		})
	}
}

func TestARepeatedSourceOffsetCountsNowhere(t *testing.T) {
	r := newRunner(t, testConfig(oDay))
	r.feed(oneSource)
	r.feed(views("u", 5, day0*oDay)...)
	r.feed(views("v", 5, day0*oDay)...) // the same position
	r.feed(views("v", 4, day0*oDay)...) // below it
	if a := r.account("clickstream"); a.Applied != 1 || a.Duplicates != 0 || r.p.Users() != 1 {
		t.Fatalf("%+v, %d users", a, r.p.Users())
	}
	next := logItem{ev: &shopEvent{topic: "clickstream", partition: 1, offset: 5, user: "u", kind: "page_view", ts: day0 * oDay}}
	r.feed(next)
	rec := profile.Record{Kind: profile.KindEvent, Event: *eventOf(next.ev)}
	rec.Event.Source.Epoch = 1
	r.must(r.p.Apply(r.p.Offset()+1, &rec))
	r.p.TouchAll()
	r.emitLive()
	if n := r.live["u"].f["events_total"]; n != 3 {
		t.Fatalf("%v events, want 3: other partition, other epoch", n)
	}
}

func TestWIsTheSlowestListedSource(t *testing.T) {
	r := newRunner(t, testConfig(oDay))
	want := func(w int64, ok bool) {
		t.Helper()
		if got, gotOK := r.p.W(); got != w || gotOK != ok {
			t.Fatalf("W is %d %v, want %d %v", got, gotOK, w, ok)
		}
	}
	r.feed(mark(100))
	want(0, false) // no source is listed
	r.feed(logItem{set: []string{"clickstream/0", "purchases/0"}})
	want(0, false) // one has no watermark
	r.feed(logItem{mark: "purchases/0", w: 50})
	want(50, true)
	r.feed(logItem{mark: "purchases/0", w: 40}) // of a zombie
	want(50, true)
	r.feed(logItem{mark: "purchases/0", w: 70}, mark(90))
	want(70, true)
	r.feed(logItem{set: []string{"clickstream/0", "purchases/0", "clickstream/1"}})
	want(70, true)
	r.feed(mark(500), logItem{mark: "purchases/0", w: 500})
	want(70, true)
	r.feed(logItem{mark: "clickstream/1", w: 60})
	want(70, true)
	r.feed(oneSource) // purchases is removed; clickstream/1 is not: the set is of a worker that has not seen it yet
	want(70, true)
	r.feed(logItem{mark: "clickstream/1", w: 600}, mark(550))
	want(550, true)
}

func TestSilenceIsDueBySchedule(t *testing.T) {
	for _, c := range []struct{ latenessDays, daily int64 }{{1, 14}, {13, 14}, {20, 21}, {90, 91}} {
		t.Run(fmt.Sprint(c.latenessDays), func(t *testing.T) {
			r := newRunner(t, testConfig(c.latenessDays*oDay))
			r.feed(oneSource)
			r.feed(views("u", 0, day0*oDay)...)
			r.feed(mark((day0+1000)*oDay - 1))
			r.work()
			want := map[rowKey]bool{}
			for k := int64(0); k <= 371; k++ {
				if k <= c.daily || k%7 == 0 {
					want[rowKey{"u", (day0+k+1)*oDay - 1}] = true
				}
			}
			for k := range r.days {
				if !want[k] {
					t.Errorf("row %v is not due", k)
				}
				delete(want, k)
			}
			if len(want) > 0 {
				t.Errorf("%d rows are missing", len(want))
			}
		})
	}
}

func TestADormantUserShrinksToLifeTotals(t *testing.T) {
	r := newRunner(t, testConfig(oDay))
	r.feed(oneSource)
	for i := range 50 {
		e := &shopEvent{topic: "clickstream", offset: int64(i), user: "u", kind: "product_view", product: fmt.Sprint(i), cat: "c", ts: (day0 + int64(i)) * oDay}
		r.feed(logItem{ev: e}, mark(e.ts))
	}
	r.checkpoint(false)
	full := len(r.state["bu"])
	r.feed(mark((day0 + 50 + 800) * oDay))
	r.checkpoint(true)
	if small := len(r.state["bu"]); small > 60 || full < 500 || len(r.state) != 2 {
		t.Fatalf("base record of %d bytes, %d before; %d records", small, full, len(r.state))
	}
	r.p.TouchAll()
	r.emitLive()
	row := r.live["u"]
	if row.f["events_total"] != 50 || row.asOf != (day0+49+371+1)*oDay-1 || len(row.recent) > 0 {
		t.Fatalf("%+v", row)
	}
	r.feed(views("u", 50, (day0+851)*oDay)...)
	r.emitLive()
	r.p.TouchAll()
	r.emitLive()
	if row := r.live["u"]; row.f["events_total"] != 51 || row.f["page_views_365d"] != 1 || row.f["first_seen"] != float64(day0*oDay) {
		t.Fatalf("%+v", row)
	}
}

func TestRescoreTouchesEveryUser(t *testing.T) {
	r := newRunner(t, testConfig(oDay))
	r.p.SetLive(true)
	r.feed(oneSource)
	r.feed(views("u", 0, day0*oDay)...)
	r.feed(views("v", 1, day0*oDay+1)...)
	r.feed(mark((day0 + 3) * oDay))
	r.checkpoint(true)
	before := maps.Clone(r.live)
	r.feed(logItem{rescore: 9})
	r.checkpoint(true)
	for u, row := range r.live {
		if row.version != r.p.Offset() || row.trigger != "live" || row.digest != before[u].digest || row.asOf != before[u].asOf {
			t.Fatalf("%+v after %+v", row, before[u])
		}
	}
	if r.p.Promotion() != 9 || !r.p.LiveOn() {
		t.Fatalf("promotion %d, live %v", r.p.Promotion(), r.p.LiveOn())
	}
	r.feed(logItem{rescore: 4})
	if r.p.Promotion() != 9 {
		t.Fatal("a promotion number fell")
	}
}

func TestEraseLeavesNothing(t *testing.T) {
	r := newRunner(t, testConfig(oDay))
	r.p.SetLive(true)
	r.feed(oneSource)
	r.feed(views("u", 0, day0*oDay, (day0+1)*oDay)...)
	r.feed(views("v", 2, day0*oDay)...)
	r.feed(mark((day0 + 2) * oDay))
	r.checkpoint(true)
	r.r.Kind, r.r.Erase = profile.KindErase, profile.Erase{User: []byte("u")}
	r.must(r.p.Apply(r.p.Offset()+1, &r.r))
	r.feed(views("u", 5, (day0+2)*oDay)...)
	r.checkpoint(true)
	for k := range r.state {
		if k[0] == 'b' && k[1:] == "u" {
			t.Fatal("the base of an erased user is still there")
		}
	}
	r.p.TouchAll()
	r.emitLive()
	if n := r.live["u"].f["events_total"]; n != 1 {
		t.Fatalf("%v events after the erasure, want 1", n)
	}
}

func TestRefusals(t *testing.T) {
	r := newRunner(t, testConfig(oDay))
	r.feed(oneSource)
	if err := r.p.Apply(0, &profile.Record{Kind: profile.KindSourceSet}); err == nil {
		t.Error("an offset twice")
	}
	bad := profile.Record{Kind: profile.KindEvent, Event: profile.Event{User: []byte("u"), Type: profile.TypePageView, TimeMillis: -1}}
	if err := r.p.Apply(9, &bad); err == nil {
		t.Error("a time before 1970")
	}
	r.feed(views("u", 0, day0*oDay)...)
	r.feed(mark((day0 + 1) * oDay))
	none := func(_, _ []byte) error { return nil }
	if err := r.p.Changes(profile.LastRecord{}, none); err == nil {
		t.Error("a checkpoint before due rows")
	}
	for r.p.Work(1 << 20) {
	}
	if err := r.p.Changes(profile.LastRecord{}, none); err == nil {
		t.Error("a checkpoint before rows were taken")
	}
	r.take()
	if err := r.p.Changes(profile.LastRecord{}, none); err != nil {
		t.Error(err)
	}
	for _, c := range []profile.Config{
		{LatenessMillis: oDay - 1, MaxEventsUserDay: 1}, {LatenessMillis: 91 * oDay, MaxEventsUserDay: 1}, {LatenessMillis: oDay}, {Partition: -1, LatenessMillis: oDay, MaxEventsUserDay: 1},
	} {
		if _, err := profile.NewPartition(c); err == nil {
			t.Errorf("configuration %+v was taken", c)
		}
	}
}

// Above 1,024 values a day counts are estimates: within 10 %, and equal in any order and after
// restarts. Up to there they are exact.
func TestDistinctCountsOfBusyDays(t *testing.T) {
	const d = day0 * oDay
	for _, n := range []int{1024, 1025, 6000, 20000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			var events []*shopEvent
			for i := range n { // the second half of the day, and as much on the day before
				for _, day := range []int64{0, 1} {
					events = append(events, &shopEvent{topic: "clickstream", user: "u", kind: "product_view",
						product: fmt.Sprint("p", i+int(day)*n/2), cat: "c", id: fmt.Sprint(i),
						ts: d + day*oDay + 12*oH + int64(i)*(12*oH-1)/int64(n-1)})
				}
			}
			cfg := testConfig(2 * oDay)
			cfg.MaxEventsUserDay = 100_000
			run := func(seed uint64, restart bool) *runner {
				r := newRunner(t, cfg)
				r.feed(oneSource)
				rnd := rand.New(rand.NewPCG(seed, 0))
				rnd.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
				for i, e := range events {
					c := *e
					c.offset = int64(i)
					r.feed(logItem{ev: &c})
					if restart && i == n/2 {
						r.checkpoint(true)
					}
				}
				r.p.TouchAll()
				r.checkpoint(restart)
				r.feed(mark(d + 30*oDay))
				r.p.TouchAll()
				r.emitLive()
				return r
			}
			a, b := run(1, false), run(2, true)
			if err := a.sameRows(b); err != nil {
				t.Fatal(err)
			}
			near := func(row gotRow, name string, want int) {
				t.Helper()
				got := row.f[name]
				if miss := math.Abs(got-float64(want)) / float64(want); miss > 0.1 || n <= 1024 && miss > 0 {
					t.Errorf("%s as of %d is %v, want %d", name, row.asOf, got, want)
				}
			}
			first, second := a.days[rowKey{"u", d + oDay - 1}], a.days[rowKey{"u", d + 2*oDay - 1}]
			near(first, "distinct_products_24h", n)
			lastHour := 0
			for i := range n {
				if int64(i)*(12*oH-1)/int64(n-1) >= 11*oH {
					lastHour++
				}
			}
			near(first, "distinct_products_1h", lastHour)
			near(second, "distinct_products_24h", n)
			near(second, "distinct_products_7d", n+n/2)
			near(a.live["u"], "distinct_products_365d", n+n/2)
			if got := second.f["distinct_categories_7d"]; got != 1 {
				t.Errorf("distinct_categories_7d is %v", got)
			}
		})
	}
}

// A user of very many events has state records under the limit of any broker, and knows its
// duplicates after a restart.
func TestAHotUsersStateIsChunked(t *testing.T) {
	cfg := testConfig(oDay)
	cfg.MaxEventsUserDay = 50_000
	r := newRunner(t, cfg)
	r.feed(oneSource)
	item := func(i int, offset int64) logItem {
		return logItem{ev: &shopEvent{topic: "clickstream", offset: offset, user: "u", id: fmt.Sprint(i), kind: "product_view",
			product: fmt.Sprint("p", i), ts: day0*oDay + int64(i)}}
	}
	for i := range 30_000 {
		r.feed(item(i, int64(i)))
	}
	r.p.TouchAll()
	r.checkpoint(true)
	sizes := []int{}
	for _, v := range r.state {
		sizes = append(sizes, len(v))
	}
	if most := slices.Max(sizes); most > 1<<17 {
		t.Fatalf("a state record of %d bytes", most)
	}
	r.feed(item(0, 40_000), item(29_999, 40_001), item(30_000, 40_002))
	if a := r.account("clickstream"); a.Duplicates != 2 || a.Applied != 30_001 {
		t.Fatalf("%+v", a)
	}
	written := 0
	r.p.TouchAll()
	r.emitLive()
	r.must(r.p.Changes(profile.LastRecord{}, func(k, v []byte) error {
		if k[0] == 'i' {
			written++
		}
		return nil
	}))
	if written != 1 {
		t.Fatalf("%d id chunks written for one event, want 1", written)
	}
}
