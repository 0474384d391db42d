package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/models"
	"profilestream/cmd/internal/runs"
	"profilestream/cmd/internal/stage"
	"profilestream/inference/bundle"
	"profilestream/stream/wire"
)

// minLead is the least time that scorers get to load a bundle before rows ask
// for it; they hear of it within a second.
const minLead = 3 * time.Second

// leadFactor is how much longer than here a scorer under load may take to load.
const leadFactor = 3

func promoteCommand(s *shared) *cobra.Command {
	var force bool
	var lead time.Duration
	c := &cobra.Command{
		Use:   "promote BUNDLE",
		Short: "Put a bundle to work: scorers reload, every user is scored again",
		Long: `Promote verifies a bundle, asks for the gate's verdict, has it score a row, copies
it into the store (model.store) and announces it in the topic profile.models. The
scorers load it beside the one at work; then every user of the run is scored again,
silent ones too. A command that was cut off is repeated to complete it.

BUNDLE is a folder, or the id of a bundle in the store.`,
		Example: `  profilectl model promote models/candidate -c f.yaml
  profilectl model promote models/candidate -c f.yaml --force    # although the gate refused it`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withRun(cmd, lead, func(l *life) error { return l.promote(cmd.Context(), args[0], force) })
		},
	}
	c.Flags().BoolVar(&force, "force", false, "promote a bundle that the gate refused; every row's model_version shows it")
	leadFlag(c, &lead)
	return c
}

func rollbackCommand(s *shared) *cobra.Command {
	var to int64
	var lead time.Duration
	c := &cobra.Command{
		Use:   "rollback",
		Short: "Put the bundle of an earlier promotion to work again",
		Long: `Rollback promotes the bundle of an earlier promotion again, under a new, higher
number, and every user is scored again: equal profiles get the scores they had, bit
for bit. Without --to it is the newest promotion of another bundle than the one at
work, so that a second rollback takes back the first.`,
		Example: `  profilectl model rollback -c f.yaml
  profilectl model rollback -c f.yaml --to 3    # profilectl model list -c f.yaml shows the numbers`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.withRun(cmd, lead, func(l *life) error { return l.rollback(cmd.Context(), to) })
		},
	}
	c.Flags().Int64Var(&to, "to", 0, "number of the promotion to return to")
	leadFlag(c, &lead)
	return c
}

func leadFlag(c *cobra.Command, lead *time.Duration) {
	c.Flags().DurationVar(lead, "lead", 0, "how long the scorers have to load the bundle before rows ask for it; without it three times as long as here, at least 3s")
}

// life is what a promotion needs.
type life struct {
	cfg    *config.Config
	client *wire.Client
	store  models.Store
	lead   time.Duration
	out    io.Writer
	say    func(what string)
}

