package ctl

import (
	"fmt"
	"io"
	"text/tabwriter"

	"profilestream/inference/eval"
)

// printTasks shows how the tasks beside churn and value were judged.
func printTasks(w io.Writer, e *eval.Tasks) error {
	if e == nil {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	if n := e.Next; n != nil {
		fmt.Fprintf(t, "\nNEXT OF %d CATEGORIES\tTOP 1\t95 %%\tTOP 3\tLOG LOSS\t\n", n.Categories)
		for _, m := range n.Models {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t\n", m.Name, digits(m.Top1.Value), between(m.Top1), digits(m.Top3.Value), digits(m.LogLoss.Value))
		}
		if n.TextAdds != nil {
			fmt.Fprintf(t, "text adds\t%+.3f\t%s\t\t%+.3f\t\n", float64(n.TextAdds.Value), between(*n.TextAdds), float64(n.TextAddsLoss.Value))
		}
	}
	for _, r := range e.Returns {
		fmt.Fprintf(t, "\nPURCHASE WITHIN %d DAYS\tROC-AUC\t95 %%\tBRIER\tECE\t\n", r.Days)
		for _, m := range r.Models {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t\n", m.Name, digits(m.AUC.Value), between(m.AUC), digits(m.Brier.Value), digits(m.ECE.Value))
		}
	}
	if s := e.Sentiment; s != nil {
		fmt.Fprintf(t, "\nMOOD OF %d FEEDBACKS\tACCURACY\t95 %%\tROC-AUC\t\t\n", s.Texts)
		for _, m := range s.Models {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t\t\n", m.Name, digits(m.Accuracy.Value), between(m.Accuracy), digits(m.AUC.Value))
		}
	}
	if l := e.Latent; l != nil {
		latent := func(title string, models []eval.LatentModel) {
			fmt.Fprintf(t, "\n%s\t95 %%\tAHEAD OF NUMBERS\t95 %%\t\n", title)
			for _, m := range models {
				fmt.Fprintf(t, "%s\t%s\t%s\t%+.3f\t%s\t\n", m.Name, digits(m.Figure.Value), between(m.Figure), float64(m.Ahead.Value), between(m.Ahead))
			}
		}
		latent(fmt.Sprintf("LATENT DROP-OUT OF %d ROWS\tROC-AUC", l.Rows), l.DropOut)
		latent("LATENT EXPECTED SPEND\tSPEARMAN", l.Spend)
	}
	return t.Flush()
}
