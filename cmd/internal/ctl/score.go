package ctl

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/spf13/cobra"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/history"
	"profilestream/cmd/internal/stage"
	"profilestream/cmd/internal/training"
	"profilestream/inference/bundle"
	"profilestream/inference/embed"
	"profilestream/schemas"
)

// scoreRows is how many rows are scored together.
const scoreRows = 1024

type scoreFlags struct {
	model, asOf, out string
	tasks, intervals bool
	encoder          embed.Stats // what the encoder was asked
}

func scoreCommand(s *shared) *cobra.Command {
	f := &scoreFlags{}
	c := &cobra.Command{
		Use:   "score HISTORY",
		Short: "Score every customer of a history as of a day, into a CSV file",
		Long: `Score replays a history up to a day and scores every customer with a purchase
before it. The file has the columns customer_id, churn_probability and
value_expected, ordered by customer. With --tasks more follow: return_7d and
return_30d, the probability of a purchase within so many days, next_category and
its weight among the interests, and sentiment, the mood of the newest feedback
from -1 to 1, empty without one. With --intervals value_low_80 and value_high_80
follow, and the same for 90: where the spend lies with that coverage.`,
		Example: `  profilectl score online_retail.csv.gz --model models/retail --as-of 2011-09-01 --out scores.csv
  profilectl score shop --as-of 2026-02-01 --tasks --out scores.csv`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := s.config()
			if err != nil {
				return err
			}
			if f.asOf == "" || f.out == "" {
				return fmt.Errorf("%w: --as-of and --out are needed", errUsage)
			}
			p := &bar{w: cmd.ErrOrStderr()}
			n, err := f.run(cmd.Context(), cfg, args[0], p)
			p.done()
			if err == nil {
				e := f.encoder
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %d customers scored as of %s\n%d texts: %d encoded, %d found on disk, %d in memory\n", f.out, n, f.asOf, e.Texts, e.Misses, e.DiskHits, e.Hits)
			}
			return err
		},
	}
	fl := c.Flags()
	fl.StringVar(&f.model, "model", "models/current", "folder of the model bundle")
	fl.StringVar(&f.asOf, "as-of", "", "UTC day: events before it count, such as 2011-09-01")
	fl.BoolVar(&f.tasks, "tasks", false, "also write returns, the next category and sentiment")
	fl.BoolVar(&f.intervals, "intervals", false, "also write the intervals of value")
	fl.StringVar(&f.out, "out", "", "CSV file to write")
	return c
}

func (f *scoreFlags) run(ctx context.Context, cfg *config.Config, path string, p *bar) (n int, err error) {
	cutoff, err := parseDate("--as-of", f.asOf)
	if err != nil {
		return 0, err
	}
	tmp, err := os.CreateTemp(filepath.Dir(f.out), ".scores-*")
	if err != nil {
		return 0, fmt.Errorf("--out: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	h, err := training.Load(ctx, cfg, path, p.step)
	if err != nil {
		return 0, err
	}
	warnRejected(p, path, h)
	rows, err := h.RowsAsOf([]time.Time{cutoff})
	if err != nil {
		return 0, err
	}
	all := rows[0]
	defer all.Release()
	m := cfg.Model
	m.Dir = f.model
	sc, err := stage.OpenScorer(m)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, sc.Close()) }()
	warnRefused(p, sc.Bundle())
	w := csv.NewWriter(tmp)
	header := []string{"customer_id", "churn_probability", "value_expected"}
	extra := f.extra(sc)
	for _, e := range extra {
		header = append(header, e.header()...)
	}
	if err := w.Write(header); err != nil {
		return 0, err
	}
	for from := int64(0); from < all.NumRows(); from += scoreRows {
		part := all.NewSlice(from, min(from+scoreRows, all.NumRows()))
		scored, err := sc.Score(ctx, part)
		for _, e := range extra {
			if err == nil {
				err = e.read(ctx, part)
			}
		}
		part.Release()
		if err != nil {
			return 0, err
		}
		k, err := writeScores(w, scored, extra)
		scored.Release()
		if err != nil {
			return 0, err
		}
		n += k
		p.step("scoring", int(min(from+scoreRows, all.NumRows())), int(all.NumRows()))
	}
	if n == 0 {
		return 0, fmt.Errorf("--as-of %s: no customer of %s has a purchase before it", f.asOf, path)
	}
	w.Flush()
	if err := errors.Join(w.Error(), tmp.Chmod(0o644), tmp.Close()); err != nil {
		return 0, err
	}
	f.encoder = sc.Encoder.Stats()
	return n, os.Rename(tmp.Name(), f.out)
}

// warnRefused says loudly that a refused bundle writes the file.
func warnRefused(p *bar, b *bundle.Bundle) {
	reasons := b.Refused()
	if len(reasons) == 0 {
		return
	}
	p.done()
	fmt.Fprintf(p.w, "WARNING: the gate REFUSED the bundle %s (%s); its scores are written all the same:\n", b.Dir, b.ID())
	for _, r := range reasons {
		fmt.Fprintf(p.w, "  - %s\n", r)
	}
}

// warnRejected says which records of a history do not count.
func warnRejected(p *bar, path string, h *history.History) {
	if why := h.RejectedWords(); why != "" {
		p.done()
		fmt.Fprintf(p.w, "WARNING: %s: %s\n", path, why)
	}
}

// columns are optional columns of the file.
type columns interface {
	header() []string
	// read prepares the rows of a record of schemas.WindowRows.
	read(ctx context.Context, rows arrow.Record) error
	// row gives the cells of row i of the rows read, scored as rec.
	row(rec arrow.Record, i int) []string
}

func (f *scoreFlags) extra(sc *stage.Scorer) (out []columns) {
	if f.tasks {
		out = append(out, &taskColumns{scorer: sc})
	}
	if f.intervals {
		out = append(out, &intervalColumns{scorer: sc})
	}
	return out
}

// writeScores writes the customers with a purchase.
func writeScores(w *csv.Writer, rec arrow.Record, extra []columns) (n int, err error) {
	ids := rec.Column(schemas.ColUserID).(*array.String)
	orders := rec.Column(schemas.ColFeatures + schemas.Life(schemas.OrdersTotal)).(*array.Int64)
	churn := rec.Column(schemas.ColChurn).(*array.Float32)
	value := rec.Column(schemas.ColValue).(*array.Float32)
	for i := range int(rec.NumRows()) {
		if orders.Value(i) == 0 {
			continue
		}
		n++
		line := []string{ids.Value(i), number(churn.Value(i)), number(value.Value(i))}
		for _, e := range extra {
			line = append(line, e.row(rec, i)...)
		}
		if err := w.Write(line); err != nil {
			return n, err
		}
	}
	return n, nil
}

func number(f float32) string { return strconv.FormatFloat(float64(f), 'f', -1, 32) }
