package explain_test

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"profilestream/inference/bundle"
	"profilestream/inference/explain"
	"profilestream/inference/heads"
	"profilestream/inference/internal/fixture"
	"profilestream/inference/score"
	"profilestream/inference/train"
	"profilestream/schemas"
)

// trained writes one small bundle for all tests of the package.
var trained = sync.OnceValues(func() (*bundle.Bundle, error) {
	dir, err := os.MkdirTemp("", "bundle")
	if err != nil {
		return nil, err
	}
	s := fixture.New(400, 1, 5)
	came := make([]bool, len(s.Churn))
	for i, gone := range s.Churn {
		came[i] = !gone
	}
	d := train.Dataset{Rows: []arrow.Record{s.Rows}, Churn: s.Churn, Spend: s.Spend, Returns: []train.Return{{Days: 90, Came: came}}}
	r, err := train.Train(context.Background(), d, train.Options{Seed: 1, Texts: &fixture.Texts{}, Embedder: &fixture.Embedder{}, Folds: 2, Epochs: 3, Rounds: 25, Trials: 1, Hidden: 8})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "x")
	if err := os.WriteFile(file, []byte("graph"), 0o600); err != nil {
		return nil, err
	}
	return bundle.Write(filepath.Join(dir, "b"), bundle.Contents{Heads: r.Model, Evaluation: r.JSON,
		Files: map[string]string{bundle.EncoderFile: file, bundle.TokenizerFile: file}})
})

func TestMain(m *testing.M) {
	code := m.Run()
	if b, err := trained(); err == nil {
		_ = os.RemoveAll(filepath.Dir(b.Dir))
	}
	os.Exit(code)
}

// deed is an event of the world below.
type deed struct {
	explain.Event
	amount float64
}

// world is a history in which only visits and purchases exist, counted by hand.
type world struct {
	asOf  time.Time
	deeds []deed
}

const day = 24 * time.Hour

func newWorld(asOf time.Time, orderDays, visitDays []int) *world {
	w := &world{asOf: asOf}
	for _, d := range orderDays {
		w.deeds = append(w.deeds, deed{explain.Event{At: asOf.Add(-time.Duration(d) * day), Type: "purchase"}, 30 + float64(d)})
	}
	for _, d := range visitDays {
		w.deeds = append(w.deeds, deed{explain.Event{At: asOf.Add(-time.Duration(d) * day), Type: "page_view"}, 0})
	}
	slices.SortFunc(w.deeds, func(a, b deed) int { return a.At.Compare(b.At) })
	return w
}

func (w *world) Events() (out []explain.Event) {
	for _, d := range w.deeds {
		out = append(out, d.Event)
	}
	return out
}

func (w *world) changed(c explain.Change) []deed {
	var out []deed
	for i, d := range w.deeds {
		if !slices.Contains(c.Without, i) {
			out = append(out, d)
		}
	}
	for _, a := range c.Add {
		d := deed{explain.Event{At: a.At, Type: a.Type}, a.Amount}
		if a.Amount == 0 && a.Like != explain.NoEvent {
			d.amount = w.deeds[a.Like].amount
		}
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b deed) int { return a.At.Compare(b.At) })
	return out
}

func (w *world) Changed(_ context.Context, changes []explain.Change) (arrow.Record, []int, error) {
	var all [][]deed
	var times []time.Time
	at := make([]int, len(changes))
	for k, c := range changes {
		if at[k] = -1; len(w.changed(c)) > 0 {
			at[k] = len(all)
			all, times = append(all, w.changed(c)), append(times, w.asOf)
		}
	}
	return rowsOf(all, times), at, nil
}

func (w *world) Silent(_ context.Context, days int) (arrow.Record, error) {
	var all [][]deed
	var times []time.Time
	for n := range days {
		all, times = append(all, w.deeds), append(times, w.asOf.Add(time.Duration(n+1)*day))
	}
	return rowsOf(all, times), nil
}

