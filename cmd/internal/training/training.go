// Package training makes a model bundle from a history: it replays the history
// into rows, labels them, fits the heads and writes the bundle. How the heads
// are fitted and judged is package inference/train's.
package training

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/apache/arrow/go/v17/arrow"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/history"
	"profilestream/cmd/internal/simulate"
	"profilestream/cmd/internal/stage"
	"profilestream/inference/bundle"
	"profilestream/inference/eval"
	"profilestream/inference/train"
)

const day = 24 * time.Hour

// Options say what to train on. Zero values mean the defaults.
type Options struct {
	History string        // see history.Load
	Cutoffs []time.Time   // UTC midnights, rising; four, spread so that the horizon fits
	Horizon time.Duration // of the labels; 90 days, or a third of a shorter history
	Out     string        // folder of the bundle
	Encoder string        // folder of the imported encoder; made from the fetched weights if absent
	Seed    uint64
	Folds   int // see train.Options
	Rounds  int
	SGD     bool
	// SearchTrials and SearchTime bound a search for settings; see train.Options.
	SearchTrials int
	SearchTime   time.Duration
	Control      bool // see train.Options
	// Windows, if set, fine-tunes the encoder on texts of this history first.
	Windows *Windows
	// Progress is called with the steps done and to do of a stage.
	Progress func(stage string, done, total int)
}

// OptionError is an option that cannot be followed, by its flag.
type OptionError struct{ Flag, Reason string }

func (e *OptionError) Error() string { return e.Flag + ": " + e.Reason }

// check finds what is wrong whatever the history.
func (o *Options) check() error {
	switch {
	case o.Folds < 0 || o.Folds == 1:
		return &OptionError{"--folds", fmt.Sprintf("%d, at least 2", o.Folds)}
	case o.Rounds < 0:
		return &OptionError{"--rounds", fmt.Sprintf("%d, at least 1", o.Rounds)}
	case o.Windows != nil && !(o.Windows.Share > 0 && o.Windows.Share < 1):
		return &OptionError{"--finetune-share", fmt.Sprintf("a share of %v of the customers cannot teach the encoder", o.Windows.Share)}
	}
	return nil
}

// Notes of the report that speak of what was read.
const (
	NoteEncoder  = "encoder"
	NoteRejected = "rejected" // records that are no events
)

// Train reads the history, fits the heads and writes the bundle.
func Train(ctx context.Context, cfg *config.Config, o Options) (b *bundle.Bundle, err error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	cost := newMeter(o.Progress)
	o.Progress = cost.step
	h, err := Load(ctx, cfg, o.History, o.Progress)
	if err != nil {
		return nil, err
	}
	if err := o.plan(h); err != nil {
		return nil, err
	}
	o.Progress("replaying", 0, h.Len())
	rows, err := h.RowsAsOf(o.Cutoffs)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, r := range rows {
			r.Release()
		}
	}()
	o.Progress("replaying", h.Len(), h.Len())
	var tuned string
	if o.Windows != nil {
		if rows, tuned, err = o.tuneOnWindows(ctx, h, rows); err != nil {
			return nil, err
		}
	} else if err := stage.ImportEncoder(o.Encoder); err != nil {
		return nil, err
	}
	id, err := stage.EncoderID(o.Encoder)
	if err != nil {
		return nil, err
	}
	enc, err := stage.OpenEncoder(cfg.Model, o.Encoder, id)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, enc.Close()) }()
	d, err := o.dataset(h, rows)
	if err != nil {
		return nil, err
	}
	res, err := train.Train(ctx, d, train.Options{Seed: o.Seed, Embedder: enc, Folds: o.Folds, Rounds: o.Rounds, SGD: o.SGD, SearchTrials: o.SearchTrials, SearchTime: o.SearchTime, Control: o.Control, Progress: o.Progress})
	if err != nil {
		return nil, err
	}
	for name, words := range map[string]string{NoteEncoder: tuned, NoteRejected: h.RejectedWords()} {
		if words != "" {
			res.Report.Notes[name] = words
		}
	}
	if res.JSON, err = res.Report.Encode(); err != nil {
		return nil, err
	}
	c := cost.done()
	texts := enc.Stats()
	c.Events, c.Rows, c.Texts, c.Encoded = h.Len(), len(d.Churn), int64(texts.Texts), int64(texts.Misses)
	return o.write(res, c)
}

