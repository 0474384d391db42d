package train

import (
	"context"
	"math"

	"profilestream/inference/heads"
)

// linear chooses the penalty with the least held-out loss. Each fold goes from
// the strongest to the weakest, every search beginning where the last ended.
func (p *problem) linear(ctx context.Context, f *fitted) error {
	held := make([][]float64, len(penalties))
	for n := range held {
		held[n] = make([]float64, len(p.y))
	}
	err := p.each(ctx, func(ctx context.Context, at *fold) error {
		xi, yi, xo, z := p.even.Select(at.in), pick(p.y, at.in), p.even.Select(at.out), make([]float64, len(at.out))
		var m *heads.Linear
		for n, l2 := range penalties {
			var err error
			if m, err = heads.FitLinear(ctx, xi, yi, p.loss, l2, m); err != nil {
				return err
			}
			m.Score(xo, z)
			scatter(held[n], z, at.out)
		}
		return nil
	})
	if err != nil {
		return err
	}
	best, at := math.Inf(1), 0
	for n := range held {
		if l := p.loss.Mean(held[n], p.y); l < best {
			best, at = l, n
		}
	}
	f.parts[heads.PartLinear] = held[at]
	m, err := heads.FitLinear(ctx, p.even, p.y, p.loss, penalties[at], nil)
	if err != nil {
		return err
	}
	if p.shrink != nil {
		for j := range m.Weights {
			m.Weights[j] *= p.shrink[j]
		}
	}
	f.ensemble.Linear = *m
	return nil
}

func scatter(dst, v []float64, at []int) {
	for k, i := range at {
		dst[i] = v[k]
	}
}

// compactPenalty is the L2 weight of the compact part, which has too few inputs
// to need more.
const compactPenalty = 1e-3

// small fits a linear part on a few inputs that any business has. With little to
// learn from, and after the inputs have drifted, it is the steadiest of all.
func (p *problem) small(ctx context.Context, f *fitted) error {
	x := heads.NewMatrix(p.x.Rows, len(p.compact))
	for i := range x.Rows {
		from, to := p.x.Row(i), x.Row(i)
		for k, j := range p.compact {
			to[k] = from[j]
		}
	}
	held := make([]float64, len(p.y))
	err := p.each(ctx, func(ctx context.Context, at *fold) error {
		m, err := heads.FitLinear(ctx, x.Select(at.in), pick(p.y, at.in), p.loss, compactPenalty, nil)
		if err != nil {
			return err
		}
		z := make([]float64, len(at.out))
		m.Score(x.Select(at.out), z)
		scatter(held, z, at.out)
		return nil
	})
	if err != nil {
		return err
	}
	f.parts[partCompact] = held
	m, err := heads.FitLinear(ctx, x, p.y, p.loss, compactPenalty, nil)
	if err != nil {
		return err
	}
	f.compact = heads.Linear{Weights: make([]float32, p.x.Cols), Bias: m.Bias}
	for k, j := range p.compact {
		f.compact.Weights[j] = m.Weights[k]
	}
	return nil
}

// hidden fits a bag of MLPs; setting and number of epochs are those with the
// least held-out loss.
func (p *problem) hidden(ctx context.Context, o *Options, f *fitted, step func()) error {
	r := &racer[heads.MLPOptions]{p: p, budget: o.mlpBudget(), setting: o.mlp, fit: p.bag, step: step}
	won, err := r.run(ctx)
	if err != nil {
		return err
	}
	opt := won.setting
	opt.Epochs, f.parts[heads.PartMLP] = p.best(won.scores)
	m, err := p.bagged(ctx, opt)
	if err != nil {
		return err
	}
	if p.shrink != nil {
		for i := range m.W1 {
			m.W1[i] *= p.shrink[i%p.x.Cols]
		}
	}
	f.ensemble.MLP = m
	return nil
}

// members is the size of the bag: the mean of some MLPs depends less on the
// seed than any of them.
const members = 2

func member(o heads.MLPOptions, n int) heads.MLPOptions {
	o.Seed += uint64(n) << 32
	return o
}

// bagged fits the bag on all rows.
func (p *problem) bagged(ctx context.Context, opt heads.MLPOptions) (_ *heads.MLP, err error) {
	bag := make([]*heads.MLP, members)
	for m := range bag {
		if bag[m], err = heads.FitMLP(ctx, p.even, p.y, p.loss, member(opt, m), nil); err != nil {
			return nil, err
		}
	}
	return heads.Bag(bag), nil
}

// bag fits the MLPs of a bag on a fold and gives their mean score after each
// epoch.
func (p *problem) bag(ctx context.Context, opt heads.MLPOptions, f *fold) ([][]float32, error) {
	xi, yi, xo, yo := p.even.Select(f.in), pick(p.y, f.in), p.even.Select(f.out), pick(p.y, f.out)
	var sums [][]float32
	for m := range members {
		scores, err := p.epochs(ctx, member(opt, m), xi, yi, xo, yo)
		if err != nil {
			return nil, err
		}
		if sums == nil {
			sums = make([][]float32, opt.Epochs)
		}
		for n := range sums {
			if sums[n] == nil {
				sums[n] = make([]float32, len(f.out))
			}
			// A member that stopped early stays as it was.
			for i, v := range scores[min(n, len(scores)-1)] {
				sums[n][i] += float32(v / members)
			}
		}
	}
	return sums, nil
}

// epochs fits one MLP and gives its held-out scores after each epoch, until the
// loss has not fallen for long.
func (p *problem) epochs(ctx context.Context, opt heads.MLPOptions, xi *heads.Matrix, yi []float64, xo *heads.Matrix, yo []float64) ([][]float64, error) {
	var out [][]float64
	var hidden heads.Matrix
	watch := newWatch(patientEpochs)
	_, err := heads.FitMLP(ctx, xi, yi, p.loss, opt, func(n int, m *heads.MLP) bool {
		z := make([]float64, len(yo))
		m.Score(xo, &hidden, z)
		out = append(out, z)
		return watch.on(n, p.loss.Mean(z, yo))
	})
	return out, err
}

// forest fits boosted trees; setting and number of trees are those with the
// least held-out loss.
func (p *problem) forest(ctx context.Context, o *Options, f *fitted, step func()) error {
	bins := heads.Bin(p.x)
	fit := func(ctx context.Context, b heads.BoostOptions, f *fold) (scores [][]float32, err error) {
		yo, watch := pick(p.y, f.out), newWatch(patientRounds)
		_, err = heads.FitForest(ctx, bins, p.y, f.in, p.loss, b, func(n int, all []float64) bool {
			z := pick(all, f.out)
			kept := make([]float32, len(z))
			for i, v := range z {
				kept[i] = float32(v)
			}
			scores = append(scores, kept)
			return watch.on(n, p.loss.Mean(z, yo))
		})
		return scores, err
	}
	r := &racer[heads.BoostOptions]{p: p, budget: o.treeBudget(), setting: o.boost, fit: fit, step: step}
	won, err := r.run(ctx)
	if err != nil {
		return err
	}
	opt := won.setting
	opt.Rounds, f.parts[heads.PartForest] = p.best(won.scores)
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
