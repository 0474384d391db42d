package clickhouse

import (
	"context"
	"sync"
	"time"
)

// batch is the content of one block until it is acknowledged.
type batch struct {
	chunks []chunk
	rows   int
	bytes  int64 // room held in the queue
	opened time.Time
	done   chan struct{}
	err    error // valid once done is closed
}

// acknowledged is the batch of tickets without rows.
var acknowledged = func() *batch {
	b := &batch{done: make(chan struct{})}
	close(b.done)
	return b
}()

func (b *batch) finish(w *Writer, err error) {
	b.err = err
	for _, c := range b.chunks {
		c.rec.Release()
	}
	w.release(b.bytes)
	close(b.done)
}

// lane turns the records of one table into blocks and sends them one by one.
type lane struct {
	w     *Writer
	table *table
	// ledger keeps what the lane's corrections replace; nil: nothing.
	ledger *ledger

	mu      sync.Mutex
	open    *batch   // takes new records; nil if there are none
	sealed  []*batch // wait to be sent, oldest first
	sending *batch
	closed  error         // why nothing is taken any more
	wake    chan struct{} // open or sealed has changed
}

func newLane(w *Writer, t *table) *lane {
	return &lane{w: w, table: t, wake: make(chan struct{}, 1)}
}

// add puts a record into the open block and returns that block. The record is
// kept whole: a block may exceed the limits by one record.
func (l *lane) add(c chunk, size int64) (*batch, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed != nil {
		l.w.release(size)
		return nil, l.closed
	}
	c.rec.Retain()
	if l.open == nil {
		l.open = &batch{opened: now(), done: make(chan struct{})}
		l.notify()
	}
	b := l.open
	b.chunks = append(b.chunks, c)
	b.rows += c.rows()
	b.bytes += size
	if b.rows >= l.w.cfg.BatchRows || b.bytes >= l.w.cfg.MaxBlockBytes {
		l.sealLocked()
	}
	return b, nil
}

// seal closes the open block, so that it is sent without waiting for more.
func (l *lane) seal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sealLocked()
}

func (l *lane) sealLocked() {
	if l.open == nil {
		return
	}
	l.sealed = append(l.sealed, l.open)
	l.open = nil
	l.notify()
}

func (l *lane) notify() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// unfinished lists the closed blocks that are not acknowledged.
func (l *lane) unfinished() []*batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	bs := append([]*batch(nil), l.sealed...)
	if l.sending != nil {
		bs = append(bs, l.sending)
	}
	return bs
}

// next takes the oldest closed block, or the open one once it is old enough.
// Without one it says how long the open block may still wait, 0 if there is
// none.
func (l *lane) next() (*batch, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.sealed) == 0 && l.open != nil {
		if left := l.w.cfg.BatchInterval - now().Sub(l.open.opened); left > 0 {
			return nil, left
		}
		l.sealLocked()
	}
	if len(l.sealed) == 0 {
		return nil, 0
	}
	l.sending = l.sealed[0]
	l.sealed = l.sealed[1:]
	return l.sending, 0
}

func (l *lane) run(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		b, wait := l.next()
		if b == nil {
			if wait == 0 {
				wait = time.Hour
			}
			timer.Reset(wait)
			select {
			case <-l.wake:
			case <-timer.C:
			case <-ctx.Done():
				return ctx.Err()
			}
			continue
		}
		if err := l.write(ctx, b); err != nil {
			return err
		}
		// Done first: a Flush that finds nothing being sent has nothing to wait for.
		b.finish(l.w, nil)
		l.mu.Lock()
		l.sending = nil
		l.mu.Unlock()
	}
}

// abandon fails everything that is not acknowledged; run has ended.
func (l *lane) abandon(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = err
	l.sealLocked()
	if l.sending != nil {
		l.sealed = append(l.sealed, l.sending)
	}
	for _, b := range l.sealed {
		b.finish(l.w, err)
	}
	l.sealed, l.sending = nil, nil
}
