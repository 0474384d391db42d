package score

import (
	"context"
	"fmt"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/zeebo/xxh3"

	"profilestream/inference/features"
	"profilestream/inference/heads"
	"profilestream/schemas"
)

const dayMillis = 24 * 60 * 60 * 1000

// item is an entry of the recent list as its text depends on it.
type item struct{ name, category string }

// reading is what the encoder made of a window's text, and its text components.
type reading struct{ embedding, components []float32 }

// work is the memory of one call, kept between calls.
type work struct {
	s      *Scorer
	rec    arrow.Record
	rows   int
	table  features.Table
	recent recent
	back   *array.String // feedback texts
	backAt *array.Timestamp

	text  Texts
	texts []string // to embed: windows, items and feedbacks not remembered
	then  []func(v []float32)
	user  []reading // of each row
	moods []float32 // of each row's newest feedback; 0 without
	asked []float32 // mood of each row's newest search; 0 without
	// Texts met for the first time in this batch.
	newItems   map[item][]float32
	newMoods   map[string]float32
	affinities [][]float32 // of each recent entry that the encoder reads
	categories []int       // of each recent entry, with a head for the next category

	x, effects    heads.Matrix
	scratch       heads.Scratch
	churn, amount []float64
	sums          []float64     // of the categories
	sights        []heads.Sight // of one row
	choice        []float32     // inputs of the next category
	interests     []heads.Interest
	reasons       []float64
	zeros         []float32 // what lies under a NULL embedding
	out           *array.RecordBuilder
}

func newWork(s *Scorer) *work {
	fields := schemas.ScoredRows.Fields()[schemas.ColEmbedding:]
	categories := len(s.model.Interests.Categories)
	return &work{
		s: s, text: s.texts(), out: array.NewRecordBuilder(s.alloc, arrow.NewSchema(fields, nil)),
		newItems: make(map[item][]float32), newMoods: make(map[string]float32),
		sums:    make([]float64, categories),
		choice:  make([]float32, categories*heads.NumNextInputs),
		reasons: make([]float64, len(s.names)),
		zeros:   make([]float32, s.model.Dim),
	}
}

// recent reads the column of recent entries.
type recent struct {
	list               *array.List
	kind               []uint8
	at                 []arrow.Timestamp
	name, categoryName *array.String
}

func (r *recent) bind(a arrow.Array) error {
	list, ok := a.(*array.List)
	if !ok {
		return fmt.Errorf("scoring: column recent is %s", a.DataType())
	}
	entries, ok := list.ListValues().(*array.Struct)
	if !ok || !arrow.TypeEqual(entries.DataType(), schemas.RecentType) {
		return fmt.Errorf("scoring: column recent is %s", a.DataType())
	}
	r.list = list
	r.kind = entries.Field(0).(*array.Uint8).Uint8Values()
	r.at = entries.Field(1).(*array.Timestamp).TimestampValues()
	r.name = entries.Field(3).(*array.String)
	r.categoryName = entries.Field(4).(*array.String)
	return nil
}

func (r *recent) item(k int) item { return item{r.name.Value(k), r.categoryName.Value(k)} }

func (w *work) bind(rec arrow.Record) error {
	if int(rec.NumCols()) != schemas.NumWindowColumns {
		return fmt.Errorf("scoring: %d columns, window rows have %d", rec.NumCols(), schemas.NumWindowColumns)
	}
	if err := w.table.Bind(rec); err != nil {
		return err
	}
	if err := w.recent.bind(rec.Column(schemas.ColRecent)); err != nil {
		return err
	}
	back, ok := rec.Column(schemas.ColFeedbackText).(*array.String)
	if !ok {
		return fmt.Errorf("scoring: column feedback_text is %s", rec.Column(schemas.ColFeedbackText).DataType())
	}
	backAt, ok := rec.Column(schemas.ColFeedbackAt).(*array.Timestamp)
	if !ok {
		return fmt.Errorf("scoring: column feedback_at is %s", rec.Column(schemas.ColFeedbackAt).DataType())
	}
	if err := w.text.Bind(rec); err != nil {
		return err
	}
	w.backAt = backAt
	w.back, w.rec, w.rows = back, rec, int(rec.NumRows())
	return nil
}

