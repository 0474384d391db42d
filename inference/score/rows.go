package score

import (
	"context"
	"fmt"
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"profilestream/inference/heads"
	"profilestream/schemas"
)

// blockRows keeps the matrices of a block in the processor's second-level cache.
const blockRows = 128

// heads computes all scores into the builders, block by block.
func (w *work) heads(ctx context.Context, full bool) error {
	w.out.Reserve(w.rows)
	embeddings := w.out.Field(outEmbedding).(*array.FixedSizeListBuilder)
	embeddings.ValueBuilder().Reserve(w.rows * w.s.model.Dim)
	for lo := 0; lo < w.rows; lo += blockRows {
		if err := ctx.Err(); err != nil {
			return w.discard(err)
		}
		hi := min(lo+blockRows, w.rows)
		if err := w.block(lo, hi, full); err != nil {
			return w.discard(err)
		}
	}
	return nil
}

// discard empties the builders, so that the next call starts clean.
func (w *work) discard(err error) error {
	for _, f := range w.out.Fields() {
		f.NewArray().Release()
	}
	return err
}

func (w *work) block(lo, hi int, full bool) error {
	set, base, err := w.explain(lo, hi, full)
	if err != nil {
		return err
	}
	for i := range hi - lo {
		if err := w.append(set, base, lo+i, i, full); err != nil {
			return err
		}
	}
	return nil
}

// explain computes the raw scores and the effects of some rows, and returns the
// heads at work and the score that effects are counted from.
func (w *work) explain(lo, hi int, full bool) (set *heads.Set, base float64, err error) {
	m := w.s.model
	set, explainer := &m.Numeric, w.s.explainers[0]
	if full {
		set, explainer = &m.Full, w.s.explainers[1]
	}
	n := hi - lo
	if err := w.inputs(set, lo, hi, full); err != nil {
		return nil, 0, err
	}
	w.effects.Resize(n, set.Cols)
	w.churn, w.amount = resize(w.churn, n), resize(w.amount, n)
	explainer.Explain(&w.x, &w.scratch, w.churn, &w.effects)
	set.Spend.Amount.Score(&w.x, &w.scratch, w.amount)
	return set, explainer.Base(), nil
}

// Positions of the builders.
const (
	outEmbedding = iota
	outChurn
	outChurnBand
	outValue
	outValueBand
	outInterests
	outSentiment
	outReasons
	outDegraded
	outVersion
	outScoredAt
)

// append adds the scores of row i of the record, at k of the block.
func (w *work) append(set *heads.Set, base float64, i, k int, full bool) error {
	z := w.churn[k]
	p := set.Churn.Calibration.Probability(z)
	v := set.Spend.Value(z, w.amount[k])
	for _, x := range [...]float64{z, p, v, float64(w.moods[i])} {
		if x-x != 0 {
			return fmt.Errorf("scoring: row %d: a score is not finite", i)
		}
	}
	f := w.out.Fields()
	emb := f[outEmbedding].(*array.FixedSizeListBuilder)
	if full {
		emb.Append(true)
		emb.ValueBuilder().(*array.Float32Builder).AppendValues(w.user[i].embedding, nil)
	} else {
		emb.Append(false)
		emb.ValueBuilder().(*array.Float32Builder).AppendValues(w.zeros, nil)
	}
	bands := &w.s.model.Bands
	f[outChurn].(*array.Float32Builder).Append(float32(p))
	f[outChurnBand].(*array.StringBuilder).Append(bands.Churn(p))
	f[outValue].(*array.Float32Builder).Append(float32(v))
	f[outValueBand].(*array.StringBuilder).Append(bands.Value(v))
	w.appendInterests(f[outInterests].(*array.MapBuilder), i, full)
	mood := f[outSentiment].(*array.Float32Builder)
	if full && w.s.model.Sentiment != nil && w.back.IsValid(i) {
		mood.Append(w.moods[i])
	} else {
		mood.AppendNull()
	}
	w.appendReasons(f[outReasons].(*array.ListBuilder), k, set.Churn.EffectScale(z, base))
	f[outDegraded].(*array.BooleanBuilder).Append(!full)
	return nil
}

