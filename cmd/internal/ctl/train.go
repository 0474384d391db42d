package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/spf13/cobra"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/history"
	"profilestream/cmd/internal/simulate"
	"profilestream/cmd/internal/stage"
	"profilestream/inference/bundle"
	"profilestream/inference/train"
)

// trainFlags are the flags of train.
type trainFlags struct {
	cutoffs, horizon, out, encoder string
	seed                           uint64
	folds, rounds                  int
}

func trainCommand(s *shared) *cobra.Command {
	f := &trainFlags{}
	c := &cobra.Command{
		Use:   "train HISTORY",
		Short: "Train a model bundle on a history of events",
		Long: `Train replays a history through the same code as the live pipeline, cuts rows of
every customer as of each cut-off, labels them with what the horizon after it
brought, and fits churn, value, sentiment and interests. The bundle holds an
evaluation beside simple baselines, on customers and a time held out.

HISTORY is a folder that profilectl simulate wrote, a clickstream.jsonl or
purchases.jsonl, or an Online Retail file (.csv, .csv.gz).`,
		Example: `  profilectl simulate --users 2000 --days 240 --out shop
  profilectl train shop --out models/current
  profilectl train online_retail.csv.gz --cutoffs 2011-03-01,2011-04-01,2011-05-01 --horizon 90d --out models/retail`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := s.config()
			if err != nil {
				return err
			}
			return f.run(cmd.Context(), cfg, args[0], cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	fl := c.Flags()
	fl.StringVar(&f.cutoffs, "cutoffs", "", "UTC days to cut rows at, separated by commas; without it four, spread so that the horizon fits")
	fl.StringVar(&f.horizon, "horizon", "", "how far labels look ahead, such as 90d; without it 90d, or a third of a shorter history")
	fl.StringVar(&f.out, "out", "models/current", "folder of the bundle; one that is there is replaced")
	fl.StringVar(&f.encoder, "encoder", "models/encoder", "folder of the imported encoder; made from the fetched weights if it is not there")
	fl.Uint64Var(&f.seed, "seed", 1, "the same history, options and seed give the same heads")
	fl.IntVar(&f.folds, "folds", 0, "folds of cross-fitting; 0 is the default")
	fl.IntVar(&f.rounds, "rounds", 0, "most trees of a forest; 0 is the default")
	return c
}

func (f *trainFlags) run(ctx context.Context, cfg *config.Config, path string, out, progress io.Writer) error {
	start := time.Now()
	p := &bar{w: progress}
	defer p.done()
	h, err := loadHistory(ctx, cfg, path, p)
	if err != nil {
		return err
	}
	cutoffs, horizon, err := f.plan(h)
	if err != nil {
		return err
	}
	rows, err := h.RowsAsOf(cutoffs)
	if err != nil {
		return err
	}
	defer release(rows)
	p.step("replaying", h.Len(), h.Len())
	if err := stage.ImportEncoder(f.encoder); err != nil {
		return err
	}
	enc, err := stage.OpenEncoder(cfg.Model, f.encoder, "training")
	if err != nil {
		return err
	}
	d, err := dataset(h, path, rows, horizon)
	if err == nil {
		err = f.fit(ctx, d, enc, p, out, start)
	}
	return errors.Join(err, enc.Close())
}

func (f *trainFlags) fit(ctx context.Context, d train.Dataset, enc *stage.Encoder, p *bar, out io.Writer, start time.Time) error {
	res, err := train.Train(ctx, d, train.Options{Seed: f.seed, Embedder: enc, Folds: f.folds, Rounds: f.rounds, Progress: p.step})
	p.done()
	if err != nil {
		return err
	}
	b, err := bundle.Write(f.out, bundle.Contents{Heads: res.Model, Evaluation: res.JSON, Report: res.HTML, Files: stage.EncoderFiles(f.encoder)})
	if err != nil {
		return err
	}
	return printBundle(out, b, time.Since(start))
}

func loadHistory(ctx context.Context, cfg *config.Config, path string, p *bar) (*history.History, error) {
	p.step("reading "+filepath.Base(path), 0, 1)
	h, err := history.New(cfg)
	if err != nil {
		return nil, err
	}
	if err := h.Load(ctx, path); err != nil {
		return nil, err
	}
	if h.Len() == 0 {
		return nil, fmt.Errorf("%s holds no valid event", path)
	}
	p.step("reading "+filepath.Base(path), h.Len(), h.Len())
	return h, nil
}

// dataset labels the rows and gathers the texts that the heads learn from.
func dataset(h *history.History, path string, rows []arrow.Record, horizon time.Duration) (train.Dataset, error) {
	l := h.Labels(rows, horizon)
	d := train.Dataset{Rows: rows, Churn: l.Churn, Spend: l.Spend, Horizon: horizon}
	var err error
	if d.Feedback, err = h.Feedback(filepath.Join(path, simulate.FileFeedbackTruth)); err != nil {
		return d, err
	}
	d.Catalogue, err = h.Catalogue()
	return d, err
}

// plan reads the cut-offs and the horizon, or chooses them: the last cut-off
// leaves room for the horizon, three more lie before it.
func (f *trainFlags) plan(h *history.History) (cutoffs []time.Time, horizon time.Duration, err error) {
	const day = 24 * time.Hour
	first, last := h.Span()
	if horizon, err = parseDays("--horizon", f.horizon); err != nil {
		return nil, 0, err
	}
	if horizon == 0 {
		horizon = min(90*day, max(day, (last.Sub(first)/3).Truncate(day)))
	}
	if f.cutoffs != "" {
		cutoffs, err = parseDates("--cutoffs", f.cutoffs)
		return cutoffs, horizon, err
	}
	end := last.Add(time.Millisecond).Add(-horizon).Truncate(day)
	step := max(day, (end.Sub(first) / 5).Truncate(day))
	for i := 3; i >= 0; i-- {
		if c := end.Add(-time.Duration(i) * step); c.After(first) {
			cutoffs = append(cutoffs, c)
		}
	}
	if len(cutoffs) == 0 {
		return nil, 0, fmt.Errorf("the history from %s to %s is too short for a horizon of %s", first.Format(time.DateOnly), last.Format(time.DateOnly), horizon)
	}
	return cutoffs, horizon, nil
}

// parseDays reads "90d" or a Go duration; empty is zero.
func parseDays(flag, s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	var n int
	if digits, ok := strings.CutSuffix(s, "d"); ok {
		if _, err := fmt.Sscanf(digits, "%d", &n); err == nil && n > 0 && fmt.Sprint(n) == digits {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	} else if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return d, nil
	}
	return 0, fmt.Errorf("%w: %s: %q is no duration such as 90d", errUsage, flag, s)
}

func parseDates(flag, s string) ([]time.Time, error) {
	var out []time.Time
	for part := range strings.SplitSeq(s, ",") {
		t, err := time.Parse(time.DateOnly, strings.TrimSpace(part))
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %q is no date such as 2011-03-01", errUsage, flag, part)
		}
		out = append(out, t)
	}
	return out, nil
}

func release(rows []arrow.Record) {
	for _, r := range rows {
		r.Release()
	}
}
