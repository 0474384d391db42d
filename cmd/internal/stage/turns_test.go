package stage

import (
	"context"
	"errors"
	"testing"
)

// waiting returns once n batches queue.
func waiting(t *turns, n int) {
	for {
		t.mu.Lock()
		have := len(t.live) + len(t.history)
		t.mu.Unlock()
		if have == n {
			return
		}
	}
}

func TestTurnsPreferLiveAndNeverStarveHistory(t *testing.T) {
	var q turns
	ctx := t.Context()
	if err := q.take(ctx, true); err != nil {
		t.Fatal(err)
	}
	order := make(chan string, 16)
	join := func(name string, live bool, queued int) {
		go func() {
			if q.take(ctx, live) == nil {
				order <- name
			}
		}()
		waiting(&q, queued)
	}
	join("day", false, 1)
	for i := range 6 {
		join("live", true, i+2)
	}
	var got []string
	for range 7 {
		q.give()
		got = append(got, <-order)
	}
	at := -1
	for i, name := range got {
		if name == "day" {
			at = i
		}
	}
	if at != liveTurns {
		t.Fatalf("the day batch came at place %d of %v, want %d", at, got, liveTurns)
	}
}

func TestTurnsSurviveACancelledWait(t *testing.T) {
	var q turns
	if err := q.take(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() { gone <- q.take(ctx, false) }()
	waiting(&q, 1)
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	q.give()
	if err := q.take(t.Context(), false); err != nil {
		t.Fatal(err)
	}
}
