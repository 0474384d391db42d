package ctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"sort"
	"text/tabwriter"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/spf13/cobra"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/models"
	"profilestream/cmd/internal/stage"
	"profilestream/cmd/internal/training"
	"profilestream/inference/bundle"
	"profilestream/inference/eval"
	"profilestream/schemas"
)

func diffCommand(s *shared) *cobra.Command {
	var history, asOf string
	c := &cobra.Command{
		Use: "diff BUNDLE BUNDLE", Short: "Compare two bundles: files, features, evaluation, and how scores move",
		Long: `Diff compares what two bundles are made of and how each was judged. With --history
and --as-of both score the same customers, and it says how their scores move.`,
		Example: `  profilectl model diff models/current models/candidate
  profilectl model diff models/current models/candidate --history shop --as-of 2026-02-01`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := s.config()
			if err != nil {
				return err
			}
			if (history == "") != (asOf == "") {
				return fmt.Errorf("%w: --history and --as-of go together", errUsage)
			}
			store := models.Store{Dir: cfg.Model.StoreDir()}
			a, err := find(store, args[0])
			if err != nil {
				return err
			}
			b, err := find(store, args[1])
			if err != nil {
				return err
			}
			if err := diffBundles(cmd.OutOrStdout(), a, b); err != nil || history == "" {
				return err
			}
			p := &bar{w: cmd.ErrOrStderr()}
			before, after, err := scoreBoth(cmd.Context(), cfg, a, b, history, asOf, p)
			p.done()
			if err != nil {
				return err
			}
			return printMoves(cmd.OutOrStdout(), before, after)
		},
	}
	c.Flags().StringVar(&history, "history", "", "history whose customers both score, as profilectl score reads it")
	c.Flags().StringVar(&asOf, "as-of", "", "UTC day: events before it count, such as 2026-02-01")
	return c
}

func diffBundles(w io.Writer, a, b *bundle.Bundle) error {
	fmt.Fprintf(w, "%s: bundle %s, gate: %s\n%s: bundle %s, gate: %s\n", a.Dir, a.ID(), state(a), b.Dir, b.ID(), state(b))
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "FILE\tIS")
	names := map[string]bool{}
	for _, m := range []*bundle.Bundle{a, b} {
		for n := range m.Manifest.Files {
			names[n] = true
		}
	}
	sorted := make([]string, 0, len(names))
	for n := range names {
		sorted = append(sorted, n)
	}
	sort.Strings(sorted)
	for _, n := range sorted {
		fa, inA := a.Manifest.Files[n]
		fb, inB := b.Manifest.Files[n]
		switch {
		case !inA:
			fmt.Fprintf(t, "%s\tonly in the second, %d bytes\n", n, fb.Bytes)
		case !inB:
			fmt.Fprintf(t, "%s\tonly in the first, %d bytes\n", n, fa.Bytes)
		case fa == fb:
			fmt.Fprintf(t, "%s\tthe same\n", n)
		default:
			fmt.Fprintf(t, "%s\tanother, %d and %d bytes\n", n, fa.Bytes, fb.Bytes)
		}
	}
	fmt.Fprintf(t, "features\t%s\n", same(a.Manifest.FeatureHash == b.Manifest.FeatureHash))
	fmt.Fprintf(t, "rendering of texts\t%s\n", same(a.Heads.Rendering == b.Heads.Rendering))
	if err := t.Flush(); err != nil {
		return err
	}
	return diffEvaluations(w, a, b)
}

func same(equal bool) string {
	if equal {
		return "the same"
	}
	return "another"
}

