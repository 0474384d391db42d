package train

import (
	"context"
	"math"

	"profilestream/inference/heads"
)

// problem is one target on one matrix of inputs.
type problem struct {
	x    *heads.Matrix
	y    []float64
	fold []int
	loss heads.Loss
	mlp  bool // fit an MLP too
}

// fitted is an ensemble fitted on all rows, and what its parts, fitted without a
// row's customer, say about that row.
type fitted struct {
	ensemble heads.Ensemble
	held     []float64                 // of the mix
	parts    [heads.NumParts][]float64 // of each part; nil where absent
}

// crossfit chooses every part's size on held-out folds, mixes the held-out
// scores, and fits each part again on all rows.
func crossfit(ctx context.Context, p *problem, o *Options, step func()) (*fitted, error) {
	f := &fitted{}
	if err := p.linear(ctx, f); err != nil {
		return nil, err
	}
	step()
	if p.mlp {
		if err := p.hidden(ctx, o, f); err != nil {
			return nil, err
		}
		step()
	}
	if err := p.forest(ctx, o, f, step); err != nil {
		return nil, err
	}
	f.mix(p)
	return f, nil
}

// sides gives the rows outside and inside a fold.
func (p *problem) sides(k int) (fit, held []int) {
	for i, f := range p.fold {
		if f == k {
			held = append(held, i)
		} else {
			fit = append(fit, i)
		}
	}
	return fit, held
}

func (p *problem) numFolds() int {
	n := 0
	for _, f := range p.fold {
		n = max(n, f+1)
	}
	return n
}

// linear chooses the penalty with the least held-out loss. Each fold goes from
// the strongest to the weakest, every search beginning where the last ended.
func (p *problem) linear(ctx context.Context, f *fitted) error {
	held := make([][]float64, len(penalties))
	for n := range held {
		held[n] = make([]float64, len(p.y))
	}
	for k := range p.numFolds() {
		in, out := p.sides(k)
		if len(in) == 0 || len(out) == 0 {
			continue
		}
		xi, yi, xo, z := p.x.Select(in), pick(p.y, in), p.x.Select(out), make([]float64, len(out))
		var m *heads.Linear
		for n, l2 := range penalties {
			var err error
			if m, err = heads.FitLinear(ctx, xi, yi, p.loss, l2, m); err != nil {
				return err
			}
			m.Score(xo, z)
			scatter(held[n], z, out)
		}
	}
	best, at := math.Inf(1), 0
	for n := range held {
		if l := p.loss.Mean(held[n], p.y); l < best {
			best, at = l, n
		}
	}
	f.parts[heads.PartLinear] = held[at]
	m, err := heads.FitLinear(ctx, p.x, p.y, p.loss, penalties[at], nil)
	if err != nil {
		return err
	}
	f.ensemble.Linear = *m
	return nil
}

func scatter(dst, v []float64, at []int) {
	for k, i := range at {
		dst[i] = v[k]
	}
}

// hidden fits the MLP; the number of epochs is the one with the least held-out
// loss over all folds.
func (p *problem) hidden(ctx context.Context, o *Options, f *fitted) error {
	opt := heads.MLPOptions{Hidden: o.Hidden, Epochs: o.Epochs, Batch: 128, Rate: 2e-3, WeightDecay: .05, Dropout: .3, Seed: o.Seed}
	byEpoch := newTrace(o.Epochs, len(p.y))
	for k := range p.numFolds() {
		in, out := p.sides(k)
		if len(in) == 0 || len(out) == 0 {
			continue
		}
		xo, yo, z := p.x.Select(out), pick(p.y, out), make([]float64, len(out))
		var hidden heads.Matrix
		watch := newWatch(patientEpochs)
		_, err := heads.FitMLP(ctx, p.x.Select(in), pick(p.y, in), p.loss, opt, func(n int, m *heads.MLP) bool {
			m.Score(xo, &hidden, z)
			byEpoch.put(n, z, out)
			return watch.on(n, p.loss.Mean(z, yo))
		})
		if err != nil {
			return err
		}
		byEpoch.extend(watch.last, out)
	}
	n, held, _ := byEpoch.best(p)
	f.parts[heads.PartMLP] = held
	opt.Epochs = n
	m, err := heads.FitMLP(ctx, p.x, p.y, p.loss, opt, nil)
	if err != nil {
		return err
	}
	f.ensemble.MLP = m
	return nil
}