// write puts the model, its report and its cost into the bundle.
func (o *Options) write(res *train.Result, cost *eval.Cost) (*bundle.Bundle, error) {
	page, err := res.Report.HTML(cost)
	if err != nil {
		return nil, err
	}
	spent, err := cost.Encode()
	if err != nil {
		return nil, err
	}
	reference, err := res.Reference.Encode()
	if err != nil {
		return nil, err
	}
	return bundle.Write(o.Out, bundle.Contents{Heads: res.Model, Evaluation: res.JSON, Reference: reference, Report: page, Cost: spent, Files: stage.EncoderFiles(o.Encoder)})
}

// dataset labels the rows and gathers the texts that the heads learn from.
func (o *Options) dataset(h *history.History, rows []arrow.Record) (train.Dataset, error) {
	l := h.Labels(rows, o.Horizon)
	d := train.Dataset{
		Rows: rows, Churn: l.Churn, Spend: l.Spend, Horizon: o.Horizon, Groups: h.Groups(rows),
		Category: l.Category, Bought: l.Bought, Returns: l.Returns,
	}
	info, err := os.Stat(o.History)
	if err != nil {
		return d, err
	}
	if info.IsDir() {
		if d.Feedback, err = h.Feedback(filepath.Join(o.History, simulate.FileFeedbackTruth)); err != nil {
			return d, err
		}
		if d.Latent, err = history.Latent(filepath.Join(o.History, simulate.FileTruth), rows); err != nil {
			return d, err
		}
	}
	d.Catalogue, err = h.Catalogue()
	return d, err
}

// plan chooses the horizon and the cut-offs that are not given: the last
// cut-off leaves room for the horizon, three more lie before it.
func (o *Options) plan(h *history.History) error {
	first, last := h.Span()
	if o.Horizon == 0 {
		o.Horizon = min(90*day, max(day, (last.Sub(first)/3).Truncate(day)))
	}
	if len(o.Cutoffs) > 0 {
		return o.reach(last)
	}
	end := last.Add(time.Millisecond).Add(-o.Horizon).Truncate(day)
	step := max(day, (end.Sub(first) / 5).Truncate(day))
	for i := 3; i >= 0; i-- {
		if c := end.Add(-time.Duration(i) * step); c.After(first) {
			o.Cutoffs = append(o.Cutoffs, c)
		}
	}
	if len(o.Cutoffs) == 0 {
		return fmt.Errorf("the history from %s to %s is too short for a horizon of %s", first.Format(time.DateOnly), last.Format(time.DateOnly), o.Horizon)
	}
	return nil
}

// reach refuses cut-offs whose horizon the history does not hold: who buys after
// its end would be taught as one who left. A history seldom ends with an event at
// its last moment, so a tenth of the horizon may be missing.
func (o *Options) reach(last time.Time) error {
	end := last.Truncate(day).Add(day)
	latest := end.Add(o.Horizon / 10).Add(-o.Horizon).Truncate(day)
	if c := o.Cutoffs[len(o.Cutoffs)-1]; c.After(latest) {
		return &OptionError{"--cutoffs", fmt.Sprintf("the horizon of %g days after %s is not in the history, which ends on %s: the last cut-off that it can label is %s",
			o.Horizon.Hours()/24, c.Format(time.DateOnly), last.Format(time.DateOnly), latest.Format(time.DateOnly))}
	}
	return nil
}