// appendInterests adds what the head for the next category says, or without one
// the weights of the recent entries. A user of whose entries none tells anything
// has no interests.
func (w *work) appendInterests(b *array.MapBuilder, i int, full bool) {
	b.Append(true)
	if !full || len(w.sums) == 0 {
		return
	}
	asOf := w.rec.Column(schemas.ColAsOf).(*array.Timestamp).Value(i)
	lo, hi := w.recent.list.ValueOffsets(i)
	if w.s.model.Next != nil {
		w.chooseNext(int(lo), int(hi), asOf, w.user[i].components)
	} else {
		w.weighRecent(int(lo), int(hi), asOf)
	}
	w.interests = heads.Top(w.interests[:0], w.sums)
	for _, in := range w.interests {
		b.KeyBuilder().(*array.StringBuilder).Append(w.s.model.Interests.Categories[in.Category])
		b.ItemBuilder().(*array.Float32Builder).Append(in.Weight)
	}
}

// weighRecent sums what the encoder reads in the entries lo to hi.
func (w *work) weighRecent(lo, hi int, asOf arrow.Timestamp) {
	clear(w.sums)
	n := &w.s.model.Interests
	for k := lo; k < hi; k++ {
		a := w.affinities[k]
		if a == nil {
			continue
		}
		by := n.Weight(w.recent.kind[k], float64(asOf-w.recent.at[k])/dayMillis)
		if by == 0 {
			continue
		}
		for c, x := range a {
			w.sums[c] += by * float64(x)
		}
	}
}

// chooseNext gives each category the probability that it is bought next.
func (w *work) chooseNext(lo, hi int, asOf arrow.Timestamp, components []float32) {
	w.sights = w.sights[:0]
	for k := lo; k < hi; k++ {
		w.sights = append(w.sights, heads.Sight{
			Kind: w.recent.kind[k], AgeDays: float64(asOf-w.recent.at[k]) / dayMillis,
			Category: w.categories[k], Affinity: w.affinities[k],
		})
	}
	m := w.s.model
	if !m.Next.Inputs(&m.Interests, w.sights, w.choice) {
		clear(w.sums)
		return
	}
	m.Next.Probabilities(w.choice, components, w.sums)
}

// maxReasons is the largest number of reasons of a row.
const maxReasons = 5

// minEffect is the smallest effect worth a word, in log-odds.
const minEffect = 1e-3

// appendReasons adds the features that move the row's log-odds of churn most,
// largest effect first. The inputs made from one feature count together, the
// text components too.
func (w *work) appendReasons(b *array.ListBuilder, k int, scale float64) {
	b.Append(true)
	w.group(k)
	var top [maxReasons]reason
	n := 0
	for g, e := range w.reasons {
		size := math.Abs(e)
		if n == maxReasons && size <= top[n-1].size {
			continue
		}
		n = min(n+1, maxReasons)
		at := n - 1
		for at > 0 && top[at-1].size < size {
			top[at] = top[at-1]
			at--
		}
		top[at] = reason{group: g, size: size}
	}
	entry := b.ValueBuilder().(*array.StructBuilder)
	name, size := entry.FieldBuilder(0).(*array.StringBuilder), entry.FieldBuilder(1).(*array.Float32Builder)
	for _, r := range top[:n] {
		effect := w.reasons[r.group] * scale
		if math.Abs(effect) < minEffect {
			return
		}
		entry.Append(true)
		name.Append(w.s.names[r.group])
		size.Append(float32(effect))
	}
}

// group sums the effects of row k of the block by reason.
func (w *work) group(k int) {
	clear(w.reasons)
	for j, e := range w.effects.Row(k) {
		w.reasons[w.s.groups[j]] += float64(e)
	}
}

// reason is a group of inputs and the size of its effect before calibration.
type reason struct {
	group int
	size  float64
}

// record joins the columns that pass through and the scores.
func (w *work) record(e Embedder) (arrow.Record, error) {
	version := w.s.bundle.Version("")
	if e != nil {
		version = w.s.bundle.Version(e.Version())
	}
	f := w.out.Fields()
	at := arrow.Timestamp(w.s.now().UnixMilli())
	for range w.rows {
		f[outVersion].(*array.StringBuilder).Append(version)
		f[outScoredAt].(*array.TimestampBuilder).Append(at)
	}
	scores := w.out.NewRecord()
	defer scores.Release()
	cols := make([]arrow.Array, 0, schemas.NumScoredColumns)
	cols = append(cols, w.rec.Columns()[:schemas.ColEmbedding]...)
	cols = append(cols, scores.Columns()...)
	return array.NewRecord(schemas.ScoredRows, cols, int64(w.rows)), nil
}
