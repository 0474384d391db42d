package train

import (
	"fmt"
	"time"

	"profilestream/inference/heads"
	"profilestream/inference/score"
	"profilestream/inference/text"
)

// Options steer a training. Zero values mean the defaults.
type Options struct {
	Seed       uint64
	Texts      score.Texts    // rendering of windows and items; text.NewRows()
	Embedder   score.Embedder // nil: the text components are zero
	Folds      int            // of cross-fitting; 4
	TestFolds  int            // parts of the customers that are tested in turn; 4
	Components int            // of the text; 16
	Epochs     int            // most epochs of an MLP; 24
	Rounds     int            // most trees of a forest; 240
	Hidden     int            // units of an MLP; 16
	Trials     int            // settings of boosting tried where no search is asked for; 3
	SGD        bool           // fit MLPs by plain SGD instead of AdamW
	// SearchTrials is the number of settings of MLPs and of boosting to try, each
	// time they are fitted: the listed ones first, then random ones.
	SearchTrials int
	// SearchTime is, instead of a number, a time for all searches together. What
	// is found then depends on how fast the machine is.
	SearchTime time.Duration
	// HalfLifeDays of interests; 21.
	HalfLifeDays float64
	// Control also fits the heads on texts dealt out to other rows, as a control of
	// what text adds: it must add nothing so.
	Control bool
	// Progress is called with the steps done and to do; may be nil.
	Progress func(stage string, done, total int)
	horizon  time.Duration
	fits     int // how many fits, one after the other, share the time of a search
}

func (o *Options) setDefaults() error {
	set(&o.Folds, 4)
	set(&o.TestFolds, 4)
	set(&o.Components, 16)
	set(&o.Epochs, 24)
	set(&o.Rounds, 240)
	set(&o.Hidden, 16)
	set(&o.Trials, 3)
	set(&o.HalfLifeDays, 21)
	set(&o.fits, 2)
	if o.Texts == nil {
		o.Texts = text.NewRows()
	}
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	switch {
	case o.SearchTrials < 0 || o.SearchTime < 0:
		return fmt.Errorf("training: a search of %d trials and %s", o.SearchTrials, o.SearchTime)
	case o.SearchTrials > 0 && o.SearchTime > 0:
		return fmt.Errorf("training: a search of %d trials and of %s: give one", o.SearchTrials, o.SearchTime)
	case o.Folds < 2:
		return fmt.Errorf("training: %d folds, at least 2", o.Folds)
	case o.TestFolds < 2:
		return fmt.Errorf("training: %d folds to test, at least 2", o.TestFolds)
	}
	return nil
}

func set[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// boosts are the settings of boosting in the order they are tried.
var boosts = []heads.BoostOptions{
	{Depth: 3, Rate: .05, Lambda: 5, MinWeight: 5, RowShare: .7, ColShare: .4},
	{Depth: 2, Rate: .08, Lambda: 5, MinWeight: 5, RowShare: .7, ColShare: .4},
	{Depth: 4, Rate: .03, Lambda: 10, MinWeight: 8, RowShare: .6, ColShare: .3},
	{Depth: 3, Rate: .03, Lambda: 20, MinWeight: 12, RowShare: .6, ColShare: .25},
	{Depth: 5, Rate: .02, Lambda: 20, MinWeight: 10, RowShare: .5, ColShare: .2},
}

// compactChurn and compactSpend are the inputs of the compact parts: recency, and
// frequency and money as rates, which keep their meaning as histories grow.
var (
	compactChurn = []string{"log.days_since_last_order", "null.days_since_last_order", "rate.orders_total", "rate.revenue_total", "per.revenue_365d.orders_365d", "lifetime.silent"}
	compactSpend = []string{"log.days_since_last_order", "null.days_since_last_order", "rate.orders_total", "rate.revenue_total", "per.revenue_365d.orders_365d", "lifetime.rhythm", "lifetime.expected", "lifetime.amount", "lifetime.spend"}
)

// penalties are the L2 weights of linear parts, tried in order.
var penalties = []float64{.2, .05, .01, .002}

// How many epochs or trees a fold may go on without a lower held-out loss.
const (
	patientEpochs = 6
	patientRounds = 40
)
