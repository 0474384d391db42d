package simulate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
)

const commandExample = `  # the shop of the end-to-end test: 200,000 events of 2,000 users over 60 days
  profilectl simulate --out shop

  # a small one, in order, with nothing wrong in it
  profilectl simulate --out small --users 300 --events 30000 --disorder 0 --late 0 --duplicates 0 --poison 0

  # the same seed gives the same bytes
  profilectl simulate --out a --seed 7 && profilectl simulate --out b --seed 7 && diff -r a b

  # real history: an Online Retail file as purchase events
  profilectl simulate --out retail --retail online_retail.csv.gz`

const commandLong = `Writes a simulated shop's two streams into a folder, in the order in which the
records arrive: clickstream.jsonl and purchases.jsonl, one record a line as
{"kafka_ts","key","value"} (value_base64 where a value is not UTF-8, null for a
tombstone). Beside them truth.jsonl has what no event tells (when a customer dropped out, the
purchase rate, the expected spend, the mood, the interests), feedback_truth.jsonl the
sentiment behind each feedback, and summary.json the counts.

With --retail an Online Retail file (CSV, plain or gzip) is turned into
purchases.jsonl instead: one event an invoice, real times taken as UTC,
cancellations as refunds; codes that are no products count in the total only.`

// Command is "profilectl simulate".
func Command() *cobra.Command {
	o := DefaultOptions()
	var out, start, retail string
	var quiet, huge bool
	cmd := &cobra.Command{
		Use:     "simulate --out DIR",
		Short:   "Write a simulated shop's events, or an Online Retail file's, as JSON lines",
		Long:    commandLong,
		Example: commandExample,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out == "" {
				return errors.New("out: a folder is needed")
			}
			if retail != "" {
				return runRetail(cmd.Context(), cmd.OutOrStdout(), retail, out, o.Currency)
			}
			t, err := time.Parse("2006-01-02", start)
			if err != nil {
				return fmt.Errorf("start: %w", err)
			}
			o.Start = t
			o.PoisonCorpus = PoisonCorpus(huge)
			return runShop(cmd, o, out, quiet)
		},
	}
	f := cmd.Flags()
	f.StringVar(&out, "out", "", "folder to write to")
	f.StringVar(&retail, "retail", "", "Online Retail file (CSV or CSV.gz) to convert instead of simulating")
	f.BoolVar(&quiet, "quiet", false, "no progress bar")
	f.StringVar(&start, "start", o.Start.Format("2006-01-02"), "first day (UTC)")
	f.Uint64Var(&o.Seed, "seed", o.Seed, "seed; the same options and seed give the same bytes")
	f.IntVar(&o.Users, "users", o.Users, "customers, bots included")
	f.IntVar(&o.Days, "days", o.Days, "days of history")
	f.Int64Var(&o.Events, "events", o.Events, "about how many events to make; 0 keeps natural rates")
	f.Float64Var(&o.Disorder, "disorder", o.Disorder, "fraction delayed by a minute to --max-disorder")
	f.DurationVar(&o.MaxDisorder, "max-disorder", o.MaxDisorder, "longest delay of a disordered event")
	f.Float64Var(&o.Late, "late", o.Late, "fraction that arrives when its day is closed")
	f.DurationVar(&o.Lateness, "lateness", o.Lateness, "the pipeline's profile.lateness, which late events exceed")
	f.Float64Var(&o.Duplicates, "duplicates", o.Duplicates, "fraction sent twice")
	f.Float64Var(&o.Poison, "poison", o.Poison, "fraction of poison records added")
	f.BoolVar(&huge, "poison-huge", false, "among the poison, values of up to 10 MB, which topics with default limits refuse")
	f.Float64Var(&o.Bots, "bots", o.Bots, "fraction of the users that are bots")
	f.Float64Var(&o.WithoutID, "without-id", o.WithoutID, "fraction of events without an event_id")
	f.StringVar(&o.Currency, "currency", "", "currency written in orders; empty writes none (the pipeline's own)")
	f.Float64Var(&o.Foreign, "foreign", 0, "fraction of orders in --foreign-currency")
	f.StringVar(&o.ForeignCurrency, "foreign-currency", "USD", "currency of foreign orders; the pipeline needs a rate for it")
	return cmd
}

func runShop(cmd *cobra.Command, o Options, out string, quiet bool) error {
	var progress Progress
	if !quiet {
		bar := progressbar.NewOptions64(max(o.Events, 1), progressbar.OptionSetWriter(cmd.ErrOrStderr()),
			progressbar.OptionSetDescription("simulating"), progressbar.OptionShowCount(), progressbar.OptionClearOnFinish(),
			progressbar.OptionThrottle(100*time.Millisecond))
		progress = func(done, total int64) {
			if done > bar.GetMax64() || done == total {
				bar.ChangeMax64(max(done, 1))
			}
			_ = bar.Set64(done) // a bar that cannot be drawn is no reason to stop
		}
	}
	sum, err := WriteDir(cmd.Context(), o, out, progress)
	if err != nil {
		return err
	}
	w := cmd.OutOrStdout()
	_, err = fmt.Fprintf(w, "%s: %d records (%d events of %d users over %d days; %d duplicates, %d delayed, %d late, %d poison), %d of the users dropped out\n",
		out, sum.Records, sum.Events, sum.Users, sum.Days, sum.ByKind["duplicate"], sum.ByKind["delayed"], sum.ByKind["late"], sum.ByKind["poison"], sum.DroppedOut)
	return err
}

func runRetail(ctx context.Context, w io.Writer, file, out, currency string) error {
	if currency == "" {
		currency = "GBP"
	}
	sum, err := WriteRetailDir(ctx, file, out, currency)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s: %d events of %d customers from %d lines (%d purchases, %d refunds), %s to %s\n",
		out, sum.Events, sum.Customers, sum.Lines, sum.Purchases, sum.Refunds, sum.FirstEvent, sum.LastEvent)
	return err
}

// WriteRetailDir converts an Online Retail file into dir: purchases.jsonl, an
// empty clickstream.jsonl and summary.json.
func WriteRetailDir(ctx context.Context, file, dir, currency string) (RetailSummary, error) {
	r, err := OpenRetail(file)
	if err != nil {
		return RetailSummary{}, err
	}
	defer r.Close() //nolint:errcheck // only read from
	w, err := newDirWriter(dir, FileClickstream, FilePurchases)
	if err != nil {
		return RetailSummary{}, err
	}
	defer w.abandon()
	sum, err := RetailEvents(r, currency, func(e Event) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return w.record(&e)
	})
	if err != nil {
		return sum, fmt.Errorf("converting %s: %w", filepath.Base(file), err)
	}
	if err := w.close(); err != nil {
		return sum, err
	}
	return sum, writeJSON(filepath.Join(dir, FileSummary), sum)
}
