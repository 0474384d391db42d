package stage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"profilestream/cmd/internal/admin"
	"profilestream/inference/embed"
	"profilestream/profile"
	"profilestream/schemas"
	"profilestream/stream/wire"
)

// fakeScorer scores by a formula, and fails as often as it is told to first.
type fakeScorer struct {
	fail  error
	times int       // that it fails
	until time.Time // that it fails, where set
	saw   [][]int64 // versions of each call that succeeded
}

func (f *fakeScorer) Score(_ context.Context, rows arrow.Record) (arrow.Record, error) {
	if f.times > 0 || time.Now().Before(f.until) {
		f.times--
		return nil, f.fail
	}
	_, versions := idsAndVersions(rows)
	f.saw = append(f.saw, append([]int64(nil), versions...))
	return scoredAs(rows, false), nil
}

func (f *fakeScorer) ScoreNumeric(_ context.Context, rows arrow.Record) (arrow.Record, error) {
	return scoredAs(rows, true), nil
}

// scoredAs makes scored rows of window rows, without scores.
func scoredAs(rows arrow.Record, degraded bool) arrow.Record {
	cols := append([]arrow.Array(nil), rows.Columns()[:schemas.ColFeatures+schemas.NumFeatures]...)
	for c := schemas.ColEmbedding; c < schemas.NumScoredColumns; c++ {
		b := array.NewBuilder(memory.DefaultAllocator, schemas.ScoredRows.Field(c).Type)
		for range rows.NumRows() {
			if flag, ok := b.(*array.BooleanBuilder); ok && c == schemas.ColDegraded {
				flag.Append(degraded)
			} else {
				b.AppendEmptyValue()
			}
		}
		cols = append(cols, b.NewArray())
	}
	return array.NewRecord(schemas.ScoredRows, cols, rows.NumRows())
}

// newScoring is a processor with a model of promotion 2 at work.
func newScoring(s rowScorer, live bool, out *messageWriter) *scoring {
	at := newSeat()
	at.put(&working{rowScorer: s, promotion: 2})
	return &scoring{
		log: slog.New(slog.DiscardHandler), metrics: newScorerMetrics(prometheus.NewRegistry()), health: &admin.Health{},
		models: at, turns: new(turns), live: live, out: out, now: time.Now, low: degraded{from: -1},
	}
}

// versioned makes window rows: users[i] with versions[i].
func versioned(t *testing.T, users []string, versions []int64) arrow.Record {
	t.Helper()
	p, err := profile.NewPartition(profile.Config{LatenessMillis: (24 * time.Hour).Milliseconds(), MaxEventsUserDay: 100})
	if err != nil {
		t.Fatal(err)
	}
	rec := profile.Record{Kind: profile.KindEvent}
	var parts []message
	for i, u := range users {
		rec.Event = profile.Event{Source: profile.Source{Topic: "clickstream"}, Offset: versions[i], User: []byte(u), Type: profile.TypePageView, TimeMillis: day0.UnixMilli()}
		if err := p.Apply(versions[i], &rec); err != nil {
			t.Fatal(err)
		}
		p.SetLive(true)
		p.EmitLive(1 << 20)
		parts = append(parts, message{rows: p.Live().Take()})
	}
	return concatenate(parts).rows
}

// sendRows appends window rows to a topic as windowing does.
func (r *rig) sendRows(topic, kind string, promotion int64, rows arrow.Record) {
	r.t.Helper()
	w := newMessageWriter(r.c, topic, 0)
	r.must(w.add(message{schemas.WindowRowsSchema, kind, promotion, r.env.Config.Version(), rows}, 0))
	r.must(w.flush(r.ctx()))
	rows.Release()
}

// scored reads the topic scored: "user version kind promotion", in order.
func (r *rig) scored() (out []string) {
	r.t.Helper()
	r.records(r.env.Config.Topics().Scored, 0, func(x *wire.Record) {
		m, err := decodeMessage(x, memory.DefaultAllocator)
		r.must(err)
		defer m.rows.Release()
		ids, versions := idsAndVersions(m.rows)
		for i, v := range versions {
			out = append(out, fmt.Sprintf("%s %d %s %d", ids.Value(i), v, m.kind, m.promotion))
		}
	})
	return out
}

func (r *rig) score(s *scoring, topic string) {
	r.t.Helper()
	r.read(wire.TopicPartition{Topic: topic}, 0, func(rs *wire.Records) error { return s.Process(r.ctx(), rs) })
}