// forest tries some settings of boosting and keeps the one, and the number of
// trees, with the least held-out loss.
func (p *problem) forest(ctx context.Context, o *Options, f *fitted, step func()) error {
	best, rounds := math.Inf(1), 0
	var opt heads.BoostOptions
	bins := heads.Bin(p.x)
	for _, b := range boosts[:min(o.Trials, len(boosts))] {
		b.Seed, b.Rounds = o.Seed, o.Rounds
		byRound := newTrace(o.Rounds, len(p.y))
		for k := range p.numFolds() {
			in, out := p.sides(k)
			if len(in) == 0 || len(out) == 0 {
				continue
			}
			yo, watch := pick(p.y, out), newWatch(patientRounds)
			_, err := heads.FitForest(ctx, bins, p.y, in, p.loss, b, func(n int, all []float64) bool {
				z := pick(all, out)
				byRound.put(n, z, out)
				return watch.on(n, p.loss.Mean(z, yo))
			})
			if err != nil {
				return err
			}
			byRound.extend(watch.last, out)
		}
		n, held, loss := byRound.best(p)
		if loss < best {
			best, rounds, opt, f.parts[heads.PartForest] = loss, n, b, held
		}
		step()
	}
	opt.Rounds = rounds
	all := make([]int, len(p.y))
	for i := range all {
		all[i] = i
	}
	forest, err := heads.FitForest(ctx, bins, p.y, all, p.loss, opt, nil)
	if err != nil {
		return err
	}
	f.ensemble.Forest = *forest
	return nil
}

// watch ends a fold's training when its held-out loss has not fallen for long.
type watch struct {
	best           float64
	at, last, wait int
}

func newWatch(wait int) *watch { return &watch{best: math.Inf(1), wait: wait} }

func (w *watch) on(step int, loss float64) (goOn bool) {
	w.last = step
	if loss < w.best {
		w.best, w.at = loss, step
	}
	return step-w.at < w.wait
}

// trace holds the held-out scores after each epoch or round, in float32 to
// bound its memory. A fold that ended early keeps its last scores.
type trace struct{ score [][]float32 }

func newTrace(steps, rows int) *trace {
	t := &trace{score: make([][]float32, steps)}
	for i := range t.score {
		t.score[i] = make([]float32, rows)
	}
	return t
}

func (t *trace) put(step int, z []float64, at []int) {
	for k, i := range at {
		t.score[step-1][i] = float32(z[k])
	}
}

// extend repeats the scores of the last step of a fold.
func (t *trace) extend(last int, at []int) {
	for n := last; n < len(t.score); n++ {
		for _, i := range at {
			t.score[n][i] = t.score[last-1][i]
		}
	}
}

// best is the step with the least loss over all rows.
func (t *trace) best(p *problem) (step int, held []float64, loss float64) {
	loss = math.Inf(1)
	z := make([]float64, len(p.y))
	for n := range t.score {
		for i, v := range t.score[n] {
			z[i] = float64(v)
		}
		if l := p.loss.Mean(z, p.y); l < loss {
			step, loss = n+1, l
			held = append(held[:0], z...)
		}
	}
	return step, held, loss
}

// nearBest is how far above the least held-out loss a mix may lie to count.
const nearBest = .001

// mix weighs the parts by their held-out loss: the mean of all weights on a grid
// of tenths whose loss is near the least. The single best point would follow the
// noise of the folds.
func (f *fitted) mix(p *problem) {
	z := make([]float64, len(p.y))
	var grid [][heads.NumParts]float64
	var losses []float64
	best := math.Inf(1)
	for a := 0; a <= 10; a++ {
		for b := 0; a+b <= 10; b++ {
			if b > 0 && f.parts[heads.PartMLP] == nil {
				break
			}
			w := [heads.NumParts]float64{float64(a) / 10, float64(b) / 10, float64(10-a-b) / 10}
			f.blend(w, z)
			l := p.loss.Mean(z, p.y)
			grid, losses, best = append(grid, w), append(losses, l), min(best, l)
		}
	}
	var n float64
	var sum [heads.NumParts]float64
	for g, w := range grid {
		if losses[g] <= best+nearBest {
			n++
			for k := range sum {
				sum[k] += w[k]
			}
		}
	}
	for k := range sum {
		f.ensemble.Mix[k] = sum[k] / n
	}
	f.held = make([]float64, len(p.y))
	f.blend(f.ensemble.Mix, f.held)
}

func (f *fitted) blend(w [heads.NumParts]float64, dst []float64) {
	clear(dst)
	for k, part := range f.parts {
		if w[k] == 0 {
			continue
		}
		for i, v := range part {
			dst[i] += w[k] * v
		}
	}
}
