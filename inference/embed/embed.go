package embed

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"profilestream/inference/encoder"
	"profilestream/inference/token"
)

// ErrOpen: the encoder has failed repeatedly and is not asked for a while.
var ErrOpen = errors.New("encoder breaker is open")

// Tokenizer turns a text into ids between [CLS] and [SEP], at most limit in all.
type Tokenizer interface {
	Encode(text string, limit int) []int32
}

// Config sizes an Embedder. Zero values mean the defaults.
type Config struct {
	Model       string        // identity of the weights (hash), part of every cache key
	MaxTokens   int           // of a text; 128
	BatchTokens int           // of a batch at most, padding included; 4096 (the encoder's best is smaller)
	CacheMiB    int           // memory of the cache; 0 switches it off
	CacheDir    string        // folder that keeps vectors between runs; empty: none
	DiskMiB     int           // size of that folder at most; 2048
	Warn        func(error)   // told what is wrong with the folder; may be nil
	Timeout     time.Duration // of a batch; 30 s
	Failures    uint32        // consecutive failed calls that open the breaker; 3
	OpenFor     time.Duration // until an open breaker lets one call through; 5 s
}

func (c *Config) setDefaults() {
	setDefault(&c.MaxTokens, token.MaxTokens)
	setDefault(&c.BatchTokens, 4096)
	setDefault(&c.DiskMiB, 2048)
	setDefault(&c.Timeout, 30*time.Second)
	setDefault(&c.Failures, 3)
	setDefault(&c.OpenFor, 5*time.Second)
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// Validate names the key that is wrong.
func (c Config) Validate() error {
	c.setDefaults()
	switch {
	case c.MaxTokens < 2 || c.MaxTokens > token.MaxTokens:
		return fmt.Errorf("model.max_tokens: %d is outside 2..%d", c.MaxTokens, token.MaxTokens)
	case c.BatchTokens < token.MaxTokens || c.BatchTokens > 1<<20:
		return fmt.Errorf("model.batch_tokens: %d is outside %d..%d", c.BatchTokens, token.MaxTokens, 1<<20)
	case c.CacheMiB < 0 || c.CacheMiB > 1<<20:
		return fmt.Errorf("model.cache_mib: %d is outside 0..%d", c.CacheMiB, 1<<20)
	case c.DiskMiB < 1 || c.DiskMiB > 1<<20:
		return fmt.Errorf("model.cache_disk_mib: %d is outside 1..%d", c.DiskMiB, 1<<20)
	case c.CacheDir != "" && c.Model == "":
		return errors.New("model.cache_dir: vectors on disk need the identity of the weights")
	case c.Timeout < 0 || c.OpenFor < 0:
		return errors.New("model.timeout: negative")
	}
	return nil
}

// Embedder turns texts into unit vectors. It is safe for concurrent use.
type Embedder struct {
	cfg     Config
	tok     Tokenizer
	enc     encoder.Encoder
	cache   *cache
	disk    *store // nil: none
	salt    []byte
	breaker *gobreaker.CircuitBreaker[[][]float32]
	count   counters
}

// New makes an Embedder over a tokenizer and an encoder, which stay the caller's to close.
// A folder that cannot be used is no error: vectors are then kept in memory only.
func New(cfg Config, tok Tokenizer, enc encoder.Encoder) (*Embedder, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.setDefaults()
	e := &Embedder{cfg: cfg, tok: tok, enc: enc, salt: []byte(cfg.Model + "\x00" + enc.Version() + "\x00")}
	e.cache = newCache(int64(cfg.CacheMiB)<<20, enc.Dim())
	if cfg.CacheDir != "" {
		var err error
		if e.disk, err = openStore(cfg.CacheDir, e.salt, enc.Dim(), int64(cfg.DiskMiB)<<20, cfg.Warn); err != nil {
			e.warn(fmt.Errorf("working without embeddings on disk: %w", err))
		}
	}
	e.breaker = gobreaker.NewCircuitBreaker[[][]float32](gobreaker.Settings{
		Name:        "encoder",
		Timeout:     cfg.OpenFor,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= cfg.Failures },
		IsExcluded:  func(err error) bool { return errors.Is(err, errCaller) || errors.Is(err, encoder.ErrInput) },
	})
	return e, nil
}

// errCaller marks failures that say nothing about the encoder.
var errCaller = errors.New("caller gave up")

