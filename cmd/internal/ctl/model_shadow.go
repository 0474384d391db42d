package ctl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/models"
	"profilestream/cmd/internal/shadow"
	"profilestream/cmd/internal/stage"
	"profilestream/cmd/internal/training"
	"profilestream/inference/bundle"
	"profilestream/stream/clickhouse"
	"profilestream/stream/wire"
)

type shadowFlags struct {
	days                  int
	current, history, out string
	noTable               bool
}

func shadowCommand(s *shared) *cobra.Command {
	f := &shadowFlags{}
	c := &cobra.Command{
		Use:   "shadow CANDIDATE",
		Short: "Try a candidate beside the bundle at work over the last days",
		Long: `Shadow has a candidate and the bundle at work score every customer as of the end of
each of the last days, and says how scores, bands and segments would move and what
the candidate costs: texts to encode, CPU seconds, the time to score everybody again.
It writes a page (--out) with its figures as JSON beside it, and rows for dashboards
into the run's table shadow_moves. Neither holds a customer. Nothing is promoted.

The customers come from the run's event log, or from --history. At work is the bundle
of the run's newest promotion, or of model.dir where there was none; --current names
another. Bundles are folders, or ids of the store.`,
		Example: `  profilectl model shadow models/candidate --days 14 -c f.yaml --out shadow.html
  profilectl model shadow models/candidate --days 7 --history shop --current models/current --no-table`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := s.config()
			if err != nil {
				return err
			}
			if f.days < 1 || f.days > 366 {
				return fmt.Errorf("%w: --days: %d is not between 1 and 366", errUsage, f.days)
			}
			return f.run(cmd, s, cfg, args[0])
		},
	}
	fl := c.Flags()
	fl.IntVar(&f.days, "days", 14, "how many days to look at, the last ones of the history")
	fl.StringVar(&f.current, "current", "", "bundle to compare with; without it the one at work")
	fl.StringVar(&f.history, "history", training.EventLog, "history whose customers both score; log: the run's event log")
	fl.StringVar(&f.out, "out", "shadow.html", "page to write; its figures go into the same name with .json")
	fl.BoolVar(&f.noTable, "no-table", false, "do not write into ClickHouse")
	return c
}

func (f *shadowFlags) run(cmd *cobra.Command, s *shared, cfg *config.Config, arg string) (err error) {
	ctx, p := cmd.Context(), &bar{w: cmd.ErrOrStderr()}
	defer p.done()
	var ch *clickhouse.Client
	if !f.noTable { // before hours are spent
		if ch, err = stage.ClickHouse(cfg); err != nil {
			return err
		}
		defer ch.Close()
		if _, err := clickhouse.Migrate(ctx, ch); err != nil {
			return fmt.Errorf("%w (--no-table writes the page only)", err)
		}
	}
	current, candidate, err := f.bundles(cmd, s, cfg, arg)
	if err != nil {
		return err
	}
	h, err := training.Load(ctx, cfg, f.history, p.step)
	if err != nil {
		return err
	}
	warnRejected(p, f.history, h)
	first, err := stage.NewScorer(cfg.Model, current, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, first.Close()) }()
	second, err := stage.NewScorer(cfg.Model, candidate, first)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, second.Close()) }()
	r, err := shadow.Run(ctx, h, asShadow(first), asShadow(second), shadow.Options{Days: f.days, Progress: p.step})
	if err != nil {
		return err
	}
	p.done()
	r.Refused, r.Costs.SameEncoder = candidate.Refused(), first.Encoder == second.Encoder
	if err := f.write(r); err != nil {
		return err
	}
	if ch != nil {
		if err := shadow.Keep(ctx, ch, r); err != nil {
			return err
		}
	}
	return f.print(cmd, r)
}

func asShadow(s *stage.Scorer) shadow.Bundle {
	return shadow.Bundle{ID: s.Bundle().ID(), Score: s.Score, Stats: s.Encoder.Stats}
}

func (f *shadowFlags) bundles(cmd *cobra.Command, s *shared, cfg *config.Config, arg string) (current, candidate *bundle.Bundle, err error) {
	store := models.Store{Dir: cfg.Model.StoreDir()}
	if candidate, err = find(store, arg); err != nil {
		return nil, nil, err
	}
	switch {
	case f.current != "":
		current, err = find(store, f.current)
	case f.history != training.EventLog:
		current, err = stage.LoadBundle(cfg.Model.Dir)
	default:
		var c *wire.Client
		if _, c, err = s.kafka(cmd.ErrOrStderr()); err != nil {
			return nil, nil, err
		}
		defer c.Close()
		current, err = atWork(cmd.Context(), cfg, c, store)
	}
	return current, candidate, err
}

// atWork is the bundle of the run's newest promotion, or that of model.dir.
func atWork(ctx context.Context, cfg *config.Config, c *wire.Client, store models.Store) (*bundle.Bundle, error) {
	rec, _, err := models.Newest(ctx, c, cfg.Run)
	if err != nil {
		return nil, err
	}
	if p := rec.Current(); p.Number > 0 {
		return store.Load(p)
	}
	return stage.LoadBundle(cfg.Model.Dir)
}

// write puts the page and, beside it, the figures.
func (f *shadowFlags) write(r *shadow.Report) error {
	page, err := r.HTML()
	if err != nil {
		return err
	}
	figures, err := r.Encode()
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(f.out, page, 0o644), os.WriteFile(f.figures(), figures, 0o644))
}

func (f *shadowFlags) figures() string {
	return strings.TrimSuffix(f.out, filepath.Ext(f.out)) + ".json"
}

func (f *shadowFlags) print(cmd *cobra.Command, r *shadow.Report) error {
	d, c := r.End(), r.Costs
	_, err := fmt.Fprintf(cmd.OutOrStdout(), `%s, %s: candidate %s beside %s over %d days to %s
%d customers on the last day: %.1f %% change their churn band, %.1f %% their segment; mean churn_probability %.4f -> %.4f, expected spend %.0f -> %.0f
cost of %d rows: at work %.1f CPU s, %d texts encoded; candidate %.1f CPU s, %d texts encoded; scoring everybody again takes %.3g s at this rate
`, f.out, f.figures(), r.Candidate, r.Current, len(r.Days), d.Day,
		d.Users, 100*d.ChurnMoved, 100*d.SegmentMoved, d.ChurnCurrent, d.ChurnCandidate, d.ValueCurrent, d.ValueCandidate,
		c.Candidate.Rows, c.Current.CPUSeconds, c.Current.Encoded, c.Candidate.CPUSeconds, c.Candidate.Encoded, c.RescoreSeconds)
	return err
}
