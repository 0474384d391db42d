package train

import (
	"context"
	"fmt"
	"math"

	"github.com/zeebo/xxh3"

	"profilestream/inference/eval"
	"profilestream/inference/heads"
	"profilestream/schemas"
)

// embedChunk bounds one call of the embedder.
const embedChunk = 512

// embed gives the texts' embeddings, telling step after each chunk.
func embed(ctx context.Context, o *Options, texts []string, done func(n int)) ([][]float32, error) {
	out := make([][]float32, 0, len(texts))
	for lo := 0; lo < len(texts); lo += embedChunk {
		hi := min(lo+embedChunk, len(texts))
		v, err := o.Embedder.Embed(ctx, texts[lo:hi])
		if err != nil {
			return nil, fmt.Errorf("training: embedding texts: %w", err)
		}
		out = append(out, v...)
		if done != nil {
			done(hi)
		}
	}
	return out, nil
}

// maxFeedback bounds the texts that sentiment learns from: more teach a linear
// head little and cost the encoder's time.
const maxFeedback = 1500

// sentiment fits the mood of texts and measures it, beside a list of words, on
// folds by text, so that no text teaches its own test. It is nil where that does
// not work. The map has the mood of each text learned from, as told without it.
func sentiment(ctx context.Context, texts []Labelled, o *Options) (*heads.Sentiment, map[string]float32, *eval.MoodTask, error) {
	if n := len(texts); n > maxFeedback {
		kept := make([]Labelled, maxFeedback)
		for i := range kept {
			kept[i] = texts[i*n/maxFeedback] // evenly spread
		}
		texts = kept
	}
	words, y, fold := make([]string, len(texts)), make([]float64, len(texts)), make([]int, len(texts))
	var pos float64
	for i, t := range texts {
		words[i] = t.Text
		fold[i] = int(xxh3.HashStringSeed(t.Text, o.Seed) % uint64(o.Folds))
		if t.Positive {
			y[i] = 1
			pos++
		}
	}
	if pos < 5 || float64(len(y))-pos < 5 {
		return nil, nil, nil, nil
	}
	v, err := embed(ctx, o, words, nil)
	if err != nil {
		return nil, nil, nil, err
	}
	x := matrix(v, o.Embedder.Dim())
	p := &problem{x: x, y: y, fold: fold, loss: heads.Logistic}
	p.prepare()
	f := &fitted{}
	if err := p.linear(ctx, f); err != nil {
		return nil, nil, nil, err
	}
	held := f.parts[heads.PartLinear]
	c := heads.FitPlatt(held, y)
	if c.A == 0 {
		return nil, nil, nil, nil // too few texts to tell their moods apart
	}
	unseen := make(map[string]float32, len(words))
	prob, listed := make([]float64, len(held)), make([]float64, len(held))
	for i, z := range held {
		prob[i], listed[i] = c.Probability(z), wordMood(words[i])
		unseen[words[i]] = float32(2*prob[i] - 1)
	}
	measured := eval.Moods([]eval.Prediction{{Name: "list of words", Score: listed}, {Name: "model", Score: prob}}, y, words, o.Seed)
	return &heads.Sentiment{Linear: f.ensemble.Linear, Calibration: *c}, unseen, &eval.MoodTask{Texts: len(y), Models: measured}, nil
}

// maxProducts bounds the products that stand for a category.
const maxProducts = 24

// interests places every category at the mean of its products' embeddings and
// chooses how sharply an item belongs to the nearest.
func interests(ctx context.Context, cs []Category, o *Options) (heads.Interests, error) {
	n := heads.Interests{HalfLifeDays: o.HalfLifeDays, Sharpness: 10, Kinds: kindWeights()}
	if len(cs) == 0 {
		return n, nil
	}
	var texts []string
	var owner []int
	for c, cat := range cs {
		n.Categories = append(n.Categories, cat.Name)
		products := cat.Products[:min(len(cat.Products), maxProducts)]
		if len(products) == 0 {
			products = []string{""}
		}
		for _, p := range products {
			texts, owner = append(texts, o.Texts.Item(p, cat.Name)), append(owner, c)
		}
	}
	v, err := embed(ctx, o, texts, nil)
	if err != nil {
		return n, err
	}
	d := o.Embedder.Dim()
	sums := make([][]float64, len(cs))
	for c := range sums {
		sums[c] = make([]float64, d)
	}
	for i, e := range v {
		for j, x := range e {
			sums[owner[i]][j] += float64(x)
		}
	}
	n.Embeddings = make([]float32, len(cs)*d)
	for c, s := range sums {
		var norm float64
		for _, x := range s {
			norm += x * x
		}
		if norm = math.Sqrt(norm); norm == 0 {
			norm = 1
		}
		for j, x := range s {
			n.Embeddings[c*d+j] = float32(x / norm)
		}
	}
	n.Sharpness = sharpest(n, v, owner)
	return n, nil
}

// sharpest has the least log loss of telling products their category.
func sharpest(n heads.Interests, items [][]float32, owner []int) float32 {
	best, at := math.Inf(1), n.Sharpness
	p := make([]float32, len(n.Categories))
	for _, s := range []float32{5, 10, 20, 30, 45, 60} {
		n.Sharpness = s
		var loss float64
		for i, e := range items {
			n.Affinity(e, p)
			loss -= math.Log(math.Max(1e-9, float64(p[owner[i]])))
		}
		if loss < best {
			best, at = loss, s
		}
	}
	return at
}

// kindWeights says what each kind of entry counts for interests.
func kindWeights() []float64 {
	w := make([]float64, schemas.RecentAdClick+1)
	w[schemas.RecentView] = 1
	w[schemas.RecentCart] = 2
	w[schemas.RecentPurchase] = 3
	w[schemas.RecentSearch] = 1
	w[schemas.RecentAdClick] = .5
	return w
}
