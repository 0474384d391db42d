package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"profilestream/stream/wire"
)

// WriterConfig says how a topic is written. Zero values take the defaults named with them.
type WriterConfig struct {
	Codec wire.Codec // None
	// BatchBytes is the uncompressed size at which a batch is sent without waiting for Flush: 512 KiB.
	BatchBytes int
	// MaxBatchBytes is the topic's limit for an encoded batch: 1,000,000.
	MaxBatchBytes int
	// Queue is how many full batches a partition may hold besides the one in flight: 2. A full queue blocks Add.
	Queue int
}

// Writer appends to the partitions of one topic: each an ordered, idempotent stream, all at the same time. Add and
// Flush belong to one goroutine. After an error the writer stays broken: what was added since the last good Flush may
// or may not be in the log, and the owner starts again from its committed position.
type Writer struct {
	cfg     WriterConfig
	topic   string
	streams []*stream
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu     sync.Mutex
	err    error
	broken chan struct{} // closed with the first error
}

// stream is one partition of a writer.
type stream struct {
	filling *wire.Builder
	full    chan *wire.Builder
	free    chan *wire.Builder
	pending sync.WaitGroup // batches handed over and not acknowledged
}

// NewWriter returns a writer for partitions 0..partitions-1. Close ends its goroutines.
func NewWriter(c *wire.Client, topic string, partitions int, cfg WriterConfig) *Writer {
	if cfg.BatchBytes == 0 {
		cfg.BatchBytes = 512 << 10
	}
	if cfg.Queue == 0 {
		cfg.Queue = 2
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &Writer{cfg: cfg, topic: topic, cancel: cancel, broken: make(chan struct{})}
	for i := range partitions {
		s := &stream{filling: new(wire.Builder), full: make(chan *wire.Builder, cfg.Queue), free: make(chan *wire.Builder, cfg.Queue+2)}
		w.streams = append(w.streams, s)
		p := c.NewProducer(topic, int32(i), wire.ProducerConfig{Codec: cfg.Codec, MaxBatchBytes: cfg.MaxBatchBytes})
		w.running.Add(1)
		go func() {
			defer w.running.Done()
			w.send(ctx, s, p)
		}()
	}
	return w
}

// send appends full batches in order. After a failure it only empties the queue: nothing after a gap may be written.
func (w *Writer) send(ctx context.Context, s *stream, p *wire.Producer) {
	failed := false
	for b := range s.full {
		if !failed {
			if _, err := p.Append(ctx, b); err != nil {
				failed = true
				w.fail(err)
			}
		}
		b.Reset()
		select {
		case s.free <- b:
		default:
		}
		s.pending.Done()
	}
}

func (w *Writer) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
		close(w.broken)
	}
}

// Err returns the error that broke the writer, nil while it works.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Partitions returns the number of partitions.
func (w *Writer) Partitions() int { return len(w.streams) }

// Add appends a copy of a record to a partition's current batch. It blocks while the partition's queue is full.
func (w *Writer) Add(ctx context.Context, partition int32, timestampMillis int64, key, value []byte, headers ...wire.Header) error {
	if partition < 0 || int(partition) >= len(w.streams) {
		return fmt.Errorf("bug: partition %d of %s, which has %d", partition, w.topic, len(w.streams))
	}
	s := w.streams[partition]
	if n := s.filling.Len(); n > 0 && s.filling.Bytes()+len(key)+len(value) > w.cfg.BatchBytes {
		if err := w.handOver(ctx, s); err != nil {
			return err
		}
	}
	s.filling.Add(timestampMillis, key, value, headers...)
	return nil
}

func (w *Writer) handOver(ctx context.Context, s *stream) error {
	if err := w.Err(); err != nil {
		return err
	}
	s.pending.Add(1)
	select {
	case s.full <- s.filling:
	case <-w.broken:
		s.pending.Done()
		return w.Err()
	case <-ctx.Done():
		s.pending.Done()
		w.fail(context.Cause(ctx))
		return context.Cause(ctx)
	}
	select {
	case s.filling = <-s.free:
	default:
		s.filling = new(wire.Builder)
	}
	return nil
}

// Flush sends what was added and returns once all of it is acknowledged by all in-sync replicas. Giving up because ctx
// ends breaks the writer.
func (w *Writer) Flush(ctx context.Context) error {
	for _, s := range w.streams {
		if s.filling.Len() > 0 {
			if err := w.handOver(ctx, s); err != nil {
				return err
			}
		}
	}
	acknowledged := make(chan struct{})
	go func() { // ends with the appends, which Close cuts off
		for _, s := range w.streams {
			s.pending.Wait()
		}
		close(acknowledged)
	}()
	select {
	case <-acknowledged:
		return w.Err()
	case <-w.broken:
		return w.Err()
	case <-ctx.Done(): // what is in flight is undecided
		w.fail(context.Cause(ctx))
		return context.Cause(ctx)
	}
}

var errWriterClosed = errors.New("the writer is closed")

// Close cuts off what is in flight and waits for the writer's goroutines. What Flush did not confirm is undecided.
func (w *Writer) Close() error {
	w.cancel()
	w.fail(errWriterClosed)
	for _, s := range w.streams {
		close(s.full)
	}
	w.running.Wait()
	return nil
}
