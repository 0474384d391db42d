package stage

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"profilestream/cmd/internal/models"
	"profilestream/schemas"
)

// modelBench is a keeper whose models load in some time, or fail.
type modelBench struct {
	*keeper
	takes  time.Duration
	fails  map[int64]error
	scores time.Duration // of a batch
	mu     sync.Mutex
	opened []int64
	closed []int64
}

func newModelBench() *modelBench {
	b := &modelBench{keeper: newKeeper(slog.New(slog.DiscardHandler), newScorerMetrics(prometheus.NewRegistry()), newSeat()), fails: map[int64]error{}}
	b.open = func(_ context.Context, p models.Promotion, _ *working) (*working, error) {
		<-time.After(b.takes) // of the bubble
		b.mu.Lock()
		defer b.mu.Unlock()
		b.opened = append(b.opened, p.Number)
		if err := b.fails[p.Number]; err != nil {
			return nil, err
		}
		return &working{rowScorer: timedScorer{b.scores}}, nil
	}
	b.close = func(w *working) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		if w.batches != 0 {
			panic("a model was closed under a batch")
		}
		b.closed = append(b.closed, w.promotion)
		return nil
	}
	return b
}

// timedScorer takes a while for each batch.
type timedScorer struct{ takes time.Duration }

func (s timedScorer) ScoreNumeric(ctx context.Context, rows arrow.Record) (arrow.Record, error) {
	return (&fakeScorer{}).ScoreNumeric(ctx, rows)
}

func (s timedScorer) Score(ctx context.Context, rows arrow.Record) (arrow.Record, error) {
	select {
	case <-time.After(s.takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return (&fakeScorer{}).Score(ctx, rows)
}

// start runs the keeper until the test of the bubble ends it.
func (b *modelBench) start(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); b.run(ctx) }()
	return func() { cancel(); <-done }
}

// TestModelIsReplacedBetweenBatches: while a new model loads the old one scores;
// each message has one promotion; numbers do not fall; the old model is closed
// after its last batch.
func TestModelIsReplacedBetweenBatches(t *testing.T) {
	rows := versioned(t, []string{"ann", "bob", "eve"}, []int64{1, 2, 3})
	defer rows.Release()
	synctest.Test(t, func(t *testing.T) {
		b := newModelBench()
		b.takes, b.scores = 3*time.Second, 100*time.Millisecond
		if err := b.load(t.Context(), models.Promotion{}); err != nil {
			t.Fatal(err)
		}
		defer b.start(t)()
		var mu sync.Mutex
		var ends []time.Time
		var workers sync.WaitGroup
		until := time.Now().Add(10 * time.Second)
		queue := new(turns)
		for i := range 4 {
			workers.Go(func() {
				s := newScoring(nil, i%2 == 0, nil)
				s.models, s.turns = b.seat, queue
				last := int64(0)
				for time.Now().Before(until) {
					m, err := s.batch(t.Context(), message{rows: rows, kind: schemas.RowsLive}, 0)
					if err != nil {
						t.Error(err)
						return
					}
					m.rows.Release()
					if m.promotion < last {
						t.Errorf("promotion %d after %d", m.promotion, last)
					}
					last = m.promotion
					mu.Lock()
					ends = append(ends, time.Now())
					mu.Unlock()
				}
				if last != 2 {
					t.Errorf("the last batch had promotion %d", last)
				}
			})
		}
		<-time.After(time.Second)
		b.want(models.Promotion{Number: 1})
		<-time.After(4 * time.Second)
		b.want(models.Promotion{Number: 2})
		workers.Wait()
		synctest.Wait()
		b.mu.Lock()
		defer b.mu.Unlock()
		if d := cmp.Diff([]int64{0, 1, 2}, b.opened); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff([]int64{0, 1}, b.closed); d != "" {
			t.Error(d)
		}
		for i := 1; i < len(ends); i++ {
			if gap := ends[i].Sub(ends[i-1]); gap > 200*time.Millisecond {
				t.Errorf("nothing was scored for %v", gap)
			}
		}
	})
}

