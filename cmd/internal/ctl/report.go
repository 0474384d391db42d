package ctl

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"text/tabwriter"
	"time"

	"profilestream/cmd/internal/training"
	"profilestream/inference/bundle"
	"profilestream/inference/eval"
)

// state is what a list of bundles says of one that loads.
func state(b *bundle.Bundle) string {
	if len(b.Refused()) > 0 {
		return "refused"
	}
	return "passed"
}

// printBundle prints what a bundle is and how it was judged. took is how long it
// was made, 0 where that is not known.
func printBundle(w io.Writer, b *bundle.Bundle, took time.Duration) error {
	var e eval.Report
	if err := json.Unmarshal(b.Evaluation, &e); err != nil {
		return fmt.Errorf("%s: %w", b.Path(bundle.EvaluationFile), err)
	}
	fmt.Fprintf(w, "%s: bundle %s, trained on %d rows\n", b.Dir, b.ID(), e.TrainRows)
	fmt.Fprintf(w, "judged on %d rows of %d held-out customers, %s of which churn; split by %s\n", e.TestRows, e.TestUsers, digits(e.ChurnRate), e.Split.Words)
	if took > 0 {
		fmt.Fprintf(w, "made in %s; the whole report is %s\n", took.Round(time.Second), b.Path(bundle.ReportFile))
	}
	if why := e.Notes[training.NoteRejected]; why != "" {
		fmt.Fprintf(w, "not learnt from: %s\n", why)
	}
	if how := e.Notes["effects"]; how != "" {
		fmt.Fprintf(w, "reasons: %s\n", how)
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	printFigures(t, &e)
	printBands(t, &e)
	printChecks(t, e.Gate)
	if err := t.Flush(); err != nil {
		return err
	}
	if err := printTasks(w, e.Tasks); err != nil {
		return err
	}
	return printGate(w, b)
}

func printFigures(t io.Writer, e *eval.Report) {
	fmt.Fprintln(t, "\nCHURN\tROC-AUC\t95 %\tPR-AUC\tBRIER\t95 %\tECE\tLIFT 10 %")
	for _, c := range e.Churn {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", named(c.Name, c.Kind), digits(c.AUC.Value), between(c.AUC), digits(c.AP.Value), digits(c.Brier.Value), between(c.Brier), digits(c.ECE.Value), digits(c.Lift.Value))
	}
	fmt.Fprintln(t, "\nVALUE\tSPEARMAN\t95 %\tGINI\tLIFT 10 %\tMEAN ERROR\tEXPECTED/SPENT")
	for _, v := range e.Value {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", named(v.Name, v.Kind), digits(v.Spearman.Value), between(v.Spearman), digits(v.Gini.Value), digits(v.Lift.Value), digits(v.Absolute.Value), digits(v.Ratio.Value))
	}
	for _, r := range e.Ranges {
		fmt.Fprintf(t, "of the intervals for %s of the spends\t%s hold them\t%s\n", digits(r.Level), digits(r.Coverage.Value), between(r.Coverage))
	}
	if a := e.Text; a != nil {
		fmt.Fprintln(t, "\nTEXT ADDS\tDIFFERENCE\t95 %")
		for _, d := range []struct {
			name string
			f    eval.Figure
		}{{"ROC-AUC", a.AUC}, {"Brier", a.Brier}, {"Spearman of value", a.Spearman}} {
			fmt.Fprintf(t, "%s\t%+.4f\t%+.4f to %+.4f\n", d.name, d.f.Value, d.f.Low, d.f.High)
		}
	}
}

func printBands(t io.Writer, e *eval.Report) {
	fmt.Fprintln(t, "\nCHURN BAND\tFROM\tROWS\tCHURNED\t95 %")
	for _, b := range e.Bands {
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\n", b.Name, digits(b.From), b.N, digits(b.Rate.Value), between(b.Rate))
	}
	if len(e.Fairness) > 0 {
		fmt.Fprintln(t, "\nGROUPS DIFFER MOST IN\tHIGHEST\tLOWEST\tBY\t95 %")
	}
	for _, g := range e.Fairness {
		fmt.Fprintf(t, "%s of %s\t%s\t%s\t%s\t%s\n", g.Metric, g.Dimension, g.Highest, g.Lowest, digits(g.Difference.Value), between(g.Difference))
	}
}

func printChecks(t io.Writer, g *eval.Gate) {
	if g == nil {
		return
	}
	fmt.Fprintln(t, "\nGATE\tDIFFERENCE\t95 %\tHAS TO BE\t")
	for k := range g.Checks {
		c := &g.Checks[k]
		verdict := "passed"
		if !c.Passed {
			verdict = "FAILED"
		}
		fmt.Fprintf(t, "%s\t%+.4f\t%+.4f to %+.4f\t%s %s\t%s\n", c.Name, c.Difference.Value, c.Difference.Low, c.Difference.High, c.JudgedWords(), c.LimitWords(), verdict)
	}
}

// named sets what is no baseline apart.
func named(name, kind string) string {
	switch kind {
	case eval.KindModel:
		return "> " + name
	case eval.KindVariant:
		return "  of it: " + name
	}
	return name
}

func between(f eval.Figure) string {
	if math.IsNaN(float64(f.Low)) {
		return "-"
	}
	return digits(f.Low) + " to " + digits(f.High)
}

func digits(n eval.Number) string {
	if math.IsNaN(float64(n)) {
		return "-"
	}
	return fmt.Sprintf("%.3f", float64(n))
}

// printGate says whether the bundle may be used, and why not.
func printGate(w io.Writer, b *bundle.Bundle) error {
	reasons := b.Refused()
	if len(reasons) == 0 {
		_, err := fmt.Fprintln(w, "\ngate: passed")
		return err
	}
	if _, err := fmt.Fprintln(w, "\ngate: REFUSED, the scorer will not load it unless it is forced to"); err != nil {
		return err
	}
	for _, r := range reasons {
		if _, err := fmt.Fprintf(w, "  - %s\n", r); err != nil {
			return err
		}
	}
	return nil
}