func TestScoringKeepsTheNewestRowOfAFetch(t *testing.T) {
	r := newRig(t)
	topics := r.env.Config.Topics()
	r.sendRows(topics.Windows, schemas.RowsLive, 0, versioned(t, []string{"ann", "bob", "ann"}, []int64{3, 4, 5}))
	r.sendRows(topics.Windows, schemas.RowsLive, 0, versioned(t, []string{"eve", "ann"}, []int64{6, 7}))
	r.sendRows(topics.Windows, schemas.RowsLive, 2, versioned(t, []string{"bob"}, []int64{9}))
	s := newScoring(&fakeScorer{}, true, newMessageWriter(r.c, topics.Scored, 0))
	r.score(s, topics.Windows)
	if d := cmp.Diff([]string{"eve 6 live 2", "ann 7 live 2", "bob 9 live 2"}, r.scored()); d != "" {
		t.Error(d)
	}
	if commit, err := s.Flush(r.ctx()); commit.Offset != 3 || err != nil {
		t.Errorf("commit %v, %v", commit, err)
	}
}

func TestScoringKeepsEveryDayRow(t *testing.T) {
	r := newRig(t)
	topics := r.env.Config.Topics()
	var users, want []string
	var versions []int64
	for i := range 300 { // more than are scored together
		users, versions = append(users, fmt.Sprint("u", i%7)), append(versions, int64(i))
		want = append(want, fmt.Sprintf("u%d %d day 2", i%7, i))
	}
	r.sendRows(topics.Days, schemas.RowsDay, 1, versioned(t, users, versions))
	f := &fakeScorer{}
	r.score(newScoring(f, false, newMessageWriter(r.c, topics.Scored, 0)), topics.Days)
	if d := cmp.Diff(want, r.scored()); d != "" {
		t.Error(d)
	}
	if len(f.saw) != 4 || len(f.saw[0]) != fewRows || len(f.saw[2]) != dayRows {
		t.Errorf("%d batches", len(f.saw))
	}
}

// TestScoringWaitsOutAnOpenBreaker: nothing is dropped, nothing committed
// meanwhile, and the end of the outage is noticed soon.
func TestScoringWaitsOutAnOpenBreaker(t *testing.T) {
	r := newRig(t)
	topics := r.env.Config.Topics()
	r.sendRows(topics.Windows, schemas.RowsLive, 0, versioned(t, []string{"ann"}, []int64{3}))
	f := &fakeScorer{fail: embed.ErrOpen, times: 1}
	s := newScoring(f, true, newMessageWriter(r.c, topics.Scored, 0))
	if commit, err := s.Flush(r.ctx()); commit.Offset != 0 || err != nil {
		t.Errorf("commit %v, %v before anything is scored", commit, err)
	}
	r.score(s, topics.Windows)
	if d := cmp.Diff([]string{"ann 3 live 2"}, r.scored()); d != "" {
		t.Error(d)
	}
	rows := versioned(t, []string{"bob"}, []int64{4})
	defer rows.Release()
	synctest.Test(t, func(t *testing.T) {
		outage := 10 * time.Minute
		f := &fakeScorer{fail: embed.ErrOpen, until: time.Now().Add(outage)}
		s, start := newScoring(f, true, nil), time.Now()
		go func() {
			<-time.After(outage / 2) // of the bubble: no time passes
			if bad := s.health.Unready(); len(bad) != 1 {
				t.Errorf("during the outage %v is not ready", bad)
			}
		}()
		out, err := s.batch(t.Context(), message{rows: rows}, 0)
		if err != nil {
			t.Fatal(err)
		}
		out.rows.Release()
		if late := time.Since(start) - outage; late > 2*maxRetryInterval {
			t.Errorf("the end of the outage is noticed %v late", late)
		}
		if bad := s.health.Unready(); len(bad) != 0 {
			t.Errorf("after the outage %v is not ready", bad)
		}
	})
}

func TestScoringGivesUpWithItsContext(t *testing.T) {
	rows := versioned(t, []string{"ann"}, []int64{1})
	defer rows.Release()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		f := &fakeScorer{fail: errors.New("broken"), until: time.Now().Add(time.Hour)}
		s := newScoring(f, true, nil)
		waiting := make(chan error, 1)
		go func() {
			_, err := s.batch(ctx, message{rows: rows}, 0)
			waiting <- err
		}()
		_, err := s.batch(ctx, message{rows: rows}, 0)
		if err == nil || <-waiting == nil {
			t.Fatal("rows of a broken scorer")
		}
		if s.turns.busy {
			t.Error("the turn was not given back")
		}
	})
}