// rowsOf counts the deeds of each customer up to a time.
func rowsOf(all [][]deed, times []time.Time) arrow.Record {
	b := array.NewRecordBuilder(memory.DefaultAllocator, schemas.WindowRows)
	defer b.Release()
	for range all {
		for c := range int(schemas.NumWindowColumns) {
			if f := schemas.WindowRows.Field(c); f.Nullable {
				b.Field(c).AppendNull()
			} else {
				b.Field(c).AppendEmptyValue()
			}
		}
	}
	rec := b.NewRecord()
	cols := slices.Clone(rec.Columns())
	set := func(c int, build func(b array.Builder)) {
		nb := array.NewBuilder(memory.DefaultAllocator, schemas.WindowRows.Field(c).Type)
		build(nb)
		cols[c] = nb.NewArray()
	}
	stamp := func(c int, of func(d []deed, t time.Time) (time.Time, bool)) {
		set(c, func(b array.Builder) {
			for k := range all {
				if t, ok := of(all[k], times[k]); ok {
					b.(*array.TimestampBuilder).Append(arrow.Timestamp(t.UnixMilli()))
				} else {
					b.AppendNull()
				}
			}
		})
	}
	number := func(c int, of func(d []deed, t time.Time) (int64, bool)) {
		set(c, func(b array.Builder) {
			for k := range all {
				if n, ok := of(all[k], times[k]); ok {
					b.(*array.Int64Builder).Append(n)
				} else {
					b.AppendNull()
				}
			}
		})
	}
	lastOrder := func(d []deed) (t time.Time, ok bool) {
		for _, e := range d {
			if e.Type == "purchase" {
				t, ok = e.At, true
			}
		}
		return t, ok
	}
	days := func(t, since time.Time) int64 { return int64(t.Sub(since) / day) }
	stamp(schemas.ColAsOf, func(_ []deed, t time.Time) (time.Time, bool) { return t, true })
	life := func(f int) int { return schemas.ColFeatures + schemas.Life(f) }
	stamp(life(schemas.FirstSeen), func(d []deed, _ time.Time) (time.Time, bool) { return d[0].At, true })
	stamp(life(schemas.LastSeen), func(d []deed, _ time.Time) (time.Time, bool) { return d[len(d)-1].At, true })
	stamp(life(schemas.LastOrderAt), func(d []deed, _ time.Time) (time.Time, bool) { return lastOrder(d) })
	number(life(schemas.DaysSinceLastEvent), func(d []deed, t time.Time) (int64, bool) { return days(t, d[len(d)-1].At), true })
	number(life(schemas.DaysSinceLastOrder), func(d []deed, t time.Time) (int64, bool) {
		at, ok := lastOrder(d)
		return days(t, at), ok
	})
	number(life(schemas.EventsTotal), func(d []deed, _ time.Time) (int64, bool) { return int64(len(d)), true })
	sum := func(d []deed, from time.Time, orders bool) (n int64) {
		for _, e := range d {
			if e.Type == "purchase" && !e.At.Before(from) {
				if orders {
					n++
				} else {
					n += int64(e.amount * 1e6)
				}
			}
		}
		return n
	}
	number(life(schemas.OrdersTotal), func(d []deed, _ time.Time) (int64, bool) { return sum(d, time.Time{}, true), true })
	number(life(schemas.RevenueTotal), func(d []deed, _ time.Time) (int64, bool) { return sum(d, time.Time{}, false), true })
	for win, spec := range schemas.Windows {
		in := func(m int) int { return schemas.ColFeatures + schemas.At(win, m) }
		number(in(schemas.Orders), func(d []deed, t time.Time) (int64, bool) { return sum(d, t.Add(-spec.Length), true), true })
		number(in(schemas.Revenue), func(d []deed, t time.Time) (int64, bool) { return sum(d, t.Add(-spec.Length), false), true })
		number(in(schemas.ActiveDays), func(d []deed, t time.Time) (int64, bool) {
			seen := map[int64]bool{}
			for _, e := range d {
				if !e.At.Before(t.Add(-spec.Length)) {
					seen[e.At.UnixMilli()/day.Milliseconds()] = true
				}
			}
			return int64(len(seen)), true
		})
	}
	return array.NewRecord(schemas.WindowRows, cols, int64(len(all)))
}

