package stage

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"profilestream/stream/wire"
)

// appender is one ordered, gap-free append stream for each partition of a
// topic. It fills one set of batches while the set before it is on its way, so
// its memory is bounded by two sets. After a failed append it refuses to go on:
// its owner starts again from the committed position, and leaves no gap.
type appender struct {
	producers        []*wire.Producer
	filling, flying  []*wire.Builder
	size, maxSetSize int
	landed           chan error // nil: nothing on its way
	broken           error
}

func newAppender(c *wire.Client, topic string, partitions, maxSetBytes int, cfg wire.ProducerConfig) *appender {
	a := &appender{maxSetSize: maxSetBytes}
	for p := range partitions {
		a.producers = append(a.producers, c.NewProducer(topic, int32(p), cfg))
		a.filling = append(a.filling, new(wire.Builder))
		a.flying = append(a.flying, new(wire.Builder))
	}
	return a
}

// add appends a record to a partition's batch. The slices are copied.
func (a *appender) add(partition int32, millis int64, key, value []byte, headers ...wire.Header) {
	a.filling[partition].Add(millis, key, value, headers...)
	a.size += len(key) + len(value) + 16
}

// full says that the set being filled has reached its size.
func (a *appender) full() bool { return a.size >= a.maxSetSize }

// send puts the filled set on its way, after the one before it has landed.
func (a *appender) send(ctx context.Context) error {
	if err := a.wait(); err != nil || a.size == 0 {
		return err
	}
	a.filling, a.flying, a.size = a.flying, a.filling, 0
	landed := make(chan error, 1)
	a.landed = landed
	set := a.flying
	go func() {
		var g errgroup.Group
		for p, b := range set {
			if b.Len() == 0 {
				continue
			}
			g.Go(func() error {
				_, err := a.producers[p].Append(ctx, b)
				b.Reset()
				return err
			})
		}
		landed <- g.Wait()
	}()
	return nil
}

// wait returns when nothing is on its way.
func (a *appender) wait() error {
	if a.broken == nil && a.landed != nil {
		if err := <-a.landed; err != nil {
			a.broken = fmt.Errorf("appending: %w", err)
		}
		a.landed = nil
	}
	return a.broken
}

// flush sends what was added and waits until all of it is acknowledged.
func (a *appender) flush(ctx context.Context) error {
	if err := a.send(ctx); err != nil {
		return err
	}
	return a.wait()
}
