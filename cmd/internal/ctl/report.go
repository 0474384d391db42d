package ctl

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"text/tabwriter"
	"time"

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

func printBundle(w io.Writer, b *bundle.Bundle, took time.Duration) error {
	var e eval.Report
	if err := json.Unmarshal(b.Evaluation, &e); err != nil {
		return fmt.Errorf("%s: %w", b.Path(bundle.EvaluationFile), err)
	}
	fmt.Fprintf(w, "%s: bundle %s, trained on %d rows, judged on %d (%s), churn rate %.3f\n", b.Dir, b.ID(), e.TrainRows, e.TestRows, e.Split.Words, e.ChurnRate)
	if took > 0 {
		fmt.Fprintf(w, "made in %s; the whole report is %s\n", took.Round(time.Second), b.Path(bundle.ReportFile))
	}
	if err := printGate(w, b); err != nil {
		return err
	}
	if how := e.Notes["effects"]; how != "" {
		fmt.Fprintf(w, "reasons: %s\n", how)
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "CHURN\tROC-AUC\t95 %\tPR-AUC\tBRIER\tECE")
	for _, c := range e.Churn {
		fmt.Fprintf(t, "%s\t%s\t%s-%s\t%s\t%s\t%s\n", c.Name, digits(c.AUC.Value), digits(c.AUC.Low), digits(c.AUC.High), digits(c.AP.Value), digits(c.Brier.Value), digits(c.ECE.Value))
	}
	fmt.Fprintln(t, "VALUE\tSPEARMAN\t95 %\tGINI\tLIFT 10 %\t")
	for _, v := range e.Value {
		fmt.Fprintf(t, "%s\t%s\t%s-%s\t%s\t%s\t\n", v.Name, digits(v.Spearman.Value), digits(v.Spearman.Low), digits(v.Spearman.High), digits(v.Gini.Value), digits(v.Lift.Value))
	}
	return t.Flush()
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
		_, err := fmt.Fprintln(w, "gate: passed")
		return err
	}
	if _, err := fmt.Fprintln(w, "gate: REFUSED, the scorer will not load it unless it is forced to"); err != nil {
		return err
	}
	for _, r := range reasons {
		if _, err := fmt.Fprintf(w, "  - %s\n", r); err != nil {
			return err
		}
	}
	return nil
}