func scorer(t *testing.T) *score.Scorer {
	t.Helper()
	b, err := trained()
	if err != nil {
		t.Fatal(err)
	}
	s, err := score.New(b, &fixture.Embedder{}, score.Config{Texts: func() score.Texts { return &fixture.Texts{} }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// scoreOf scores deeds as of a time.
func scoreOf(t *testing.T, s *score.Scorer, d []deed, at time.Time) (p float64, band string) {
	t.Helper()
	out, err := s.Score(context.Background(), rowsOf([][]deed{d}, []time.Time{at}))
	if err != nil {
		t.Fatal(err)
	}
	return float64(out.Column(schemas.ColChurn).(*array.Float32).Value(0)), out.Column(schemas.ColChurnBand).(*array.String).Value(0)
}

var asOf = time.Date(2026, 3, 1, 23, 59, 59, 999e6, time.UTC)

var worlds = map[string]*world{
	"regular":    newWorld(asOf, []int{3, 20, 41, 60, 83, 150}, []int{1, 2, 20, 30}),
	"fading":     newWorld(asOf, []int{70, 90, 101, 130}, []int{65, 66, 70}),
	"one order":  newWorld(asOf, []int{25}, nil),
	"only looks": newWorld(asOf, nil, []int{2, 9, 40}),
}

func TestTopEventsAreThoseOfLeavingOut(t *testing.T) {
	s := scorer(t)
	for name, w := range worlds {
		t.Run(name, func(t *testing.T) {
			x, err := explain.Explain(context.Background(), s, rowsOf([][]deed{w.deeds}, []time.Time{w.asOf}), w, explain.Options{})
			if err != nil {
				t.Fatal(err)
			}
			now, band := scoreOf(t, s, w.deeds, w.asOf)
			if x.Churn != now || x.ChurnBand != band {
				t.Fatalf("explained %v %s, scored %v %s", x.Churn, x.ChurnBand, now, band)
			}
			if len(x.Returns) != 1 || x.Returns[0].Days != 90 || !(x.Returns[0].Probability > 0 && x.Returns[0].Probability < 1) {
				t.Errorf("returns %+v", x.Returns)
			}
			if n := x.ValueInterval; n == nil || !(n.Low >= 0 && n.Low <= x.Value && n.High >= x.Value) {
				t.Errorf("interval %+v of the value %v", n, x.Value)
			}
			var effects []float64
			for i := range w.deeds {
				if rest := w.changed(explain.Change{Without: []int{i}}); len(rest) > 0 {
					p, _ := scoreOf(t, s, rest, w.asOf)
					effects = append(effects, heads.Logit(now)-heads.Logit(p))
				}
			}
			slices.SortFunc(effects, func(a, b float64) int { return cmp.Compare(math.Abs(b), math.Abs(a)) })
			if len(effects) == 0 {
				if len(x.Events.Top) != 1 || !x.Events.Top[0].Only {
					t.Fatalf("the only event: %+v", x.Events)
				}
				return
			}
			if len(x.Events.Top) != min(3, len(effects)) || x.Events.Total != len(w.deeds) || x.Events.Tried != len(w.deeds) {
				t.Fatalf("%+v", x.Events)
			}
			for i, e := range x.Events.Top {
				if math.Abs(math.Abs(e.Churn)-math.Abs(effects[i])) > 1e-5 {
					t.Errorf("event %d has the effect %v, by hand %v", i, e.Churn, effects[i])
				}
			}
			var sum, share float64
			for _, r := range x.Reasons {
				sum += r.Effect.Effect
				share += r.Share
			}
			if math.Abs(x.Base+sum-x.LogOdds) > 1e-3 || math.Abs(share-1) > 1e-9 {
				t.Errorf("base %v and effects %v, log-odds %v; shares %v", x.Base, sum, x.LogOdds, share)
			}
		})
	}
}

// TestFlipsAreRealAndSmallest changes the history by hand as each flip says, and
// by one less.
func TestFlipsAreRealAndSmallest(t *testing.T) {
	s := scorer(t)
	kinds := map[string]int{}
	for name, w := range worlds {
		x, err := explain.Explain(context.Background(), s, rowsOf([][]deed{w.deeds}, []time.Time{w.asOf}), w, explain.Options{Currency: "GBP"})
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range x.Flips {
			kinds[f.Kind]++
			if i > 0 && f.Cost < x.Flips[i-1].Cost {
				t.Errorf("%s: cost falls: %+v", name, x.Flips)
			}
			p, band := again(t, s, w, &f, f.Size)
			if p != f.Churn || band != f.Band || band == x.ChurnBand {
				t.Errorf("%s: %+v, scored again %v %s from %s", name, f, p, band, x.ChurnBand)
			}
			// One purchase more is the kind purchase; a quarter of an ordinary one is
			// where that begins.
			if least := map[string]float64{"orders": 2, "purchase": w.meanOrder() / 4}[f.Kind]; f.Size-1 > least {
				if _, band := again(t, s, w, &f, f.Size-1); band != x.ChurnBand && f.Size <= 100 {
					t.Errorf("%s: one less than %+v leads to %s too", name, f, band)
				}
			}
		}
	}
	t.Log(kinds)
	if len(kinds) < 4 {
		t.Errorf("only these kinds of flip occur: %v", kinds)
	}
}

// meanOrder is the ordinary purchase, 20 where there was none.
func (w *world) meanOrder() float64 {
	var sum, n float64
	for _, d := range w.deeds {
		if d.Type == "purchase" {
			sum, n = sum+d.amount, n+1
		}
	}
	if n == 0 {
		return 20
	}
	return sum / n
}

// again makes the change of a flip by hand, in another size.
func again(t *testing.T, s *score.Scorer, w *world, f *explain.Flip, size float64) (float64, string) {
	t.Helper()
	deeds, at := slices.Clone(w.deeds), w.asOf
	buy := func(back int, amount float64) {
		when := at.Add(-time.Duration(back) * day)
		if when.Before(w.deeds[0].At) {
			when = w.deeds[0].At
		}
		deeds = append(deeds, deed{explain.Event{At: when, Type: "purchase"}, amount})
	}
	switch f.Kind {
	case "purchase":
		buy(0, size)
	case "orders":
		var amount float64
		if _, err := fmt.Sscanf(f.Words, "%d purchases of GBP %f,", new(int), &amount); err != nil {
			t.Fatal(f.Words, err)
		}
		for k := range int(size) {
			buy(k, amount)
		}
	case "visits":
		active := map[int64]bool{}
		for _, d := range w.deeds {
			active[d.At.UnixMilli()/day.Milliseconds()] = true
		}
		for back, n := 0, 0; n < int(size); back++ {
			when := at.Add(-time.Duration(back) * day)
			if !active[when.UnixMilli()/day.Milliseconds()] {
				deeds = append(deeds, deed{explain.Event{At: when, Type: "page_view"}, 0})
				n++
			}
		}
	case "last_order_later":
		last := -1
		for i, d := range deeds {
			if d.Type == "purchase" {
				last = i
			}
		}
		deeds[last].At = deeds[last].At.Add(time.Duration(size) * day)
	case "silence":
		at = at.Add(time.Duration(size) * day)
	default:
		t.Fatalf("a flip of kind %q", f.Kind)
	}
	slices.SortFunc(deeds, func(a, b deed) int { return a.At.Compare(b.At) })
	return scoreOf(t, s, deeds, at)
}

// TestNoFlipIsSaid: a model of one band has none.
func TestNoFlipIsSaid(t *testing.T) {
	b, err := trained()
	if err != nil {
		t.Fatal(err)
	}
	m := *b.Heads
	m.Bands.ChurnMedium, m.Bands.ChurnHigh = 2, 2
	one := *b
	one.Heads = &m
	s, err := score.New(&one, &fixture.Embedder{}, score.Config{Texts: func() score.Texts { return &fixture.Texts{} }})
	if err != nil {
		t.Fatal(err)
	}
	w := worlds["regular"]
	x, err := explain.Explain(context.Background(), s, rowsOf([][]deed{w.deeds}, []time.Time{w.asOf}), w, explain.Options{Events: 4})
	if err != nil {
		t.Fatal(err)
	}
	if x.Flips == nil || len(x.Flips) != 0 || x.Events.Tried != 4 || x.Events.Total != len(w.deeds) {
		t.Errorf("%+v; %d of %d events tried, 4 allowed", x.Flips, x.Events.Tried, x.Events.Total)
	}
}
