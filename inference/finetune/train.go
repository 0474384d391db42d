package finetune

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"

	"profilestream/inference/finetune/kernel"
)

// Result is a fine-tuned model: the one of the epoch with the lowest validation loss.
type Result struct {
	Model  *Model
	Report *Report
	source string
}

// run is a fine-tuning at work.
type run struct {
	o     *Options
	m     *Model
	d     *data
	state state
	cost  meter
	// identity is what checkpoints are told apart by.
	identity string
}

// state is what a checkpoint holds, beside the parameters.
type state struct {
	Epochs []Epoch `json:"epochs"`
	Step   int     `json:"step"`
	Best   int     `json:"best"` // epoch, from 1; 0: none yet
	best   [][]float32
}

// Run fine-tunes the encoder in dir, a Hugging Face BERT folder, on the examples.
func Run(ctx context.Context, dir string, examples []Example, o Options) (res *Result, err error) {
	if err := o.defaults(); err != nil {
		return nil, err
	}
	e, err := kernel.Open(o.Kernels, o.Threads)
	if err != nil {
		return nil, fmt.Errorf("fine-tuning: %w", err)
	}
	tok, err := openTokenizer(dir)
	if err != nil {
		return nil, fmt.Errorf("fine-tuning: %w", err)
	}
	defer func() { err = errors.Join(err, tok.Close()) }()
	d, err := load(examples, tok, &o)
	if err != nil {
		return nil, fmt.Errorf("fine-tuning: %w", err)
	}
	m, err := OpenModel(dir, len(d.classes), o.Seed, e)
	if err != nil {
		return nil, fmt.Errorf("fine-tuning: %w", err)
	}
	if err := m.checkIDs(d.ids); err != nil {
		return nil, fmt.Errorf("fine-tuning: %w", err)
	}
	for _, p := range m.params {
		p.prepare()
	}
	r := &run{o: &o, m: m, d: d}
	if o.Checkpoint != "" {
		r.identity = r.fingerprint()
	}
	if err := r.resume(); err != nil {
		return nil, err
	}
	if err := r.epochs(ctx); err != nil {
		return nil, err
	}
	r.m.restore(r.state.best)
	_, c, err := r.validate(ctx, r.state.Best)
	if err != nil {
		return nil, err
	}
	return &Result{Model: m, Report: r.report(c), source: dir}, nil
}

// resume reads the checkpoint, if asked to and if it is there.
func (r *run) resume() error {
	if !r.o.Resume {
		return nil
	}
	err := r.read(r.o.Checkpoint)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("resuming: %w", err)
	}
	for _, e := range r.state.Epochs {
		r.o.Epoch(e)
	}
	return nil
}

func (r *run) stepsPerEpoch() int { return (len(r.d.train) + r.o.Batch - 1) / r.o.Batch }

// finished: all epochs are done, or the validation loss has long stopped falling.
func (r *run) finished() bool {
	n := len(r.state.Epochs)
	return n >= r.o.Epochs || n-r.state.Best >= r.o.Patience && n > 0
}

func (r *run) epochs(ctx context.Context) error {
	for !r.finished() {
		r.cost.start()
		n := len(r.state.Epochs) + 1
		e := Epoch{Number: n}
		var err error
		if e.TrainLoss, e.Rate, err = r.pass(ctx, n); err != nil {
			return err
		}
		e.TrainSeconds, e.TrainCPUSeconds = r.cost.total()
		if e.Metrics, _, err = r.validate(ctx, n); err != nil {
			return err
		}
		e.Seconds, e.CPUSeconds = r.cost.total()
		if math.IsNaN(e.TrainLoss) || math.IsNaN(e.Loss) {
			return fmt.Errorf("fine-tuning: the loss of epoch %d is not a number: a lower learning rate is needed", n)
		}
		if r.state.Best == 0 || e.Loss < r.state.Epochs[r.state.Best-1].Loss {
			r.state.Best, r.state.best = n, r.m.copyWeights(r.state.best)
		}
		r.state.Epochs = append(r.state.Epochs, e)
		if r.o.Checkpoint != "" {
			if err := r.write(r.o.Checkpoint); err != nil {
				return fmt.Errorf("writing checkpoint: %w", err)
			}
		}
		r.o.Epoch(e)
	}
	return nil
}