// Version is the encoder's version.
func (e *Embedder) Version() string { return e.enc.Version() }

// Dim is the length of a vector.
func (e *Embedder) Dim() int { return e.enc.Dim() }

// Embed returns the vector of each text, in order. Vectors may be shared with the
// cache and among equal texts: they are read-only. Errors: ErrOpen, ctx's, or the
// encoder's; then no vector is returned.
func (e *Embedder) Embed(ctx context.Context, texts []string) ([][]float32, error) {
	e.count.texts.Add(uint64(len(texts)))
	rows := e.tokenize(texts)
	out := make([][]float32, len(texts))
	var misses []miss
	at := make(map[Key]int)
	for i, ids := range rows {
		k := e.key(ids)
		if j, ok := at[k]; ok {
			e.count.hits.Add(1)
			misses[j].want = append(misses[j].want, i)
			continue
		}
		if v, ok := e.cache.get(k); ok {
			e.count.hits.Add(1)
			out[i] = v
			continue
		}
		at[k] = len(misses)
		misses = append(misses, miss{key: k, ids: ids, want: []int{i}})
	}
	misses = e.fromDisk(misses, out)
	e.count.misses.Add(uint64(len(misses)))
	if len(misses) == 0 {
		return out, nil
	}
	vectors, err := e.guarded(ctx, misses)
	if err != nil {
		e.count.failures.Add(1)
		return nil, err
	}
	for i, m := range misses {
		e.give(m, vectors[i], out)
	}
	e.toDisk(misses, vectors)
	return out, nil
}

// give hands a vector to the texts that want it and to the memory cache.
func (e *Embedder) give(m miss, v []float32, out [][]float32) {
	e.cache.put(m.key, v)
	for _, j := range m.want {
		out[j] = v
	}
}

// fromDisk serves what the disk has and returns the rest.
func (e *Embedder) fromDisk(misses []miss, out [][]float32) []miss {
	if e.disk == nil || len(misses) == 0 {
		return misses
	}
	keys := make([]Key, len(misses))
	for i, m := range misses {
		keys[i] = m.key
	}
	rest := misses[:0]
	for i, v := range e.disk.get(keys) {
		if v == nil {
			rest = append(rest, misses[i])
			continue
		}
		e.give(misses[i], v, out)
		e.count.disk.Add(1)
	}
	return rest
}

// toDisk keeps new vectors. A failure is counted, not returned: the vectors are right.
func (e *Embedder) toDisk(misses []miss, vectors [][]float32) {
	if e.disk == nil {
		return
	}
	keys := make([]Key, len(misses))
	for i, m := range misses {
		keys[i] = m.key
	}
	if err := e.disk.put(keys, vectors); err != nil {
		if e.count.diskErrors.Add(1) == 1 {
			e.warn(err)
		}
	}
}

func (e *Embedder) warn(err error) {
	if e.cfg.Warn != nil {
		e.cfg.Warn(err)
	}
}

// Close closes the cache on disk; no Embed may follow.
func (e *Embedder) Close() error {
	if e.disk == nil {
		return nil
	}
	return e.disk.close()
}

// guarded encodes the misses as one call in the eyes of the breaker, so that a
// half-open breaker tries one caller rather than one of its batches.
func (e *Embedder) guarded(ctx context.Context, misses []miss) ([][]float32, error) {
	v, err := e.breaker.Execute(func() ([][]float32, error) {
		v, err := e.encode(ctx, misses)
		if err != nil && ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", errCaller, err)
		}
		return v, err
	})
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return nil, ErrOpen
	}
	return v, err
}

// tokenize spreads long lists over as many goroutines as the encoder has slots.
func (e *Embedder) tokenize(texts []string) [][]int32 {
	const share = 64
	rows := make([][]int32, len(texts))
	var wg sync.WaitGroup
	step := max(share, (len(texts)+e.enc.Slots()-1)/e.enc.Slots())
	for from := 0; from < len(texts); from += step {
		to := min(from+step, len(texts))
		work := func() {
			for i := from; i < to; i++ {
				rows[i] = e.tok.Encode(texts[i], e.cfg.MaxTokens)
			}
		}
		if to == len(texts) {
			work()
			break
		}
		wg.Go(work)
	}
	wg.Wait()
	return rows
}
