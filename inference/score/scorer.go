package score

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/zeebo/xxh3"

	"profilestream/inference/bundle"
	"profilestream/inference/features"
	"profilestream/inference/heads"
	"profilestream/inference/text"
	"profilestream/schemas"
)

// Embedder turns texts into unit-length vectors, one a text, which may be shared
// and are read-only.
type Embedder interface {
	Embed(ctx context.Context, texts []string) ([][]float32, error)
	Dim() int
	Version() string
}

// Texts renders what the encoder reads. It must be the rendering that the
// bundle was trained with.
type Texts interface {
	// Bind points it at a record of schemas.WindowRows.
	Bind(rec arrow.Record) error
	// User is the text of row i of the bound record.
	User(i int) string
	// Item is the text of a recent entry or of a product of the catalogue.
	Item(name, category string) string
}

// Config sizes a scorer. Zero values mean the defaults.
type Config struct {
	// CacheEntries bounds each memory of short texts and of rendered windows;
	// 16384.
	CacheEntries int
	// Texts makes a renderer of texts for one goroutine; text.NewRows.
	Texts func() Texts
	// Now is the clock of scored_at; time.Now.
	Now func() time.Time
}

// Scorer scores with one bundle and one encoder. It is safe for concurrent use.
type Scorer struct {
	bundle     *bundle.Bundle
	model      *heads.Model
	embedder   Embedder // nil: always numbers only
	texts      func() Texts
	now        func() time.Time
	groups     []int               // reason of each input column
	names      []string            // of the reasons
	explainers [2]*heads.Explainer // of numbers only, of numbers and text
	categories map[string]int      // position in the model's list
	vectors    *cache[xxh3.Uint128, reading]
	items      *cache[item, []float32]
	moods      *cache[string, float32]
	pool       sync.Pool
	alloc      memory.Allocator
}

// TextReason is the name that the effects of all text components are reported
// under.
const TextReason = "text"

// New makes a scorer. A nil embedder scores every row from numbers alone.
func New(b *bundle.Bundle, e Embedder, cfg Config) (*Scorer, error) {
	m := b.Heads
	if e != nil && e.Dim() != m.Dim {
		return nil, fmt.Errorf("making scorer: the encoder gives %d dimensions, bundle %s reads %d", e.Dim(), b.ID(), m.Dim)
	}
	if m.Dim != schemas.EmbeddingDim {
		return nil, fmt.Errorf("making scorer: bundle %s reads %d dimensions, scored rows hold %d", b.ID(), m.Dim, schemas.EmbeddingDim)
	}
	if cfg.CacheEntries <= 0 {
		cfg.CacheEntries = 16384
	}
	if cfg.Texts == nil {
		cfg.Texts = func() Texts { return text.NewRows() }
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Scorer{bundle: b, model: m, embedder: e, texts: cfg.Texts, now: cfg.Now, alloc: memory.DefaultAllocator}
	s.vectors = newCache[xxh3.Uint128, reading](cfg.CacheEntries / 2)
	s.items = newCache[item, []float32](cfg.CacheEntries / 2)
	s.moods = newCache[string, float32](cfg.CacheEntries / 2)
	s.explainers = [2]*heads.Explainer{heads.NewExplainer(&m.Numeric.Churn.Ensemble), heads.NewExplainer(&m.Full.Churn.Ensemble)}
	s.categories = make(map[string]int, len(m.Interests.Categories))
	for c, name := range m.Interests.Categories {
		s.categories[name] = c
	}
	s.groups, s.names = reasonGroups(m.TextCols())
	s.pool.New = func() any { return newWork(s) }
	return s, nil
}

// reasonGroups gives every input column the position of its reason: its feature,
// or text.
func reasonGroups(components int) (groups []int, names []string) {
	at := map[string]int{}
	for _, in := range features.Inputs {
		k, ok := at[in.Feature]
		if !ok {
			k = len(names)
			at[in.Feature] = k
			names = append(names, in.Feature)
		}
		groups = append(groups, k)
	}
	for range components {
		groups = append(groups, len(names))
	}
	return groups, append(names, TextReason)
}

// Bundle is the bundle at work.
func (s *Scorer) Bundle() *bundle.Bundle { return s.bundle }

// Version is the model_version of rows scored with embeddings.
func (s *Scorer) Version() string {
	if s.embedder == nil {
		return s.bundle.Version("")
	}
	return s.bundle.Version(s.embedder.Version())
}

// Score scores a record of schemas.WindowRows; the result has schemas.ScoredRows
// and the same rows in the same order. The caller releases it. Errors are the
// embedder's, ctx's, or say which column does not fit.
func (s *Scorer) Score(ctx context.Context, rec arrow.Record) (arrow.Record, error) {
	return s.score(ctx, rec, s.embedder)
}

// ScoreNumeric scores without embeddings: rows are marked degraded, have no
// embedding, interests or sentiment, and the model_version says numeric.
func (s *Scorer) ScoreNumeric(ctx context.Context, rec arrow.Record) (arrow.Record, error) {
	return s.score(ctx, rec, nil)
}

func (s *Scorer) score(ctx context.Context, rec arrow.Record, e Embedder) (arrow.Record, error) {
	w := s.pool.Get().(*work)
	defer s.pool.Put(w)
	if err := w.bind(rec); err != nil {
		return nil, err
	}
	defer w.release()
	if err := w.embed(ctx, e); err != nil {
		return nil, err
	}
	if err := w.heads(ctx, e != nil); err != nil {
		return nil, err
	}
	return w.record(e)
}
