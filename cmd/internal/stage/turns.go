package stage

import (
	"context"
	"sync"
)

// liveTurns is how many live batches may pass a day batch that waits.
const liveTurns = 4

// turns shares the encoder between live rows, which a person waits for, and day
// rows, which are many: live goes first, but a day batch waits for at most
// liveTurns of them, so it is never starved.
type turns struct {
	mu      sync.Mutex
	busy    bool
	passed  int // live batches since the oldest waiting day batch was passed over
	live    []chan struct{}
	history []chan struct{}
}

// take waits for the turn; give must be called after it.
func (t *turns) take(ctx context.Context, live bool) error {
	t.mu.Lock()
	if !t.busy {
		t.busy = true
		t.mu.Unlock()
		return nil
	}
	ready := make(chan struct{})
	if live {
		t.live = append(t.live, ready)
	} else {
		t.history = append(t.history, ready)
	}
	t.mu.Unlock()
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		t.forget(ready)
		return ctx.Err()
	}
}

// forget leaves the queue. If the turn came at the same moment, it is passed on.
func (t *turns) forget(ready chan struct{}) {
	t.mu.Lock()
	for _, q := range []*[]chan struct{}{&t.live, &t.history} {
		for i, c := range *q {
			if c == ready {
				*q = append((*q)[:i], (*q)[i+1:]...)
				t.mu.Unlock()
				return
			}
		}
	}
	t.mu.Unlock()
	t.give()
}

// give passes the turn on.
func (t *turns) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case len(t.live) > 0 && (len(t.history) == 0 || t.passed < liveTurns):
		if len(t.history) > 0 {
			t.passed++
		}
		close(t.live[0])
		t.live = t.live[1:]
	case len(t.history) > 0:
		t.passed = 0
		close(t.history[0])
		t.history = t.history[1:]
	default:
		t.busy = false
	}
}
