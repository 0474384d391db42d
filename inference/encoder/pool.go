package encoder

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"profilestream/inference/onnx"
)

// padMultiple is the multiple of tokens a batch is padded to: with it the runtimes'
// kernels take whole vectors, so that a row's sums have the same order in any batch.
const padMultiple = 16

// session runs one batch at a time. ids and mask are row-major [rows, seq]; the result
// is row-major [rows, dim] and belongs to the caller.
type session interface {
	infer(ids, mask []int64, rows, seq int) ([]float32, error)
	// cancel asks a running infer to stop; it may be called at any time.
	cancel()
	close() error
}

// pool is an Encoder over sessions, each used by one call at a time.
type pool struct {
	free    chan session
	all     []session
	facts   onnx.Facts
	batch   int
	version string

	mu     sync.Mutex
	closed bool
	busy   sync.WaitGroup
}

func newPool(all []session, facts onnx.Facts, batch int, version string) *pool {
	p := &pool{free: make(chan session, len(all)), all: all, facts: facts, batch: batch, version: version}
	for _, s := range all {
		p.free <- s
	}
	return p
}

func (p *pool) Version() string { return p.version }
func (p *pool) Dim() int        { return p.facts.Dim }
func (p *pool) Slots() int      { return len(p.all) }

// BatchTokens implements Encoder.
func (p *pool) BatchTokens() int { return p.batch }

// Encode implements Encoder. When ctx ends first, the call returns at once; its session
// comes back to the pool only when the runtime lets go of it.
func (p *pool) Encode(ctx context.Context, batch [][]int32) ([][]float32, error) {
	if len(batch) == 0 {
		return nil, nil
	}
	ids, mask, seq, err := p.pad(batch)
	if err != nil {
		return nil, err
	}
	s, err := p.take(ctx)
	if err != nil {
		return nil, err
	}
	type answer struct {
		out []float32
		err error
	}
	done := make(chan answer, 1)
	var mu sync.Mutex // orders cancel before the session's next use
	running := true
	go func() {
		defer p.busy.Done()
		out, err := s.infer(ids, mask, len(batch), seq)
		mu.Lock()
		running = false
		mu.Unlock()
		p.free <- s
		done <- answer{out, err}
	}()
	select {
	case a := <-done:
		if a.err != nil {
			return nil, fmt.Errorf("encoding %d rows of %d tokens: %w", len(batch), seq, a.err)
		}
		return p.split(a.out, len(batch))
	case <-ctx.Done():
		// Without the lock, infer could end and another call take the session between
		// the check and cancel, which would then stop a stranger's batch.
		mu.Lock()
		if running {
			s.cancel()
		}
		mu.Unlock()
		return nil, fmt.Errorf("encoding %d rows of %d tokens: %w", len(batch), seq, ctx.Err())
	}
}

func (p *pool) take(ctx context.Context) (session, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("waiting for an encoder: %w", err)
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, ErrClosed
	}
	p.busy.Add(1)
	p.mu.Unlock()
	select {
	case s := <-p.free:
		return s, nil
	case <-ctx.Done():
		p.busy.Done()
		return nil, fmt.Errorf("waiting for an encoder: %w", ctx.Err())
	}
}

// pad lays the rows out for the runtime.
func (p *pool) pad(batch [][]int32) (ids, mask []int64, seq int, err error) {
	for i, r := range batch {
		if len(r) < 2 || len(r) > p.facts.MaxPositions {
			return nil, nil, 0, fmt.Errorf("row %d has %d tokens, want 2..%d: %w", i, len(r), p.facts.MaxPositions, ErrInput)
		}
		seq = max(seq, len(r))
	}
	seq = min(PaddedLen(seq), p.facts.MaxPositions)
	ids, mask = make([]int64, len(batch)*seq), make([]int64, len(batch)*seq)
	for i, r := range batch {
		for j, t := range r {
			// An id outside the table would read past it.
			if t < 0 || int(t) >= p.facts.Vocabulary {
				return nil, nil, 0, fmt.Errorf("row %d has token %d, the model knows %d: %w", i, t, p.facts.Vocabulary, ErrInput)
			}
			ids[i*seq+j], mask[i*seq+j] = int64(t), 1
		}
	}
	return ids, mask, seq, nil
}

// PaddedLen is the number of tokens a row of n costs.
func PaddedLen(n int) int { return (n + padMultiple - 1) / padMultiple * padMultiple }

func (p *pool) split(out []float32, rows int) ([][]float32, error) {
	if len(out) != rows*p.facts.Dim {
		return nil, fmt.Errorf("runtime returned %d values, want %d rows of %d", len(out), rows, p.facts.Dim)
	}
	for i, v := range out {
		if v-v != 0 {
			return nil, fmt.Errorf("row %d: %w", i/p.facts.Dim, ErrNotFinite)
		}
	}
	vectors := make([][]float32, rows)
	for i := range vectors {
		vectors[i] = out[i*p.facts.Dim : (i+1)*p.facts.Dim : (i+1)*p.facts.Dim]
	}
	return vectors, nil
}

// Close waits for running batches, then frees the runtime's memory.
func (p *pool) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	p.mu.Unlock()
	p.busy.Wait()
	var errs []error
	for _, s := range p.all {
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}
