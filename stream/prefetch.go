package stream

import (
	"context"
	"sync"

	"golang.org/x/sync/semaphore"

	"profilestream/stream/wire"
)

// prefetch reads ahead of a partition's processing. It holds at most limit bytes of sets that were delivered and not
// released, and one more in hand; then it stops fetching.
type prefetch struct {
	sets   chan fetched
	limit  int64
	room   *semaphore.Weighted
	notify func() // told after each delivery; may be nil
	done   sync.WaitGroup
}

type fetched struct {
	records *Records
	held    int64
	err     error
}

// startPrefetch begins reading; it ends with ctx or after delivering an error. The caller waits with stop.
func startPrefetch(ctx context.Context, f *wire.Fetcher, limit int64, notify func()) *prefetch {
	p := &prefetch{sets: make(chan fetched, 8), limit: limit, room: semaphore.NewWeighted(limit), notify: notify}
	p.done.Add(1)
	go func() {
		defer p.done.Done()
		p.run(ctx, f)
	}()
	return p
}

func (p *prefetch) run(ctx context.Context, f *wire.Fetcher) {
	for {
		rs, err := f.Fetch(ctx)
		out := fetched{records: rs, err: err}
		if err == nil {
			out.held = min(int64(rs.Size()), p.limit)
			if p.room.Acquire(ctx, out.held) != nil {
				return
			}
		}
		select {
		case p.sets <- out:
		case <-ctx.Done():
			return
		}
		if p.notify != nil {
			p.notify()
		}
		if err != nil {
			return
		}
	}
}

// release gives a processed set's memory back.
func (p *prefetch) release(f fetched) {
	p.room.Release(f.held)
	f.records.Release()
}

// wait returns when the reading goroutine has ended; its context must have.
func (p *prefetch) wait() { p.done.Wait() }
