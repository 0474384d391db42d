package ctl

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/runs"
)

// load is the operator's configuration with keys that win over it.
func (s *shared) load(over map[string]string) (*config.Config, error) {
	return config.LoadWith(s.path, os.Environ(), over)
}

// startFlags are the flags of run start.
type startFlags struct {
	runs.Request
	until, file string
	set         []string
	rate        int
}

func runStartCommand(s *shared) *cobra.Command {
	f := &startFlags{}
	c := &cobra.Command{
		Use: "start NAME", Short: "Start a run beside others, from the past on, or go on with it",
		Long: `Start runs a second pipeline in this process: with topics, consumer groups and
tables of its own, from the input topics (--from), from the event log of another run
(--log-of), or from files (--archive). It shows how far it has come, then follows what comes in until it is
stopped; with --until or --drain it ends when all is worked off. Live rows begin when
it has caught up.

The configuration is that of -c, changed by --run-config and --set; it is written down
in the topic profile.runs. After an interruption, kill -9 included, the same command
goes on, and so does the name alone. A name in use with another configuration is
refused.`,
		Example: `  profilectl run start june --from earliest --set profile.lateness=30d -c f.yaml
  profilectl run start check --log-of live --drain -c f.yaml
  profilectl run start year --archive old/clickstream-2025.parquet --archive old/purchases-2025.parquet --from 2026-01-01T00:00:00Z -c f.yaml
  profilectl run start shadow --log-of live --model models/candidate --rate 5000 -c f.yaml
  profilectl run start spring --from 2026-03-01T00:00:00Z --until 2026-06-01T00:00:00Z -c f.yaml`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.Name = args[0]
			if err := f.parse(cmd.Flags().Changed("rate")); err != nil {
				return err
			}
			return s.start(cmd, &f.Request)
		},
	}
	fs := c.Flags()
	fs.StringVar(&f.From, "from", "", "where the input topics are read from: earliest, or a time such as 2026-02-01T03:00:00Z; without it input.start of the configuration")
	fs.StringVar(&f.Of, "log-of", "", "read the event log of this run from its beginning, instead of the input topics")
	fs.StringArrayVar(&f.Archive, "archive", nil, "file (.jsonl, .parquet) or folder of records to begin with; may be repeated. With --from TIME the topics follow from there on, else the run ends after the files")
	fs.StringVar(&f.until, "until", "", "work off what is there, move time to this instant (over another run's log: wait until its time has come as far), then end")
	fs.BoolVar(&f.Drain, "drain", false, "work off what is there, then end")
	fs.StringArrayVar(&f.set, "set", nil, "`key=value` of the configuration, such as profile.lateness=30d; may be repeated")
	fs.StringVar(&f.file, "run-config", "", "file (YAML) with what differs from the configuration of -c")
	fs.StringVar(&f.Model, "model", "", "folder of a bundle; without it the model at work in the run of -c")
	fs.BoolVar(&f.Force, "force", false, "work with a bundle that the gate refused; every row's model_version shows it")
	fs.IntVar(&f.rate, "rate", 0, "records a second to read at most, so that others are not hurt; 0: no bound")
	return c
}

// parse makes the request of the flags.
func (f *startFlags) parse(rate bool) (err error) {
	if f.From != "" && f.From != "earliest" {
		if _, err := parseStart("--from", f.From); err != nil {
			return err
		}
	}
	if f.From != "" && f.Of != "" {
		return fmt.Errorf("%w: --from is of the input topics; a log (--log-of) is read from its beginning", errUsage)
	}
	if len(f.Archive) > 0 && (f.Of != "" || f.From == "earliest") {
		return fmt.Errorf("%w: --archive goes with --from TIME, or alone", errUsage)
	}
	if f.until != "" {
		if f.Until, err = time.Parse(time.RFC3339, f.until); err != nil {
			return fmt.Errorf("%w: --until: %q is not a time such as 2026-02-01T03:00:00Z", errUsage, f.until)
		}
	}
	f.Over = map[string]string{}
	if f.file != "" {
		over, err := config.Overrides(f.file)
		if err != nil {
			return err
		}
		maps.Copy(f.Over, over)
	}
	for _, pair := range f.set {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return fmt.Errorf("%w: --set: %q is not key=value", errUsage, pair)
		}
		f.Over[key] = value
	}
	for flag, keys := range map[string][]string{"the name": {"run"}, "--from": {"input.start"}, "--log-of": {"log.of"}} {
		for _, key := range keys {
			if _, ok := f.Over[key]; ok {
				return fmt.Errorf("%w: --set: %s is given by %s", errUsage, key, flag)
			}
		}
	}
	if rate {
		f.Over["input.rate"] = fmt.Sprint(f.rate)
	}
	return nil
}

// start prepares the run and works until it is done or stopped.
func (s *shared) start(cmd *cobra.Command, r *runs.Request) error {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	log, err := s.logger(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	_, c, err := s.kafka(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	defer c.Close()
	run, err := runs.Prepare(ctx, c, s.load, r)
	if err != nil {
		return err
	}
	rec, cfg := &run.Record, run.Config
	fmt.Fprintf(out, "run %s: %s, config_version %s, model %s, database %s\n", rec.Run, rec.From(), rec.ConfigVersion, rec.Bundle, cfg.Database())
	if run.Again {
		fmt.Fprintf(out, "run %s: goes on, begun %s\n", rec.Run, rec.Started.Format(time.RFC3339))
	}
	b := &bar{w: cmd.ErrOrStderr()}
	defer b.done()
	if err := run.Load(ctx, b.step); err != nil {
		return err
	}
	b.done()
	return work(ctx, out, b, rec, &runs.Job{
		Config: cfg, Log: log, Force: rec.Forced || r.Force, Drain: rec.Drain, Until: rec.Until,
	})
}

func work(ctx context.Context, out io.Writer, b *bar, rec *runs.Record, j *runs.Job) error {
	begun := time.Now()
	say := func(what string, records int) {
		b.done()
		seconds := time.Since(begun).Seconds()
		fmt.Fprintf(out, "run %s: %s: %d records in %.0f s, %.0f a second\n", rec.Run, what, records, seconds, float64(records)/seconds)
	}
	j.Progress = b.step
	j.CaughtUp = func(records int) {
		say("caught up", records)
		fmt.Fprintf(out, "run %s: follows what comes in until it is stopped; profilectl run promote %s has the views show it\n", rec.Run, rec.Run)
	}
	records, err := j.Work(ctx)
	b.done()
	if err == nil && j.Drain {
		say("done", records)
	}
	return err
}