// pass trains on every example once, in a random order.
func (r *run) pass(ctx context.Context, epoch int) (mean, rate float64, err error) {
	n, total := r.stepsPerEpoch(), r.stepsPerEpoch()*r.o.Epochs
	warm := int(r.o.Warmup * float64(total))
	order := permutation(len(r.d.train), r.o.Seed+uint64(epoch)<<32, drawOrder)
	stage := fmt.Sprintf("epoch %d of %d", epoch, r.o.Epochs)
	d := make([]float32, r.o.Batch*len(r.d.classes))
	for i := range n {
		if err := ctx.Err(); err != nil {
			return 0, 0, err
		}
		texts, labels := r.batch(r.d.train, order[i*r.o.Batch:min(len(order), (i+1)*r.o.Batch)])
		r.state.Step++
		z := r.m.forward(texts, dropper{on: true, seed: dropoutSeed(r.o.Seed, r.state.Step)})
		g := d[:len(z)]
		mean += loss(z, labels, g) * float64(len(labels))
		r.m.backward(g)
		factor := schedule(r.state.Step, warm, total)
		rate = r.o.Rate * factor
		r.m.update(rates{body: rate, head: r.o.HeadRate * factor, decay: r.o.Decay, clip: r.o.Clip, step: r.state.Step})
		r.o.Progress(stage, i+1, n)
	}
	return mean / float64(len(order)), rate, nil
}

// dropoutSeed differs in all bits from step to step.
func dropoutSeed(seed uint64, step int) uint64 {
	return kernel.Mix(seed ^ kernel.Mix(uint64(step)<<8|drawDropout))
}

func (r *run) batch(from, picks []int) (texts [][]int32, labels []int) {
	for _, k := range picks {
		texts, labels = append(texts, r.d.ids[from[k]]), append(labels, r.d.labels[from[k]])
	}
	return texts, labels
}

// validate measures the held-out examples.
func (r *run) validate(ctx context.Context, epoch int) (Metrics, confusion, error) {
	stage := fmt.Sprintf("validating epoch %d", epoch)
	c, total := newConfusion(len(r.d.classes)), 0.
	for lo := 0; lo < len(r.d.val); lo += r.o.Batch {
		if err := ctx.Err(); err != nil {
			return Metrics{}, nil, err
		}
		hi := min(len(r.d.val), lo+r.o.Batch)
		var picks []int
		for k := lo; k < hi; k++ {
			picks = append(picks, k)
		}
		texts, labels := r.batch(r.d.val, picks)
		z := r.m.forward(texts, dropper{})
		total += loss(z, labels, make([]float32, len(z))) * float64(len(labels))
		for b, y := range labels {
			c[y][largest(z[b*len(c):(b+1)*len(c)])]++
		}
		r.o.Progress(stage, hi, len(r.d.val))
	}
	return c.metrics(r.d.classes, positiveClass, total/float64(len(r.d.val))), c, nil
}

func largest(z []float32) int {
	best := 0
	for i, v := range z {
		if v > z[best] {
			best = i
		}
	}
	return best
}

// copyWeights copies all parameters into dst, which may be nil.
func (m *Model) copyWeights(dst [][]float32) [][]float32 {
	if dst == nil {
		dst = make([][]float32, len(m.params))
	}
	for i, p := range m.params {
		dst[i] = append(dst[i][:0], p.w...)
	}
	return dst
}

func (m *Model) restore(w [][]float32) {
	for i, p := range m.params {
		copy(p.w, w[i])
	}
}