// TestRowsWaitForTheirModel: a message of a promotion that is not there waits, and
// the process is not ready; older ones go on.
func TestRowsWaitForTheirModel(t *testing.T) {
	rows := versioned(t, []string{"ann"}, []int64{1})
	defer rows.Release()
	synctest.Test(t, func(t *testing.T) {
		b := newModelBench()
		if err := b.load(t.Context(), models.Promotion{Number: 4}); err != nil {
			t.Fatal(err)
		}
		defer b.start(t)()
		s := newScoring(nil, true, nil)
		s.models = b.seat
		scored := make(chan int64)
		go func() {
			m, err := s.batch(t.Context(), message{rows: rows, promotion: 5}, 0)
			if err != nil {
				t.Error(err)
			}
			m.rows.Release()
			scored <- m.promotion
		}()
		synctest.Wait()
		if why := b.seat.ready(); why == nil || !strings.Contains(why.Error(), "promotion 5") {
			t.Errorf("while rows wait the process is ready: %v", why)
		}
		m, err := s.batch(t.Context(), message{rows: rows, promotion: 3}, 0)
		if err != nil || m.promotion != 4 {
			t.Fatalf("an older message: promotion %d, %v", m.promotion, err)
		}
		m.rows.Release()
		b.want(models.Promotion{Number: 6}) // promotion 5 was passed over
		if n := <-scored; n != 6 {
			t.Errorf("scored by promotion %d", n)
		}
		if why := b.seat.ready(); why != nil {
			t.Error(why)
		}
	})
}

// TestModelThatCannotBeLoaded: the one at work stays, the failure is shown and
// tried again, until it loads or a newer promotion comes.
func TestModelThatCannotBeLoaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newModelBench()
		b.fails[1], b.fails[3] = errors.New("encoder.onnx is damaged"), errors.New("gone")
		if err := b.load(t.Context(), models.Promotion{}); err != nil {
			t.Fatal(err)
		}
		defer b.start(t)()
		b.want(models.Promotion{Number: 1})
		<-time.After(10 * time.Minute)
		if why := b.seat.ready(); why == nil || !strings.Contains(why.Error(), "encoder.onnx is damaged") || !strings.Contains(why.Error(), "promotion 0 stays") {
			t.Errorf("ready: %v", why)
		}
		b.mu.Lock()
		if n := len(b.opened); n < 20 || n > 60 {
			t.Errorf("%d tries in 10 minutes", n)
		}
		b.mu.Unlock()
		if w := b.seat.seated(); w.promotion != 0 {
			t.Errorf("promotion %d is at work", w.promotion)
		}
		b.mu.Lock()
		delete(b.fails, 1)
		b.mu.Unlock()
		<-time.After(2 * maxReloadInterval)
		if w := b.seat.seated(); w.promotion != 1 || b.seat.ready() != nil {
			t.Errorf("after it was mended promotion %d is at work: %v", w.promotion, b.seat.ready())
		}
		b.want(models.Promotion{Number: 3})
		<-time.After(time.Minute)
		b.want(models.Promotion{Number: 4})
		synctest.Wait()
		if w := b.seat.seated(); w.promotion != 4 || b.seat.ready() != nil {
			t.Errorf("after a newer one promotion %d is at work: %v", w.promotion, b.seat.ready())
		}
	})
}

func TestPaceFollowsTheTime(t *testing.T) {
	var p pace
	for range 6 {
		p.next(1, liveRows)
		p.took(10*time.Millisecond, liveRows)
	}
	if n := p.next(1, liveRows); n != liveRows {
		t.Errorf("%d rows when batches are quick", n)
	}
	for range 20 {
		p.took(2*time.Second, liveRows)
	}
	if n := p.next(1, liveRows); n != fewRows/4 {
		t.Errorf("%d rows when batches are slow", n)
	}
	p.took(10*time.Millisecond, liveRows)
	if n := p.next(2, liveRows); n != fewRows {
		t.Errorf("%d rows for a new model", n)
	}
}
