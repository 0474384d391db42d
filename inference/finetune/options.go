package finetune

import (
	"fmt"

	"profilestream/inference/token"
)

// Options steer a run. Zero values mean the defaults, in brackets.
type Options struct {
	Epochs    int     // most passes over the examples [3]
	Batch     int     // examples a step [32]
	Rate      float64 // peak learning rate of the encoder [1e-5]
	HeadRate  float64 // peak learning rate of the classifier, which starts from nothing [1e-3]
	Decay     float64 // weight decay of matrices [0.01]; negative: none
	Warmup    float64 // share of the steps in which the rate rises [0.1]; negative: none
	Clip      float64 // greatest norm of the gradient [1]; negative: none
	MaxLength int     // tokens of a text, its special ones included [128]
	ValShare  float64 // share of the examples held out [0.2]
	Patience  int     // epochs without a lower validation loss before the run stops [2]
	Seed      uint64

	Checkpoint string // file written after each epoch; empty: none
	Resume     bool   // go on from Checkpoint if it is there
	Kernels    string // of package kernel [auto]
	Threads    int    // [one a CPU]

	// Progress is called with the steps done and to do of a stage; may be nil.
	Progress func(stage string, done, total int)
	// Epoch is called after each epoch, with those of a resumed run first; may be nil.
	Epoch func(Epoch)
}

func set[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// defaults fills in what is not given; errors name what is out of range.
func (o *Options) defaults() error {
	set(&o.Epochs, 3)
	set(&o.Batch, 32)
	set(&o.Rate, 1e-5)
	set(&o.HeadRate, 1e-3)
	set(&o.Decay, .01)
	set(&o.Warmup, .1)
	set(&o.Clip, 1)
	set(&o.MaxLength, token.MaxTokens)
	set(&o.ValShare, .2)
	set(&o.Patience, 2)
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	if o.Epoch == nil {
		o.Epoch = func(Epoch) {}
	}
	for _, c := range []struct {
		name      string
		v, lo, hi float64
	}{
		{"epochs", float64(o.Epochs), 1, 1e4}, {"batch", float64(o.Batch), 1, 1 << 16},
		{"learning rate", o.Rate, 1e-12, 1}, {"learning rate of the head", o.HeadRate, 1e-12, 1},
		{"decay", o.Decay, -1, 1}, {"warm-up", o.Warmup, -1, 1},
		{"max length", float64(o.MaxLength), 3, token.MaxTokens}, {"validation share", o.ValShare, .01, .9},
		{"patience", float64(o.Patience), 1, 1e4}, {"threads", float64(o.Threads), 0, 1024},
	} {
		if !(c.v >= c.lo && c.v <= c.hi) {
			return fmt.Errorf("fine-tuning: %s: %g is outside %g..%g", c.name, c.v, c.lo, c.hi)
		}
	}
	o.Decay, o.Warmup, o.Clip = max(o.Decay, 0), max(o.Warmup, 0), max(o.Clip, 0)
	return nil
}
