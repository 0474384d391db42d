package stage

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// working is a model at work.
type working struct {
	rowScorer
	promotion int64    // that put it to work; 0: none, it is model.dir's
	version   string   // model_version of its rows
	encoder   *Encoder // what the metrics of the encoder are of
	batches   int      // at it now
	replaced  bool
	idle      chan struct{} // closed when it is replaced and no batch is at it
}

// seat holds the model at work. A batch takes it once and so has exactly one.
//
// A message of promotion n is scored by the newest model there is, if its number
// is at least n; else the message waits. The scored message carries the number of
// the model used, not n. Why that keeps an old model from scoring over a row that
// a newer one has:
//
//   - Rows of one key are ordered by (log version, promotion). Say promotion 5
//     stands at offset R of the log. Rows of versions below R may be scored by 4,
//     by 5, or by both: by a scorer that has not loaded 5 yet, by one that has, by
//     a replay after a crash, in any order. Of equal versions the row of 5 wins.
//     Every user's live row of version R or above comes in a message stamped 5, so
//     only 5 or later scores it, and it wins over all rows below R.
//   - So it does not matter when a scorer switches, only that it does before it
//     scores what is stamped 5. Waiting for exactly 5 instead would need every
//     bundle there ever was for a replay, and two encoders at work in a backlog.
//   - Day rows are not scored again by a promotion: history keeps what was said at
//     the time. A replay of them may be scored by 5 where they were by 4; both are
//     rows of one version, and all readers see the one of 5.
type seat struct {
	mu      sync.Mutex
	now     *working
	changed chan struct{} // closed when now is replaced
	trouble error         // why the newest promotion is not at work
	waiting map[int64]int // messages that wait, by promotion
}

func newSeat() *seat {
	return &seat{changed: make(chan struct{}), waiting: map[int64]int{}}
}

// put seats a model, and returns the one that was there, nil at first.
func (s *seat) put(w *working) (old *working) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.idle = make(chan struct{})
	old, s.now, s.trouble = s.now, w, nil
	close(s.changed)
	s.changed = make(chan struct{})
	if old != nil {
		old.replaced = true
		old.leave()
	}
	return old
}

// fail says why the newest promotion's model is not seated. It reports whether
// that is news.
func (s *seat) fail(err error) (news bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	news = s.trouble == nil || s.trouble.Error() != err.Error()
	s.trouble = err
	return news
}

// await waits until a model of at least the promotion is seated, and returns the
// number of the one that is.
func (s *seat) await(ctx context.Context, promotion int64) (int64, error) {
	for {
		s.mu.Lock()
		if s.now != nil && s.now.promotion >= promotion {
			defer s.mu.Unlock()
			return s.now.promotion, nil
		}
		changed := s.changed
		s.waiting[promotion]++
		s.mu.Unlock()
		var err error
		select {
		case <-changed:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		s.mu.Lock()
		if s.waiting[promotion]--; s.waiting[promotion] == 0 {
			delete(s.waiting, promotion)
		}
		s.mu.Unlock()
		if err != nil {
			return 0, fmt.Errorf("waiting for the model of promotion %d: %w", promotion, err)
		}
	}
}

// lacks says whether messages of a promotion have to wait.
func (s *seat) lacks(promotion int64) bool {
	w := s.seated()
	return w == nil || w.promotion < promotion
}

// take is for one batch, after await: numbers only grow. give follows it.
func (s *seat) take() *working {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now.batches++
	return s.now
}

func (s *seat) give(w *working) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.batches--
	w.leave()
}

// leave closes idle once nobody needs the model.
func (w *working) leave() {
	if w.replaced && w.batches == 0 {
		close(w.idle)
	}
}

// seated is the model at work, nil before the first.
func (s *seat) seated() *working {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// ready says why this process cannot score everything there is.
func (s *seat) ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := "no model is at work"
	if s.now != nil {
		at = fmt.Sprintf("promotion %d stays at work", s.now.promotion)
	}
	switch {
	case s.trouble != nil:
		return fmt.Errorf("%s: %w", at, s.trouble)
	case len(s.waiting) > 0:
		most := int64(0)
		for n := range s.waiting {
			most = max(most, n)
		}
		return fmt.Errorf("%s, rows wait for the model of promotion %d", at, most)
	case s.now == nil:
		return errors.New("loading")
	}
	return nil
}