// diffEvaluations prints the figures that both reports hold, first and second.
// They may be of different test rows: the gate compares on the same ones.
func diffEvaluations(w io.Writer, a, b *bundle.Bundle) error {
	var ra, rb eval.Report
	for bun, r := range map[*bundle.Bundle]*eval.Report{a: &ra, b: &rb} {
		if err := json.Unmarshal(bun.Evaluation, r); err != nil {
			return fmt.Errorf("%s: %w", bun.Path(bundle.EvaluationFile), err)
		}
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	pair := func(x, y eval.Figure) string { return digits(x.Value) + " -> " + digits(y.Value) }
	fmt.Fprintln(t, "CHURN\tROC-AUC\tPR-AUC\tBRIER\tECE")
	for _, x := range ra.Churn {
		for _, y := range rb.Churn {
			if x.Name == y.Name {
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", x.Name, pair(x.AUC, y.AUC), pair(x.AP, y.AP), pair(x.Brier, y.Brier), pair(x.ECE, y.ECE))
			}
		}
	}
	fmt.Fprintln(t, "VALUE\tSPEARMAN\tGINI\tLIFT 10 %\t")
	for _, x := range ra.Value {
		for _, y := range rb.Value {
			if x.Name == y.Name {
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t\n", x.Name, pair(x.Spearman, y.Spearman), pair(x.Gini, y.Gini), pair(x.Lift, y.Lift))
			}
		}
	}
	return t.Flush()
}

// scores are those of the same customers in the same order.
type scores struct {
	churn, value []float64
	band         []string
}

func scoreBoth(ctx context.Context, cfg *config.Config, a, b *bundle.Bundle, path, asOf string, p *bar) (before, after scores, err error) {
	cutoff, err := parseDates("--as-of", asOf)
	if err != nil {
		return before, after, err
	}
	h, err := training.Load(ctx, cfg, path, p.step)
	if err != nil {
		return before, after, err
	}
	rows, err := h.RowsAsOf(cutoff)
	if err != nil {
		return before, after, err
	}
	defer rows[0].Release()
	first, err := stage.NewScorer(cfg.Model, a, nil)
	if err != nil {
		return before, after, err
	}
	defer func() { err = errors.Join(err, first.Close()) }()
	second, err := stage.NewScorer(cfg.Model, b, first)
	if err != nil {
		return before, after, err
	}
	defer func() { err = errors.Join(err, second.Close()) }()
	if before, err = scoreRowsOf(ctx, first, rows[0], func(n int) { p.step("scoring with the first", n, int(rows[0].NumRows())) }); err != nil {
		return before, after, err
	}
	after, err = scoreRowsOf(ctx, second, rows[0], func(n int) { p.step("scoring with the second", n, int(rows[0].NumRows())) })
	return before, after, err
}

func scoreRowsOf(ctx context.Context, sc *stage.Scorer, rows arrow.Record, step func(n int)) (out scores, err error) {
	for from := int64(0); from < rows.NumRows(); from += scoreRows {
		part := rows.NewSlice(from, min(from+scoreRows, rows.NumRows()))
		rec, err := sc.Score(ctx, part)
		part.Release()
		if err != nil {
			return out, err
		}
		churn, value := rec.Column(schemas.ColChurn).(*array.Float32), rec.Column(schemas.ColValue).(*array.Float32)
		band := rec.Column(schemas.ColChurnBand).(*array.String)
		for i := range int(rec.NumRows()) {
			out.churn, out.value = append(out.churn, float64(churn.Value(i))), append(out.value, float64(value.Value(i)))
			out.band = append(out.band, string([]byte(band.Value(i))))
		}
		rec.Release()
		step(len(out.churn))
	}
	return out, nil
}

// printMoves says how scores move from the first bundle to the second.
func printMoves(w io.Writer, before, after scores) error {
	n := len(before.churn)
	if n == 0 {
		return errors.New("the history has no customer as of that day")
	}
	moves, bands := make([]float64, n), map[string]int{}
	for i := range moves {
		moves[i] = math.Abs(after.churn[i] - before.churn[i])
		if before.band[i] != after.band[i] {
			bands[before.band[i]+" -> "+after.band[i]]++
		}
	}
	sort.Float64s(moves)
	at := func(q float64) float64 { return moves[min(n-1, int(q*float64(n)))] }
	fmt.Fprintf(w, "%d customers: churn_probability moves by %.4f in the median, %.4f at 95 %%, at most %.4f\n", n, at(.5), at(.95), moves[n-1])
	fmt.Fprintf(w, "rank correlation: churn %.4f, value %.4f\n", eval.Spearman(before.churn, after.churn), eval.Spearman(before.value, after.value))
	changes := make([]string, 0, len(bands))
	for c := range bands {
		changes = append(changes, c)
	}
	sort.Strings(changes)
	for _, c := range changes {
		fmt.Fprintf(w, "churn band %s: %d customers\n", c, bands[c])
	}
	return nil
}
