package ctl

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"profilestream/cmd/internal/training"
)

func trainCommand(s *shared) *cobra.Command {
	var o training.Options
	var ft finetuneFlags
	var cutoffs, horizon, search, optimizer string
	c := &cobra.Command{
		Use:   "train HISTORY",
		Short: "Train a model bundle on a history of events",
		Long: `Train replays a history through the same code as the live pipeline, cuts rows of
every customer as of each cut-off, labels them with what the horizon after it
brought, and fits churn, value, sentiment and interests. The bundle holds an
evaluation beside simple baselines, on customers and a time held out.

HISTORY is a folder with clickstream and purchases as .jsonl or .parquet, such as
profilectl simulate writes, one such file, an Online Retail file (.csv, .csv.gz),
or the word log: the event log of the configured run. A Parquet file has the
columns kafka_ts (ms or a timestamp), value and, unless its name says it, topic.

With --finetune the encoder itself learns, from a file of texts and labels instead
of a history: --out becomes an encoder for --encoder. With --finetune-windows it first
learns to tell churn from the texts of some customers of the history, and the heads
are then fitted, on the other customers, to the tuned encoder.`,
		Example: `  profilectl simulate --users 2000 --days 280 --out shop
  profilectl train shop --out models/current
  profilectl train shop --search 5m
  profilectl train online_retail.csv.gz --cutoffs 2011-03-01,2011-04-01,2011-05-01 --horizon 90d --out models/retail
  profilectl train --finetune requests.csv --label-column intent --lr 5e-5 --out models/tuned
  profilectl train shop --finetune-windows --out models/tuned-shop`,
		Args: ft.args,
		RunE: func(cmd *cobra.Command, args []string) error {
			start := time.Now()
			if ft.labels != "" {
				return ft.run(cmd, o.Out, o.Seed)
			}
			cfg, err := s.config()
			if err != nil {
				return err
			}
			p := &bar{w: cmd.ErrOrStderr()}
			o.History, o.Progress = args[0], p.step
			if o.Horizon, err = parseDays("--horizon", horizon); err != nil {
				return err
			}
			if cutoffs != "" {
				if o.Cutoffs, err = parseDates("--cutoffs", cutoffs); err != nil {
					return err
				}
			}
			if err = parseSearch(search, &o); err != nil {
				return err
			}
			if o.SGD = optimizer == "sgd"; !o.SGD && optimizer != "adamw" {
				return fmt.Errorf("%w: --optimizer: %q is neither adamw nor sgd", errUsage, optimizer)
			}
			o.Windows = ft.windows(o.Seed)
			b, err := training.Train(cmd.Context(), cfg, o)
			p.done()
			if wrong := new(training.OptionError); errors.As(err, &wrong) {
				err = fmt.Errorf("%w: %w", errUsage, err)
			}
			if err != nil {
				return err
			}
			return printBundle(cmd.OutOrStdout(), b, time.Since(start))
		},
	}
	fl := c.Flags()
	fl.StringVar(&cutoffs, "cutoffs", "", "UTC days to cut rows at, separated by commas; without it four, spread so that the horizon fits")
	fl.StringVar(&horizon, "horizon", "", "how far labels look ahead, such as 90d; without it 90d, or a third of a shorter history")
	fl.StringVar(&o.Out, "out", "models/current", "folder of the bundle; one that is there is replaced")
	fl.StringVar(&o.Encoder, "encoder", "models/encoder", "folder of the imported encoder; made from the fetched weights if it is not there")
	fl.Uint64Var(&o.Seed, "seed", 1, "the same history, options and seed give the same heads")
	fl.IntVar(&o.Folds, "folds", 0, "folds of cross-fitting; 0 is the default")
	fl.IntVar(&o.Rounds, "rounds", 0, "most trees of a forest; 0 is the default")
	fl.StringVar(&search, "search", "", "search better settings of MLPs and trees: a number of trials for each, which repeats, or a time for all together, such as 2m")
	fl.StringVar(&optimizer, "optimizer", "adamw", "of the MLPs: adamw or sgd")
	fl.BoolVar(&o.Control, "control", false, "also fit on texts dealt out to other customers: what text adds must vanish")
	ft.register(fl)
	return c
}

// parseSearch reads a number of trials or a time.
func parseSearch(s string, o *training.Options) error {
	if s == "" {
		return nil
	}
	n, err := strconv.Atoi(s)
	if err == nil && n > 0 {
		o.SearchTrials = n
		return nil
	}
	if o.SearchTime, err = time.ParseDuration(s); err == nil && o.SearchTime > 0 {
		return nil
	}
	return fmt.Errorf("%w: --search: %q is neither a number of trials nor a time such as 2m", errUsage, s)
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

// parseDates reads UTC days that rise, separated by commas.
func parseDates(flag, s string) ([]time.Time, error) {
	var out []time.Time
	for part := range strings.SplitSeq(s, ",") {
		t, err := parseDate(flag, strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		if n := len(out); n > 0 && !t.After(out[n-1]) {
			return nil, fmt.Errorf("%w: %s: %s does not come after %s", errUsage, flag, part, out[n-1].Format(time.DateOnly))
		}
		out = append(out, t)
	}
	return out, nil
}

func parseDate(flag, s string) (time.Time, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		err = fmt.Errorf("%w: %s: %q is no date such as 2011-03-01", errUsage, flag, s)
	}
	return t, err
}
