package train

import (
	"context"
	"math/rand/v2"
	"slices"

	"profilestream/inference/eval"
	"profilestream/inference/features"
	"profilestream/inference/heads"
)

// numbersAlone names the model that the latent comparison refers to.
const numbersAlone = "numbers alone"

// latent compares what the models say of the test rows with the simulator's
// truth; nil where there is none.
func (t *tasks) latent(outs []*outcome, test []int, said *eval.Test) *eval.LatentTask {
	l := t.d.Latent
	if l == nil {
		return nil
	}
	churn := slices.Concat([]eval.Prediction{said.Model}, said.Baselines, said.Variants)
	value := slices.Concat([]eval.Prediction{said.Value}, said.ValueBaselines, said.ValueVariants)
	if t.o.Control {
		const name = "numbers and text of others"
		churn = append(churn, eval.Prediction{Name: name, Score: pool(outs, func(u *outcome) []float64 { return u.tasks.control.churn })})
		value = append(value, eval.Prediction{Name: name, Score: pool(outs, func(u *outcome) []float64 { return u.tasks.control.value })})
	}
	var known, rows []int // place among the test rows, and row
	for k, i := range test {
		if l.Known[i] {
			known, rows = append(known, k), append(rows, i)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	for _, ps := range [][]eval.Prediction{churn, value} {
		for k := range ps {
			ps[k].Score = pick(ps[k].Score, known)
		}
	}
	gone, _ := numbers(l.Gone, rows)
	return eval.Latent(churn, value, gone, pick(l.Spend, rows), pick(t.s.users, rows), numbersAlone, t.o.Seed)
}

// dealt is the same tasks with what the encoder reads dealt out to other rows:
// entries without a listed category, and the windows' texts.
func (t *tasks) dealt() *tasks {
	var rows []int
	for i, c := range t.label {
		if c >= 0 {
			rows = append(rows, i)
		}
	}
	rng := rand.New(rand.NewPCG(t.o.Seed, 0x6465616c))
	s, out := *t.s, *t
	s.embeddings, out.sights, out.s = slices.Clone(t.s.embeddings), slices.Clone(t.sights), &s
	for k, from := range rng.Perm(len(rows)) {
		own, other := rows[k], rows[from]
		s.embeddings[own] = t.s.embeddings[other]
		out.sights[own] = nil
		for _, e := range t.sights[own] {
			if e.Category >= 0 {
				out.sights[own] = append(out.sights[own], e)
			}
		}
		for _, e := range t.sights[other] {
			if e.Category < 0 {
				out.sights[own] = append(out.sights[own], e)
			}
		}
	}
	return &out
}

// othersNext says of the test rows what a head fitted on texts of others does;
// nil where there is none.
func (t *tasks) othersNext(ctx context.Context, m *heads.Model, sp *split) ([][]float64, error) {
	f, err := t.others.fitNext(ctx, m, sp.train)
	if err != nil {
		return nil, err
	}
	n, err := t.others.predictNext(m, f, sp.test)
	if n == nil {
		return nil, err
	}
	return n.read, err
}

// control fits churn and spending on numbers and the texts of other rows, and
// says what that makes of the test rows.
func (t *tasks) control(ctx context.Context, m *learnt, sp *split, step func()) (*scores, error) {
	rng := rand.New(rand.NewPCG(t.o.Seed, 0x636f6e74))
	dealt := func(rows []int) (*heads.Matrix, error) {
		x, err := t.s.inputs(m.Model, rows)
		if err != nil {
			return nil, err
		}
		n := len(features.Inputs)
		rng.Shuffle(x.Rows, func(a, b int) {
			for j := n; j < x.Cols; j++ {
				x.Row(a)[j], x.Row(b)[j] = x.Row(b)[j], x.Row(a)[j]
			}
		})
		return x, nil
	}
	x, err := dealt(sp.train)
	if err != nil {
		return nil, err
	}
	var set heads.Set
	y := &targets{
		churn: pick(t.s.churn, sp.train), spend: pick(t.s.spend, sp.train), cutoff: pick(t.s.cutoff, sp.train),
		fold: t.s.folds(sp.train, t.o.Folds, t.o.Seed),
	}
	if _, err := y.fit(ctx, &set, x, t.o, step); err != nil {
		return nil, err
	}
	if x, err = dealt(sp.test); err != nil {
		return nil, err
	}
	return newScores(&set, x), nil
}