// release drops what points into the record, so that the pool keeps no batch
// alive.
func (w *work) release() {
	w.rec, w.back, w.backAt, w.recent = nil, nil, nil, recent{}
	w.table = features.Table{}
	clear(w.texts)
	clear(w.then)
	clear(w.user)
	w.texts, w.then, w.user = w.texts[:0], w.then[:0], w.user[:0]
	clear(w.affinities)
	clear(w.newItems)
	clear(w.newMoods)
}

// embed fetches what is not remembered: the windows' texts, the items' and the
// newest feedback's, all in one call of the embedder.
func (w *work) embed(ctx context.Context, e Embedder) error {
	w.user = resize(w.user, w.rows)
	w.moods, w.asked = resize(w.moods, w.rows), resize(w.asked, w.rows)
	clear(w.moods)
	clear(w.asked)
	if e == nil {
		return ctx.Err()
	}
	w.wantUsers()
	w.wantItems()
	w.wantMoods()
	if len(w.texts) > 0 {
		vectors, err := e.Embed(ctx, w.texts)
		if err != nil {
			return err
		}
		if len(vectors) != len(w.texts) {
			return fmt.Errorf("scoring: the encoder gave %d embeddings for %d texts", len(vectors), len(w.texts))
		}
		for i, v := range vectors {
			if err := checkVector(v, w.s.model.Dim); err != nil {
				return err
			}
			w.then[i](v)
		}
	}
	w.fillItems()
	w.fillMoods()
	return ctx.Err()
}

func checkVector(v []float32, dim int) error {
	if len(v) != dim {
		return fmt.Errorf("scoring: an embedding of %d dimensions, want %d", len(v), dim)
	}
	var s float32
	for _, x := range v {
		s += x * 0 // NaN as soon as one is not finite
	}
	if s != 0 {
		return fmt.Errorf("scoring: an embedding that is not finite")
	}
	return nil
}

func (w *work) want(text string, then func(v []float32)) {
	w.texts = append(w.texts, text)
	w.then = append(w.then, then)
}

func (w *work) wantUsers() {
	cache := w.s.vectors
	for i := range w.rows {
		t := w.text.User(i)
		k := xxh3.HashString128(t)
		if v, ok := cache.get(k); ok {
			w.user[i] = v
			continue
		}
		w.want(t, func(v []float32) {
			w.user[i] = w.project(v)
			cache.put(k, w.user[i])
		})
	}
}

// project finds the text components of an embedding. They are remembered with it,
// for they cost as much as all heads together.
func (w *work) project(v []float32) reading {
	p := w.s.model.Text
	one := heads.NewMatrix(1, len(p.Bias))
	p.Apply(one, &heads.Matrix{Rows: 1, Cols: len(v), Stride: len(v), Data: v})
	return reading{embedding: v, components: one.Data}
}

// wantItems finds the affinities of all entries of the batch, and asks for the
// embedding of each text that is new, once. A head for the next category needs
// none of an entry whose category is listed.
func (w *work) wantItems() {
	w.affinities = resize(w.affinities, len(w.recent.kind))
	clear(w.affinities)
	if len(w.sums) == 0 || w.rows == 0 {
		return
	}
	next := w.s.model.Next
	w.categories = resize(w.categories, len(w.recent.kind))
	lo, _ := w.recent.list.ValueOffsets(0)
	_, hi := w.recent.list.ValueOffsets(w.rows - 1)
	cache := w.s.items
	cache.mu.Lock()
	defer cache.mu.Unlock()
	for k := int(lo); k < int(hi); k++ {
		it := w.recent.item(k)
		w.categories[k] = -1
		if it == (item{}) {
			continue
		}
		if next != nil {
			if c, ok := w.s.categories[it.category]; ok {
				w.categories[k] = c
			}
			if !next.Reads(w.categories[k]) {
				continue
			}
		}
		if a, ok := cache.find(it); ok {
			w.affinities[k] = a
			continue
		}
		if _, ok := w.newItems[it]; ok {
			continue
		}
		it = item{strings.Clone(it.name), strings.Clone(it.category)}
		w.newItems[it] = nil
		w.want(w.text.Item(it.name, it.category), func(v []float32) {
			a := make([]float32, len(w.sums))
			w.s.model.Interests.Affinity(v, a)
			w.newItems[it] = a
			cache.put(it, a)
		})
	}
}

func (w *work) fillItems() {
	if len(w.newItems) == 0 {
		return
	}
	for k := range w.affinities {
		if w.affinities[k] == nil {
			w.affinities[k] = w.newItems[w.recent.item(k)]
		}
	}
}

func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
