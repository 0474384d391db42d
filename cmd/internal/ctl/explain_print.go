package ctl

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"profilestream/inference/explain"
	"profilestream/inference/heads"
	"profilestream/schemas"
)

// shownReasons is how many reasons are printed; JSON has all.
const shownReasons = 10

// print writes the explanation for people.
func (x *explained) print(w io.Writer) error {
	fmt.Fprintf(w, "%s as of %s, digest %s\n", x.User, x.AsOf.Format(time.RFC3339Nano), x.Digest)
	if x.KnownOffset != nil {
		fmt.Fprintf(w, "log partition %d, known up to offset %d", *x.LogPartition, *x.KnownOffset)
		if x.LogOffset != nil {
			fmt.Fprintf(w, ", row caused by offset %d", *x.LogOffset)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "model %s\n", x.ModelVersion)
	if x.Stored != nil {
		x.Stored.print(w)
	}
	if err := x.known(w); err != nil {
		return err
	}
	fmt.Fprintf(w, "Churn %.3f (%s), expected value %s %.2f (%s)", x.Churn, x.ChurnBand, x.Currency, x.Value, x.ValueBand)
	if n := x.ValueInterval; n != nil {
		fmt.Fprintf(w, ", with %.0f %% between %.2f and %.2f", 100*n.Coverage, n.Low, n.High)
	}
	for _, r := range x.Returns {
		fmt.Fprintf(w, ", buys within %d days %.3f", r.Days, r.Probability)
	}
	if x.Sentiment != nil {
		fmt.Fprintf(w, ", sentiment %+.2f", *x.Sentiment)
	}
	if len(x.Flags) > 0 {
		fmt.Fprintf(w, ", flags %s", strings.Join(x.Flags, " "))
	}
	fmt.Fprint(w, "\n\nThe windows\n")
	if err := x.windows(w); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nThe text that the encoder read\n%s\n\n", x.Text)
	if err := x.reasons(w); err != nil {
		return err
	}
	if err := x.topEvents(w); err != nil {
		return err
	}
	return x.flips(w)
}

// known says which events the row rests on.
func (x *explained) known(w io.Writer) error {
	var kinds []string
	total := 0
	for _, kind := range slices.Sorted(maps.Keys(x.Known)) {
		kinds = append(kinds, fmt.Sprintf("%d %s", x.Known[kind], kind))
		total += x.Known[kind]
	}
	fmt.Fprintf(w, "%d events known: %s\n", total, strings.Join(kinds, ", "))
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, e := range x.KnownEvents {
		fmt.Fprintf(t, "  %s\t%s\t%s\n", e.At.Format("2006-01-02 15:04:05.000"), e.Type, e.What)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}

func (x *explained) windows(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', tabwriter.AlignRight)
	for _, win := range schemas.Windows {
		fmt.Fprintf(t, "\t%s", win.Name)
	}
	fmt.Fprintln(t, "\t")
	for m, measure := range schemas.Measures {
		fmt.Fprint(t, measure.Name)
		for win := range schemas.Windows {
			fmt.Fprintf(t, "\t%s", word(x.Features[schemas.Features[schemas.At(win, m)].Name]))
		}
		fmt.Fprintln(t, "\t")
	}
	if err := t.Flush(); err != nil {
		return err
	}
	var life []string
	for i := range schemas.NumLife {
		name := schemas.Features[schemas.Life(i)].Name
		life = append(life, name+" "+word(x.Features[name]))
	}
	_, err := fmt.Fprintln(w, strings.Join(life, ", "))
	return err
}

// word writes a feature's value.
func word(v any) string {
	switch v := v.(type) {
	case nil:
		return "-"
	case float64:
		return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64)
	case time.Time:
		return v.Format("2006-01-02T15:04")
	}
	return fmt.Sprint(v)
}

func (x *explained) reasons(w io.Writer) error {
	fmt.Fprintf(w, "Why: log-odds of churn %+.2f = base %+.2f and\n", x.LogOdds, x.Base)
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	var rest float64
	for i, r := range x.Reasons {
		if i >= shownReasons {
			rest += r.Effect.Effect
			continue
		}
		value := ""
		if v, ok := x.Features[r.Feature]; ok {
			value = "is " + word(v)
		}
		fmt.Fprintf(t, "%+.3f\t%.0f %%\t%s\t%s\n", r.Effect.Effect, 100*r.Share, r.Feature, value)
	}
	if n := len(x.Reasons) - shownReasons; n > 0 {
		fmt.Fprintf(t, "%+.3f\t\t%d others\t\n", rest, n)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "Effects by part of the model: %s.\n", heads.MethodWords(x.Methods))
	return err
}

func (x *explained) topEvents(w io.Writer) error {
	fmt.Fprintf(w, "\nEvents that mattered most: the score with each less the score without it (%d of %d tried)\n", x.Events.Tried, x.Events.Total)
	if len(x.Events.Top) == 0 {
		_, err := fmt.Fprintln(w, "No single event moves the score.")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "CHURN\tVALUE\tTIME\tEVENT\t")
	for _, e := range x.Events.Top {
		churn, value := fmt.Sprintf("%+.3f", e.Churn), fmt.Sprintf("%+.2f", e.Value)
		if e.Only {
			churn, value = "all", "all"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", churn, value, e.At.Format("2006-01-02 15:04"), e.Type, e.What)
	}
	return t.Flush()
}

func (x *explained) flips(w io.Writer) error {
	if len(x.Flips) == 0 {
		_, err := fmt.Fprintf(w, "\nNo purchase, visits, later last order or silence that was tried leads out of the band %s.\n", x.ChurnBand)
		return err
	}
	fmt.Fprintf(w, "\nThe smallest change out of the band %s: %s\n", x.ChurnBand, flipWords(&x.Flips[0]))
	for _, f := range x.Flips[1:] {
		fmt.Fprintf(w, "  or %s\n", flipWords(&f))
	}
	return nil
}

func flipWords(f *explain.Flip) string {
	return fmt.Sprintf("%s: churn %.3f (%s), cost %.1f days", f.Words, f.Churn, f.Band, f.Cost)
}
