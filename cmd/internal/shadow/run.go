package shadow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"profilestream/cmd/internal/history"
	"profilestream/cmd/internal/training"
	"profilestream/inference/embed"
	"profilestream/inference/eval"
	"profilestream/schemas"
)

// batchRows are scored together.
const batchRows = 1024

// Bundle is a model that scores rows, and what is told of it.
type Bundle struct {
	ID    string
	Score func(ctx context.Context, rows arrow.Record) (arrow.Record, error)
	Stats func() embed.Stats // of its encoder
}

// Options say which days to look at.
type Options struct {
	Days     int // the last so many, at least 1
	Progress func(stage string, done, total int)
}

// Run has both bundles score every customer as of the end of each of the last days
// of the history. The embedding caches of the two may be one.
func Run(ctx context.Context, h *history.History, current, candidate Bundle, o Options) (*Report, error) {
	_, last := h.Span()
	end := last.Truncate(24*time.Hour).AddDate(0, 0, 1)
	var cutoffs []time.Time
	for d := o.Days - 1; d >= 0; d-- {
		cutoffs = append(cutoffs, end.AddDate(0, 0, -d))
	}
	r := &Report{Format: FormatVersion, Candidate: candidate.ID, Current: current.ID}
	err := h.EachAsOf(cutoffs, func(cutoff time.Time, rec arrow.Record) error {
		day := cutoff.AddDate(0, 0, -1).Format(time.DateOnly)
		if rec.NumRows() == 0 {
			return nil // before the first event
		}
		a, err := scoreAll(ctx, current, rec, &r.Costs.Current, func(n int) { o.Progress(day+" with the bundle at work", n, int(rec.NumRows())) })
		if err != nil {
			return err
		}
		b, err := scoreAll(ctx, candidate, rec, &r.Costs.Candidate, func(n int) { o.Progress(day+" with the candidate", n, int(rec.NumRows())) })
		if err != nil {
			return err
		}
		r.add(day, a, b)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(r.Days) == 0 {
		return nil, errors.New("the history has no customer in those days")
	}
	c := &r.Costs
	c.Cores = runtime.GOMAXPROCS(0)
	c.RescoreSeconds = c.Candidate.Seconds / float64(c.Candidate.Rows) * float64(r.End().Users)
	return r, nil
}

// scores are those of the same customers in the same order.
type scores struct {
	churn, value         []float64
	churnBand, valueBand []string
}

// scoreAll scores rows and adds up what that took.
func scoreAll(ctx context.Context, b Bundle, rows arrow.Record, cost *Cost, step func(n int)) (out scores, err error) {
	start, cpu, before := time.Now(), training.CPUTime(), b.Stats()
	for from := int64(0); from < rows.NumRows(); from += batchRows {
		part := rows.NewSlice(from, min(from+batchRows, rows.NumRows()))
		rec, err := b.Score(ctx, part)
		part.Release()
		if err != nil {
			return out, fmt.Errorf("scoring with bundle %s: %w", b.ID, err)
		}
		out.add(rec)
		rec.Release()
		step(len(out.churn))
	}
	after := b.Stats()
	cost.Rows += len(out.churn)
	cost.Seconds += time.Since(start).Seconds()
	cost.CPUSeconds += (training.CPUTime() - cpu).Seconds()
	cost.Texts += int64(after.Texts - before.Texts)
	cost.Encoded += int64(after.Misses - before.Misses)
	cost.FromDisk += int64(after.DiskHits - before.DiskHits)
	return out, nil
}

func (s *scores) add(rec arrow.Record) {
	churn, value := rec.Column(schemas.ColChurn).(*array.Float32), rec.Column(schemas.ColValue).(*array.Float32)
	churnBand, valueBand := rec.Column(schemas.ColChurnBand).(*array.String), rec.Column(schemas.ColValueBand).(*array.String)
	for i := range int(rec.NumRows()) {
		s.churn, s.value = append(s.churn, float64(churn.Value(i))), append(s.value, float64(value.Value(i)))
		s.churnBand, s.valueBand = append(s.churnBand, known(churnBand.Value(i))), append(s.valueBand, known(valueBand.Value(i)))
	}
}

// known is one of few words, without the record that it lies in.
func known(word string) string {
	for _, w := range [...]string{"low", "medium", "mid", "high"} {
		if w == word {
			return w
		}
	}
	return "other"
}

// add compares the scores of a day.
func (r *Report) add(day string, a, b scores) {
	n := len(a.churn)
	d := Day{Day: day, Users: n, ChurnCurrent: mean(a.churn), ChurnCandidate: mean(b.churn), ValueCurrent: mean(a.value) * float64(n), ValueCandidate: mean(b.value) * float64(n)}
	moves := map[[3]string]*Move{}
	move := func(kind, from, to string, i int) float64 {
		m, ok := moves[[3]string{kind, from, to}]
		if !ok {
			m = &Move{Day: day, Kind: kind, From: from, To: to}
			moves[[3]string{kind, from, to}] = m
		}
		m.Users++
		m.ChurnCurrent, m.ChurnCandidate = m.ChurnCurrent+a.churn[i], m.ChurnCandidate+b.churn[i]
		m.ValueCurrent, m.ValueCandidate = m.ValueCurrent+a.value[i], m.ValueCandidate+b.value[i]
		if from == to {
			return 0
		}
		return 1 / float64(n)
	}
	for i := range n {
		d.ChurnMoved += move(KindChurn, a.churnBand[i], b.churnBand[i], i)
		d.ValueMoved += move(KindValue, a.valueBand[i], b.valueBand[i], i)
		d.SegmentMoved += move(KindSegment, a.churnBand[i]+"/"+a.valueBand[i], b.churnBand[i]+"/"+b.valueBand[i], i)
	}
	r.Days = append(r.Days, d)
	for _, m := range moves {
		r.Moves = append(r.Moves, *m)
	}
	slices.SortFunc(r.Moves, func(x, y Move) int {
		return cmp.Or(cmp.Compare(x.Day, y.Day), cmp.Compare(x.Kind, y.Kind), cmp.Compare(order(x.From), order(y.From)), cmp.Compare(x.From, y.From), cmp.Compare(order(x.To), order(y.To)), cmp.Compare(x.To, y.To))
	})
	r.Last = compare(a, b)
}

// order sorts bands from low to high.
func order(band string) int { return slices.Index([]string{"low", "medium", "mid", "high"}, band) }

// shiftBars is the number of bars of the histogram of differences, an odd one: the
// middle one holds no difference.
const shiftBars = 21

func compare(a, b scores) Last {
	n := len(a.churn)
	moved := make([]float64, n)
	most := 0.
	for i := range moved {
		moved[i] = math.Abs(b.churn[i] - a.churn[i])
		most = max(most, moved[i])
	}
	l := Last{Most: most, ChurnRank: eval.Number(eval.Spearman(a.churn, b.churn)), ValueRank: eval.Number(eval.Spearman(a.value, b.value)), Shifts: make([]Shift, shiftBars)}
	width := 2 * max(most, 1e-6) / shiftBars
	for k := range l.Shifts {
		l.Shifts[k].From = -max(most, 1e-6) + float64(k)*width
	}
	for i := range n {
		k := int((b.churn[i] - a.churn[i] + max(most, 1e-6)) / width)
		l.Shifts[min(max(k, 0), shiftBars-1)].Users++
	}
	slices.Sort(moved)
	l.Median, l.P95 = moved[min(n-1, n/2)], moved[min(n-1, n*95/100)]
	return l
}

func mean(x []float64) (m float64) {
	for _, v := range x {
		m += v / float64(len(x))
	}
	return m
}
