package kernel

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Engine runs kernels on a number of workers. One call at a time.
type Engine struct {
	set     *set
	workers []worker
	shared  []float32 // packed B of the product at work
}

// worker is the scratch memory of one goroutine.
type worker struct {
	a, b, c []float32
}

// Open makes an engine with the named set of kernels (Auto chooses); threads 0 means
// one a CPU this process may use.
func Open(name string, threads int) (*Engine, error) {
	s, err := choose(name)
	if err != nil {
		return nil, err
	}
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	return &Engine{set: s, workers: make([]worker, threads)}, nil
}

// Name is the set of kernels in use.
func (e *Engine) Name() string { return e.set.name }

// Threads is the number of workers.
func (e *Engine) Threads() int { return len(e.workers) }

// For calls f(worker, i) for i in [0, n). Which worker gets which i is left to chance,
// so f must not let the worker show in a result.
func (e *Engine) For(n int, f func(worker, i int)) {
	if len(e.workers) == 1 || n == 1 {
		for i := range n {
			f(0, i)
		}
		return
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for w := range min(len(e.workers), n) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(w, i)
			}
		})
	}
	wg.Wait()
}

// Chunks splits [0, n) into runs of size elements; chunk counts them.
func (e *Engine) Chunks(n, size int, f func(worker, chunk, lo, hi int)) {
	e.For((n+size-1)/size, func(w, i int) { f(w, i, i*size, min(n, (i+1)*size)) })
}

// Grow returns x with n elements, in new memory of unknown content if x is too small.
func Grow(x []float32, n int) []float32 {
	if cap(x) < n {
		return make([]float32, n)
	}
	return x[:n]
}
