package embed

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"profilestream/inference/encoder"
)

// letters is a tokenizer of one token a byte.
type letters struct{}

func (letters) Encode(text string, limit int) []int32 {
	ids := []int32{1}
	for i := 0; i < len(text) && len(ids) < limit-1; i++ {
		ids = append(ids, int32(text[i]))
	}
	return append(ids, 2)
}

// recorder encodes a row as (length, sum of ids) and keeps the batches it saw.
type recorder struct {
	mu      sync.Mutex
	batches [][]int // lengths of rows
	fail    error
	hang    bool
}

func (r *recorder) Encode(ctx context.Context, batch [][]int32) ([][]float32, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if r.fail != nil {
		return nil, r.fail
	}
	var lens []int
	var out [][]float32
	for _, row := range batch {
		sum := float32(0)
		for _, id := range row {
			sum += float32(id)
		}
		lens, out = append(lens, len(row)), append(out, []float32{float32(len(row)), sum})
	}
	r.batches = append(r.batches, lens)
	return out, nil
}

func (r *recorder) Version() string  { return "recorder/1" }
func (r *recorder) Dim() int         { return 2 }
func (r *recorder) Slots() int       { return 2 }
func (r *recorder) BatchTokens() int { return 512 }
func (r *recorder) Close() error     { return nil }

func newTest(t *testing.T, cfg Config, enc encoder.Encoder) *Embedder {
	t.Helper()
	e, err := New(cfg, letters{}, enc)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestOrderDuplicatesAndCache(t *testing.T) {
	enc := &recorder{}
	e := newTest(t, Config{CacheMiB: 1}, enc)
	texts := []string{"b", "aaa", "b", "", "cc", "aaa"}
	for round := range 2 {
		got, err := e.Embed(t.Context(), texts)
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range texts {
			if int(got[i][0]) != len(s)+2 {
				t.Errorf("round %d: text %d has the vector of %v tokens, want %d", round, i, got[i][0], len(s)+2)
			}
		}
	}
	s := e.Stats()
	if s.Texts != 12 || s.Misses != 4 || s.Hits != 8 || s.Rows != 4 || s.CacheEntries != 4 || s.Failures != 0 {
		t.Errorf("stats %+v", s)
	}
}

func TestCacheIsBounded(t *testing.T) {
	e := newTest(t, Config{CacheMiB: 1}, &recorder{})
	var texts []string
	for i := range 8000 {
		texts = append(texts, fmt.Sprint(i))
	}
	if _, err := e.Embed(t.Context(), texts); err != nil {
		t.Fatal(err)
	}
	s := e.Stats()
	if s.CacheBytes > 1<<20 || s.Evictions != uint64(8000-s.CacheEntries) || s.CacheEntries < 5000 {
		t.Errorf("cache holds %d entries, %d bytes after %d evictions", s.CacheEntries, s.CacheBytes, s.Evictions)
	}
	off := newTest(t, Config{}, &recorder{})
	for range 2 {
		if _, err := off.Embed(t.Context(), texts[:10]); err != nil {
			t.Fatal(err)
		}
	}
	if s := off.Stats(); s.Hits != 0 || s.Rows != 20 {
		t.Errorf("a cache of 0 MiB: %+v", s)
	}
}

func TestKeyTellsModelsAndVersionsApart(t *testing.T) {
	ids := []int32{1, 2, 3}
	a, b := newTest(t, Config{Model: "a"}, &recorder{}), newTest(t, Config{Model: "b"}, &recorder{})
	if a.key(ids) == b.key(ids) || a.key(ids) == a.key(ids[:2]) || a.key(ids) != newTest(t, Config{Model: "a"}, &recorder{}).key(ids) {
		t.Error("keys do not follow model and ids")
	}
}

func TestPlanKeepsBudgetAndPadding(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{1, 2, 7, 300} {
		misses := make([]miss, n)
		for i := range misses {
			misses[i].ids = make([]int32, 2+r.IntN(126))
		}
		seen := make([]int, n)
		for _, b := range plan(misses, 1024, 2) {
			cost := 0
			for _, i := range b {
				seen[i]++
				cost += encoder.PaddedLen(len(misses[i].ids))
				if encoder.PaddedLen(len(misses[i].ids)) != encoder.PaddedLen(len(misses[b[0]].ids)) {
					t.Errorf("a batch mixes rows of %d and %d tokens", len(misses[i].ids), len(misses[b[0]].ids))
				}
			}
			if cost > 1024 {
				t.Errorf("a batch of %d tokens is over the budget", cost)
			}
		}
		if slices.Max(seen) != 1 || slices.Min(seen) != 1 {
			t.Errorf("%d rows were planned %v times", n, seen)
		}
	}
}

func TestBreakerOpensProbesAndCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		enc := &recorder{fail: errors.New("broken")}
		e := newTest(t, Config{Failures: 2, OpenFor: 5 * time.Second, CacheMiB: 1}, enc)
		embed := func() error { _, err := e.Embed(t.Context(), []string{"a", strings.Repeat("b", 40)}); return err }
		for range 2 {
			if err := embed(); err == nil || errors.Is(err, ErrOpen) {
				t.Fatalf("error %v, want the encoder's", err)
			}
		}
		if err := embed(); !errors.Is(err, ErrOpen) || e.Stats().BreakerState != "open" {
			t.Fatalf("error %v, breaker %s", err, e.Stats().BreakerState)
		}
		advance(t, 6*time.Second)
		enc.fail = nil
		if err := embed(); err != nil {
			t.Fatalf("probe of two batches: %v", err)
		}
		if s := e.Stats(); s.BreakerState != "closed" || s.Failures != 3 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestHangTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newTest(t, Config{Timeout: time.Second, Failures: 1}, &recorder{hang: true})
		if _, err := e.Embed(t.Context(), []string{"a"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("error %v, want the batch's deadline", err)
		}
		if _, err := e.Embed(t.Context(), []string{"a"}); !errors.Is(err, ErrOpen) {
			t.Fatalf("error %v, want ErrOpen", err)
		}
	})
}

func TestCallerAndInputDoNotOpenTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newTest(t, Config{Failures: 1}, &recorder{hang: true})
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if _, err := e.Embed(ctx, []string{"a"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("error %v", err)
		}
		in := newTest(t, Config{Failures: 1}, &recorder{fail: fmt.Errorf("row 0: %w", encoder.ErrInput)})
		if _, err := in.Embed(t.Context(), []string{"a"}); !errors.Is(err, encoder.ErrInput) {
			t.Fatalf("error %v", err)
		}
		for _, e := range []*Embedder{e, in} {
			if s := e.Stats().BreakerState; s != "closed" {
				t.Errorf("breaker is %s", s)
			}
		}
	})
}

func advance(t *testing.T, d time.Duration) {
	ctx, stop := context.WithTimeout(t.Context(), d)
	defer stop()
	<-ctx.Done()
}

func TestConfigNamesTheKey(t *testing.T) {
	for key, c := range map[string]Config{
		"model.max_tokens": {MaxTokens: 200}, "model.batch_tokens": {BatchTokens: 64}, "model.cache_mib": {CacheMiB: -1}, "model.timeout": {Timeout: -1},
	} {
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: error %v", key, err)
		}
	}
}
