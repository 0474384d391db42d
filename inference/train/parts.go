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
	err := p.each(ctx, func(ctx context.Context, _ int, in, out []int) error {
		xi, yi, xo, z := p.even.Select(in), pick(p.y, in), p.even.Select(out), make([]float64, len(out))
		var m *heads.Linear
		for n, l2 := range penalties {
			var err error
			if m, err = heads.FitLinear(ctx, xi, yi, p.loss, l2, m); err != nil {
				return err
			}
			m.Score(xo, z)
			scatter(held[n], z, out)
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
	err := p.each(ctx, func(ctx context.Context, _ int, in, out []int) error {
		m, err := heads.FitLinear(ctx, x.Select(in), pick(p.y, in), p.loss, compactPenalty, nil)
		if err != nil {
			return err
		}
		z := make([]float64, len(out))
		m.Score(x.Select(out), z)
		scatter(held, z, out)
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

// hidden fits a bag of MLPs; the number of epochs is the one with the least
// held-out loss over all folds.
func (p *problem) hidden(ctx context.Context, o *Options, f *fitted) error {
	opt := o.mlp()
	byEpoch := newTrace(opt.Epochs, len(p.y))
	err := p.each(ctx, func(ctx context.Context, _ int, in, out []int) error {
		xi, yi, xo, yo := p.even.Select(in), pick(p.y, in), p.even.Select(out), pick(p.y, out)
		sums := make([][]float64, opt.Epochs)
		for m := range members {
			scores, err := p.epochs(ctx, opt, uint64(m), xi, yi, xo, yo)
			if err != nil {
				return err
			}
			for n, z := range scores {
				if m == 0 {
					sums[n] = make([]float64, len(out))
				}
				for i, v := range z {
					sums[n][i] += v / members
				}
			}
		}
		for n, z := range sums {
			byEpoch.put(n+1, z, out)
		}
		return nil
	})
	if err != nil {
		return err
	}
	n, held, _ := byEpoch.best(p)
	f.parts[heads.PartMLP] = held
	opt.Epochs = n
	bag := make([]*heads.MLP, members)
	for m := range bag {
		opt.Seed = memberSeed(o.Seed, uint64(m))
		if bag[m], err = heads.FitMLP(ctx, p.even, p.y, p.loss, opt, nil); err != nil {
			return err
		}
	}
	m := heads.Bag(bag)
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

func memberSeed(seed, member uint64) uint64 { return seed + member<<32 }

// epochs fits one MLP and returns its held-out scores after each epoch. After a
// patient wait for a lower loss they stay as they are.
func (p *problem) epochs(ctx context.Context, opt heads.MLPOptions, member uint64, xi *heads.Matrix, yi []float64, xo *heads.Matrix, yo []float64) ([][]float64, error) {
	opt.Seed = memberSeed(opt.Seed, member)
	out := make([][]float64, 0, opt.Epochs)
	var hidden heads.Matrix
	watch := newWatch(patientEpochs)
	_, err := heads.FitMLP(ctx, xi, yi, p.loss, opt, func(n int, m *heads.MLP) bool {
		z := make([]float64, len(yo))
		m.Score(xo, &hidden, z)
		out = append(out, z)
		return watch.on(n, p.loss.Mean(z, yo))
	})
	for len(out) > 0 && len(out) < opt.Epochs {
		out = append(out, out[len(out)-1])
	}
	return out, err
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
		err := p.each(ctx, func(ctx context.Context, _ int, in, out []int) error {
			yo, watch := pick(p.y, out), newWatch(patientRounds)
			_, err := heads.FitForest(ctx, bins, p.y, in, p.loss, b, func(n int, all []float64) bool {
				z := pick(all, out)
				byRound.put(n, z, out)
				return watch.on(n, p.loss.Mean(z, yo))
			})
			byRound.extend(watch.last, out)
			return err
		})
		if err != nil {
			return err
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
