package history

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/google/go-cmp/cmp"

	"profilestream/cmd/internal/config"
)

// happening is one event of a random history.
type happening struct {
	topic string
	at    time.Time
	value string
}

// random draws events of some customers over 80 days, in no order of time.
func random(rng *rand.Rand, events int, from, to time.Time) []happening {
	out := make([]happening, events)
	for i := range out {
		at := from.Add(time.Duration(rng.Int64N(int64(to.Sub(from))))).Truncate(time.Millisecond)
		head := fmt.Sprintf(`{"event_id":"%d-%d","user_id":"u%d","ts":%q,"country":%q,`, at.UnixMilli(), rng.IntN(1e9), rng.IntN(12), at.Format(time.RFC3339Nano), []string{"France", "Spain"}[rng.IntN(2)])
		product := fmt.Sprintf(`"id":"p%d","category":"c%d"`, rng.IntN(9), rng.IntN(3))
		out[i] = happening{"clickstream", at, head + `"type":"product_view","product":{` + product + `}}`}
		switch rng.IntN(4) {
		case 0:
			out[i] = happening{"purchases", at, head + fmt.Sprintf(`"type":"purchase","items":[{"product_id":"p%d","category":"c%d","price":%d.5,"quantity":2}]}`, rng.IntN(9), rng.IntN(3), rng.IntN(90))}
		case 1:
			out[i] = happening{"purchases", at, head + fmt.Sprintf(`"type":"refund","total":%d}`, rng.IntN(9))}
		case 2:
			out[i].value = head + `"type":"feedback","text":"arrived late"}`
		}
	}
	return out
}

func historyOf(t *testing.T, events []happening) *History {
	t.Helper()
	cfg := config.Default()
	h, err := New(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if err := h.Add(e.topic, e.at.UnixMilli(), []byte(e.value)); err != nil {
			t.Fatal(err)
		}
	}
	if len(h.Rejected) > 0 {
		t.Fatalf("rejected %v", h.Rejected)
	}
	return h
}

// TestTheFutureChangesLabelsOnly holds law L4 for training sets: two histories
// that part at a cut-off, the one going on with other customers, amounts, texts
// and countries, have the same rows and groups up to it, bit for bit, and other
// labels.
func TestTheFutureChangesLabelsOnly(t *testing.T) {
	t.Parallel()
	cuts := []time.Time{day0.AddDate(0, 0, 20), day0.AddDate(0, 0, 35), day0.AddDate(0, 0, 50)}
	end := day0.AddDate(0, 0, 80)
	for seed := range uint64(4) {
		for k := range cuts {
			t.Run(fmt.Sprintf("seed %d, cut-off %d", seed, k), func(t *testing.T) {
				t.Parallel()
				rng := rand.New(rand.NewPCG(seed, uint64(k)))
				past := random(rng, 300, day0, cuts[k])
				past = append(past, happening{"purchases", cuts[k].Add(-time.Millisecond), fmt.Sprintf(`{"event_id":"edge","user_id":"u1","type":"purchase","ts":%d,"total":5}`, cuts[k].UnixMilli()-1)})
				var of [2]*History
				for side := range of {
					future := append(random(rng, 300, cuts[k], end), happening{"purchases", cuts[k], fmt.Sprintf(`{"event_id":"next","user_id":"u1","type":"purchase","ts":%d,"total":%d}`, cuts[k].UnixMilli(), 7+side)})
					events := append(past[:len(past):len(past)], future...)
					rng.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
					of[side] = historyOf(t, events)
				}
				a, errA := of[0].RowsAsOf(cuts)
				b, errB := of[1].RowsAsOf(cuts)
				if errA != nil || errB != nil {
					t.Fatal(errA, errB)
				}
				for n := range a[:k+1] {
					if a[n].NumRows() == 0 || !array.RecordEqual(a[n], b[n]) {
						t.Errorf("the %d rows of cut-off %d depend on what came after cut-off %d", a[n].NumRows(), n, k)
					}
				}
				if d := cmp.Diff(of[0].Groups(a[:k+1]), of[1].Groups(b[:k+1])); d != "" {
					t.Errorf("groups depend on the future: %s", d)
				}
				if cmp.Equal(of[0].Labels(a[k:k+1], 20*24*time.Hour), of[1].Labels(b[k:k+1], 20*24*time.Hour)) {
					t.Error("labels do not depend on the future")
				}
				if k+1 < len(cuts) && array.RecordEqual(a[k+1], b[k+1]) {
					t.Error("rows of a later cut-off do not depend on what came before it")
				}
			})
		}
	}
}

func TestGroupsTakeTheNewestCountry(t *testing.T) {
	t.Parallel()
	said := func(id, user string, at time.Time, country string) happening {
		return happening{"purchases", at, fmt.Sprintf(`{"event_id":%q,"user_id":%q,"type":"purchase","ts":%q,"total":1%s}`, id, user, at.Format(time.RFC3339), country)}
	}
	h := historyOf(t, []happening{
		said("2", "ann", day0.AddDate(0, 0, 12), `,"country":"Spain"`),
		said("1", "ann", day0, `,"country":"France"`),
		said("3", "bob", day0, ``),
		said("4", "eve", day0, `,"country":{"code":1}`),
	})
	rows, err := h.RowsAsOf([]time.Time{day0.AddDate(0, 0, 10), day0.AddDate(0, 0, 20)})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{"country": {"France", "unknown", "unknown", "Spain", "unknown", "unknown"}}
	if d := cmp.Diff(want, h.Groups(rows)); d != "" {
		t.Error(d)
	}
	if g := build(t, purchase("1", "ann", day0, 3)).Groups(rows); g != nil {
		t.Errorf("a history without countries has the groups %v", g)
	}
}