// slowScorer scores some batches and then waits for its context.
type slowScorer struct {
	fakeScorer
	batches int
	waits   chan struct{} // closed when it waits
}

func (f *slowScorer) Score(ctx context.Context, rows arrow.Record) (arrow.Record, error) {
	if f.batches > 0 {
		f.batches--
		return f.fakeScorer.Score(ctx, rows)
	}
	close(f.waits)
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestScoringStopsWithinAFetch: a stop does not wait for the rows of a fetch,
// and only what is acknowledged is committed; the next owner scores the rest.
func TestScoringStopsWithinAFetch(t *testing.T) {
	for _, live := range []bool{true, false} {
		t.Run(map[bool]string{true: "live", false: "day"}[live], func(t *testing.T) {
			r := newRig(t)
			topics := r.env.Config.Topics()
			topic, kind := topics.Days, schemas.RowsDay
			if live {
				topic, kind = topics.Windows, schemas.RowsLive
			}
			r.sendRows(topic, kind, 0, versioned(t, []string{"ann"}, []int64{1}))
			r.sendRows(topic, kind, 1, versioned(t, []string{"bob"}, []int64{2}))
			stopping := make(chan struct{})
			f := &slowScorer{batches: 1, waits: make(chan struct{})}
			s := newScoring(f, live, newMessageWriter(r.c, topics.Scored, 0))
			s.stopping = stopping
			go func() { <-f.waits; close(stopping) }()
			r.score(s, topic)
			done, want := int64(1), []string{"ann 1 day 2"}
			if live {
				done, want = 0, nil
			}
			if commit, err := s.Flush(r.ctx()); commit.Offset != done || err != nil {
				t.Errorf("commit %v, %v; want %d", commit, err, done)
			}
			if d := cmp.Diff(want, r.scored()); d != "" {
				t.Error(d)
			}
			if s.turns.busy {
				t.Error("the turn was not given back")
			}
		})
	}
}

// TestSlowRowsAreSentBeforeTheyAreCommitted: of a fetch that takes long, what is
// scored comes out meanwhile, and is scored again by whoever takes over.
func TestSlowRowsAreSentBeforeTheyAreCommitted(t *testing.T) {
	r := newRig(t)
	topics := r.env.Config.Topics()
	var users []string
	var versions []int64
	for i := range 3 * fewRows {
		users, versions = append(users, fmt.Sprint("u", i)), append(versions, int64(i))
	}
	r.sendRows(topics.Windows, schemas.RowsLive, 0, versioned(t, users, versions))
	stopping := make(chan struct{})
	f := &slowScorer{batches: 2, waits: make(chan struct{})}
	s := newScoring(f, true, newMessageWriter(r.c, topics.Scored, 0))
	s.stopping = stopping
	clock := day0
	s.now = func() time.Time { clock = clock.Add(batchTarget / 2); return clock }
	go func() { <-f.waits; close(stopping) }()
	r.score(s, topics.Windows)
	if n := len(r.scored()); n != 2*fewRows {
		t.Errorf("%d rows came out of two batches of %d", n, fewRows)
	}
	if commit, err := s.Flush(r.ctx()); commit.Offset != 0 || err != nil {
		t.Errorf("commit %v, %v", commit, err)
	}
}

// TestScoredRowsDoNotWaitForAModel: in one fetch a message that has its model comes
// out although the next one has not.
func TestScoredRowsDoNotWaitForAModel(t *testing.T) {
	r := newRig(t)
	topics := r.env.Config.Topics()
	r.sendRows(topics.Windows, schemas.RowsLive, 2, versioned(t, []string{"ann"}, []int64{1}))
	r.sendRows(topics.Windows, schemas.RowsLive, 5, versioned(t, []string{"bob"}, []int64{2}))
	s := newScoring(&fakeScorer{}, true, newMessageWriter(r.c, topics.Scored, 0))
	done := make(chan struct{})
	go func() { defer close(done); r.score(s, topics.Windows) }()
	for s.models.ready() == nil { // nothing waits yet
		<-time.After(time.Millisecond)
	}
	if d := cmp.Diff([]string{"ann 1 live 2"}, r.scored()); d != "" {
		t.Error(d)
	}
	s.models.put(&working{rowScorer: &fakeScorer{}, promotion: 5})
	<-done
	if d := cmp.Diff([]string{"ann 1 live 2", "bob 2 live 5"}, r.scored()); d != "" {
		t.Error(d)
	}
}
