package train

import (
	"math"
	"math/rand/v2"
	"time"

	"profilestream/inference/heads"
)

// draw makes the n-th random settings of a seed; the same n gives the same
// settings whatever was drawn before.
type draw struct{ *rand.Rand }

func newDraw(seed uint64, n int) draw { return draw{rand.New(rand.NewPCG(seed, uint64(n)))} }

// log draws between two positive bounds, evenly in the logarithm.
func (d draw) log(low, high float64) float64 {
	return math.Exp(math.Log(low) + d.Float64()*math.Log(high/low))
}

func (d draw) even(low, high float64) float64 { return low + d.Float64()*(high-low) }

// boost is the n-th setting of boosting to try: first the listed ones, then
// random ones around them.
func (o *Options) boost(n int) heads.BoostOptions {
	b := heads.BoostOptions{}
	if n < len(boosts) {
		b = boosts[n]
	} else {
		d := newDraw(o.Seed^0x626f6f7374, n)
		b = heads.BoostOptions{Depth: 2 + d.IntN(4), Rate: d.log(.015, .1), Lambda: d.log(1, 40), MinWeight: d.log(2, 30), RowShare: d.even(.4, .9), ColShare: d.even(.15, .7)}
	}
	b.Seed, b.Rounds = o.Seed, o.Rounds
	return b
}

// sgdRate is how much larger plain SGD's steps are than AdamW's.
const sgdRate = 50

// mlp is the n-th setting of MLPs to try: first the default, then random ones.
func (o *Options) mlp(n int) heads.MLPOptions {
	m := heads.MLPOptions{Hidden: o.Hidden, Rate: 2e-3, WeightDecay: .05, Dropout: .3, SGD: o.SGD}
	if n > 0 {
		d := newDraw(o.Seed^0x6d6c70, n)
		m = heads.MLPOptions{Hidden: 8 << d.IntN(3), Rate: d.log(5e-4, 8e-3), WeightDecay: d.log(.005, .3), Dropout: d.even(0, .5), SGD: o.SGD || d.Float64() < .25}
	}
	if m.SGD {
		m.Rate, m.WeightDecay = m.Rate*sgdRate, m.WeightDecay/sgdRate
	}
	m.Epochs, m.Batch, m.Seed = o.Epochs, 128, o.Seed
	return m
}

// races of one set of heads: MLPs of churn, trees of churn and of spending.
const numRaces = 3

// treeBudget and mlpBudget are what one race may spend.
func (o *Options) treeBudget() budget { return o.budget(o.Trials) }
func (o *Options) mlpBudget() budget  { return o.budget(1) }

func (o *Options) budget(usual int) budget {
	switch {
	case o.SearchTime > 0:
		return budget{time: max(1, o.SearchTime/time.Duration(o.fits*numRaces*o.sets()))}
	case o.SearchTrials > 0:
		return budget{trials: o.SearchTrials}
	}
	return budget{trials: usual}
}