func (s *shared) withRun(cmd *cobra.Command, lead time.Duration, work func(*life) error) error {
	cfg, c, err := s.kafka(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	defer c.Close()
	// What run start has written down says whose log it reads and where its bundles are.
	if cfg, err = runs.Config(cmd.Context(), c, s.load, cfg.Run); err != nil {
		return err
	}
	if cfg.Log.Of != "" {
		return fmt.Errorf("run %s reads the event log of run %s and keeps the model that it was started with: start another run for another model", cfg.Run, cfg.Log.Of)
	}
	if lead < 0 {
		return fmt.Errorf("%w: --lead: %s is negative", errUsage, lead)
	}
	return work(&life{
		cfg: cfg, client: c, store: models.Store{Dir: cfg.Model.StoreDir()}, lead: lead, out: cmd.OutOrStdout(),
		say: func(what string) { fmt.Fprintf(cmd.ErrOrStderr(), "%s...\n", what) },
	})
}

// find loads the bundle of an argument: a folder, or an id of the store.
func find(store models.Store, arg string) (*bundle.Bundle, error) {
	if store.Has(arg) {
		return bundle.Load(store.Path(arg))
	}
	return bundle.Load(arg)
}

func (l *life) promote(ctx context.Context, arg string, force bool) error {
	b, err := find(l.store, arg)
	if err != nil {
		return err
	}
	if reasons := b.Refused(); len(reasons) > 0 {
		if !force {
			return fmt.Errorf("%s: the gate refused bundle %s, nothing is promoted (--force promotes it all the same):\n  - %s", b.Dir, b.ID(), strings.Join(reasons, "\n  - "))
		}
		b = b.Forced()
	} else {
		force = false
	}
	if err := l.try(ctx, b); err != nil {
		return err
	}
	l.say("copying it into the store " + l.store.Dir)
	_, manifest, err := l.store.Put(ctx, b)
	if err != nil {
		return err
	}
	if err := stage.CreateTopics(ctx, l.cfg, l.client); err != nil {
		return err
	}
	done, again, err := l.promoter().Promote(ctx, b.ID(), manifest, force)
	return l.report(done, again, err)
}

func (l *life) rollback(ctx context.Context, to int64) error {
	if err := stage.CreateTopics(ctx, l.cfg, l.client); err != nil {
		return err
	}
	rec, _, err := models.Newest(ctx, l.client, l.cfg.Run)
	if err != nil {
		return err
	}
	target, err := models.Target(&rec, to)
	if errors.Is(err, models.ErrNothingEarlier) {
		return fmt.Errorf("%w; profilectl model list -c f.yaml shows the promotions, profilectl model promote takes any bundle", err)
	}
	if err != nil {
		return err
	}
	b, err := l.store.Load(target)
	if err != nil {
		return err
	}
	if err := l.try(ctx, b); err != nil {
		return err
	}
	done, again, err := l.promoter().Rollback(ctx, target.Number)
	return l.report(done, again, err)
}

// try has a bundle score a row with its encoder, and learns how long it takes to
// load.
func (l *life) try(ctx context.Context, b *bundle.Bundle) (err error) {
	l.say("having bundle " + b.ID() + " score a row")
	m := l.cfg.Model
	m.CacheDir = ""
	start := time.Now()
	sc, err := stage.NewScorer(m, b, nil)
	if err != nil {
		return err
	}
	err = errors.Join(sc.Try(ctx), sc.Close())
	if l.lead == 0 {
		l.lead = max(minLead, leadFactor*time.Since(start))
	}
	return err
}

func (l *life) promoter() *models.Promoter {
	return &models.Promoter{Client: l.client, Run: l.cfg.Run, Lead: l.lead, Step: l.say, Now: time.Now}
}

func (l *life) report(p models.Promotion, again bool, err error) error {
	if err != nil {
		return err
	}
	if again {
		_, err = fmt.Fprintf(l.out, "run %s: promotion %d, bundle %s, is at work already\n", l.cfg.Run, p.Number, p.Bundle)
		return err
	}
	how := ""
	if p.Repeats != 0 {
		how = fmt.Sprintf(", back to that of promotion %d", p.Repeats)
	}
	_, err = fmt.Fprintf(l.out, "run %s: promotion %d, bundle %s%s: every user is scored again\n", l.cfg.Run, p.Number, p.Bundle, how)
	return err
}

// printPromotions prints which run has which promotions, newest last.
func printPromotions(w io.Writer, all map[string]models.Record) error {
	runs := make([]string, 0, len(all))
	for run := range all {
		runs = append(runs, run)
	}
	sort.Strings(runs)
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "RUN\tPROMOTION\tBUNDLE\tAT\tSTATE")
	for _, run := range runs {
		r := all[run]
		for _, p := range r.Promotions {
			fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\n", run, p.Number, p.Bundle, p.At.Format(time.RFC3339), promotionState(&r, p))
		}
	}
	return t.Flush()
}

func promotionState(r *models.Record, p models.Promotion) string {
	var words []string
	if p.Number == r.Current().Number {
		words = append(words, "at work")
		if !r.Rescored {
			words = append(words, "not complete: promote or roll back again")
		}
	}
	if p.Forced {
		words = append(words, "forced")
	}
	if p.Repeats != 0 {
		words = append(words, fmt.Sprintf("back to %d", p.Repeats))
	}
	return strings.Join(words, ", ")
}
