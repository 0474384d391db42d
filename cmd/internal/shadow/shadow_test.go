package shadow

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/history"
	"profilestream/inference/embed"
	"profilestream/schemas"
)

// shop has four customers, of whom the last comes on the last of three days.
func shop(t *testing.T) *history.History {
	t.Helper()
	cfg := config.Default()
	h, err := history.New(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	day0 := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	for i, day := range []int{0, 0, 0, 2} {
		v := fmt.Sprintf(`{"event_id":"%d","user_id":"u%d","type":"purchase","ts":%q,"total":%d}`, i, i, day0.AddDate(0, 0, day).Format(time.RFC3339), 10*(i+1))
		if err := h.Add("purchases", day0.AddDate(0, 0, 9).UnixMilli(), []byte(v)); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// fake scores by the customer's name: the churn and value of each.
func fake(id string, churn, value map[string]float32, encoded *embed.Stats) Bundle {
	band := func(v, mid, high float32, words [3]string) string {
		switch {
		case v >= high:
			return words[2]
		case v >= mid:
			return words[1]
		}
		return words[0]
	}
	return Bundle{ID: id, Stats: func() embed.Stats { return *encoded }, Score: func(_ context.Context, rows arrow.Record) (arrow.Record, error) {
		b := array.NewRecordBuilder(memory.DefaultAllocator, schemas.ScoredRows)
		defer b.Release()
		ids := rows.Column(schemas.ColUserID).(*array.String)
		for i := range int(rows.NumRows()) {
			for c := range schemas.ScoredRows.NumFields() {
				u := ids.Value(i)
				switch c {
				case schemas.ColChurn:
					b.Field(c).(*array.Float32Builder).Append(churn[u])
				case schemas.ColValue:
					b.Field(c).(*array.Float32Builder).Append(value[u])
				case schemas.ColChurnBand:
					b.Field(c).(*array.StringBuilder).Append(band(churn[u], .3, .6, [3]string{"low", "medium", "high"}))
				case schemas.ColValueBand:
					b.Field(c).(*array.StringBuilder).Append(band(value[u], 10, 50, [3]string{"low", "mid", "high"}))
				default:
					b.Field(c).AppendEmptyValue()
				}
			}
			encoded.Texts, encoded.Misses = encoded.Texts+2, encoded.Misses+1
		}
		return b.NewRecord(), nil
	}}
}

func TestRun(t *testing.T) {
	t.Parallel()
	h := shop(t)
	a := fake("a", map[string]float32{"u0": .1, "u1": .5, "u2": .9, "u3": .5}, map[string]float32{"u0": 5, "u1": 20, "u2": 60, "u3": 20}, new(embed.Stats))
	b := fake("b", map[string]float32{"u0": .1, "u1": .75, "u2": .8, "u3": .5}, map[string]float32{"u0": 5, "u1": 20, "u2": 30, "u3": 20}, new(embed.Stats))
	r, err := Run(t.Context(), h, a, b, Options{Days: 5, Progress: func(string, int, int) {}})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Days) != 3 { // before the first there was nobody
		t.Fatalf("days %+v", r.Days)
	}
	d := r.Days[0]
	if d.Day != "2026-03-01" || d.Users != 3 || !near(d.ChurnMoved, 1./3) || !near(d.ValueMoved, 1./3) || !near(d.SegmentMoved, 2./3) || !near(d.ValueCurrent, 85) || !near(d.ValueCandidate, 55) || !near(d.ChurnCandidate, .55) {
		t.Errorf("first day %+v", d)
	}
	if e := r.End(); e.Day != "2026-03-03" || e.Users != 4 || !near(e.ChurnMoved, .25) {
		t.Errorf("last day %+v", e)
	}
	if l := r.Last; !near(l.Most, .25) || !near(l.P95, .25) || !near(l.Median, .1) || !near(float64(l.ValueRank), 1) || len(l.Shifts) != shiftBars {
		t.Errorf("last day %+v", l)
	}
	shifted := 0
	for _, s := range r.Last.Shifts {
		shifted += s.Users
	}
	if mid := r.Last.Shifts[shiftBars/2]; shifted != 4 || mid.Users != 2 {
		t.Errorf("%d customers in the histogram, %d of them do not move", shifted, mid.Users)
	}
	sums := map[string]uint64{}
	for _, m := range r.Moves {
		sums[m.Day+m.Kind] += m.Users
		if m.Day == "2026-03-03" && m.Kind == KindSegment && m.From == "medium/mid" && m.To == "high/mid" && (m.Users != 1 || !near(m.ChurnCandidate, .75)) {
			t.Errorf("move %+v", m)
		}
	}
	for k, n := range sums {
		if want := uint64(3); strings.HasPrefix(k, "2026-03-03") && n != 4 || !strings.HasPrefix(k, "2026-03-03") && n != want {
			t.Errorf("the moves of %s are of %d customers", k, n)
		}
	}
	if c := r.Costs.Candidate; c.Rows != 10 || c.Texts != 20 || c.Encoded != 10 || c.Seconds <= 0 {
		t.Errorf("cost %+v", c)
	}
	r.pages(t)
}

// pages looks at what is written: no customer, no outside parts, every chart drawn.
func (r *Report) pages(t *testing.T) {
	t.Helper()
	page, err := r.HTML()
	if err != nil {
		t.Fatal(err)
	}
	figures, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"page": page, "figures": figures} {
		if found := regexp.MustCompile(`\bu[0-3]\b|https?://|NaN`).Find(b); found != nil {
			t.Errorf("the %s holds %q", name, found)
		}
	}
	if n := strings.Count(string(page), "<svg"); n != 4 {
		t.Errorf("%d charts", n)
	}
	for _, want := range []string{"high/mid", "Segments", "25.0 %"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// TestNothingMoves: a bundle beside itself.
func TestNothingMoves(t *testing.T) {
	t.Parallel()
	a := fake("a", nil, nil, new(embed.Stats))
	r, err := Run(t.Context(), shop(t), a, a, Options{Days: 1, Progress: func(string, int, int) {}})
	if err != nil {
		t.Fatal(err)
	}
	if d := r.End(); d.SegmentMoved != 0 || r.Last.Most != 0 || r.Last.Shifts[shiftBars/2].Users != 4 {
		t.Errorf("%+v %+v", d, r.Last)
	}
	if _, err := r.HTML(); err != nil {
		t.Error(err)
	}
	if _, err := r.Encode(); err != nil { // ranks of equal scores are not numbers
		t.Error(err)
	}
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-6 }
