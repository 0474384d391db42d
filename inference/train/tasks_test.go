package train

import (
	"context"
	"fmt"
	"testing"

	"profilestream/inference/eval"
	"profilestream/inference/heads"
	"profilestream/inference/internal/fixture"
)

// TestTasksAreJudgedBesideSimpleRules trains on a world where customers buy what
// they lately looked at, and reads the report.
func TestTasksAreJudgedBesideSimpleRules(t *testing.T) {
	t.Parallel()
	d := dataset(220, 1)
	came := make([]bool, len(d.Churn))
	l := &Latent{Known: make([]bool, len(came)), Gone: make([]bool, len(came)), Spend: d.Spend}
	for i := range came {
		came[i] = !d.Churn[i]
		l.Known[i], l.Gone[i] = i%10 != 0, d.Churn[i]
	}
	d.Returns, d.Latent = []Return{{Days: 7, Came: came}}, l
	d.Bought = make([][]Count, len(came))
	for i := range d.Bought {
		d.Bought[i] = []Count{{Category: fixture.Names[i%len(fixture.Names)], N: 2}} // tells nothing
	}
	o := quick()
	o.Control, o.TestFolds = true, 2
	r, err := Train(context.Background(), d, o)
	if err != nil {
		t.Fatal(err)
	}
	tasks := r.Report.Tasks
	if tasks == nil || tasks.Next == nil || len(tasks.Returns) != 1 || tasks.Sentiment == nil || tasks.Latent == nil {
		t.Fatalf("the report lacks a task: %+v", tasks)
	}
	by := map[string]eval.Chooser{}
	for _, m := range tasks.Next.Models {
		by[m.Name] = m
		t.Logf("next: %-26s top 1 %.3f, top 3 %.3f, log loss %.3f", m.Name, m.Top1.Value, m.Top3.Value, m.LogLoss.Value)
	}
	if _, ok := by["counts and text of others"]; !ok {
		t.Error("the next category has no control")
	}
	if m := by["model"]; !(m.Ahead.Low > 0) || !(m.LogLoss.Value < by["most popular category"].LogLoss.Value) {
		t.Errorf("the model is not ahead of the most-bought category: %+v", m)
	}
	if r.Model.Next == nil || len(r.Model.Returns) != 1 || r.Model.Returns[0].Days != 7 {
		t.Errorf("the bundle lacks heads: %v, %v", r.Model.Next, r.Model.Returns)
	}
	names := map[string]bool{}
	for _, m := range tasks.Latent.DropOut {
		names[m.Name] = true
	}
	for _, want := range []string{"model", "recency", "rfm logistic", numbersAlone, "numbers and text", "numbers and text of others"} {
		if !names[want] {
			t.Errorf("the latent drop-out is not compared with %q: %v", want, names)
		}
	}
	if n := tasks.Latent.Rows; n == 0 || n > len(came)*9/10+1 {
		t.Errorf("%d rows are compared with the truth", n)
	}
}

func TestLabelsHaveToFitTheRows(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(d *Dataset){
		"next categories":     func(d *Dataset) { d.Category = d.Category[1:] },
		"counts of purchases": func(d *Dataset) { d.Bought = make([][]Count, 3) },
		"purchases in 7 days": func(d *Dataset) { d.Returns = []Return{{Days: 7}} },
		"the simulated truth": func(d *Dataset) { d.Latent = &Latent{} },
	} {
		d := dataset(60, 1)
		spoil(&d)
		if _, err := Train(context.Background(), d, quick()); err == nil {
			t.Errorf("%s of another length are taken", name)
		}
	}
}

func TestCatalogueIsBounded(t *testing.T) {
	t.Parallel()
	var cs []Category
	for c := range heads.MaxCategories + 10 {
		cs = append(cs, Category{Name: fmt.Sprintf("c%03d", c), Products: make([]string, c%5)})
	}
	got := listed(cs, []string{"c005", "c005", "c000"})
	if len(got) != heads.MaxCategories || got[0].Name != "c000" {
		t.Fatalf("%d categories, first %q", len(got), got[0].Name)
	}
	for i, c := range got[1:] {
		if c.Name <= got[i].Name {
			t.Fatal("the catalogue's order is lost")
		}
	}
}

func TestWordMood(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"I love the lamp! Highly recommended.": 1, "It broke, a waste of money.": -1, "It is a lamp.": 0, "非常满意": 1, "质量太差": -1,
	} {
		if got := wordMood(text); (want > 0) != (got > .5) || (want < 0) != (got < .5) {
			t.Errorf("%q has the mood %v", text, got)
		}
	}
}

// TestDealtKeepsCounts wants each row to keep its listed entries and to get all
// that is read of one other row.
func TestDealtKeepsCounts(t *testing.T) {
	t.Parallel()
	const rows = 12
	in := &tasks{o: &Options{Seed: 1}, s: &sample{}}
	for i := range rows {
		in.label = append(in.label, i%5-1) // -1: not dealt
		in.s.embeddings = append(in.s.embeddings, []float32{float32(i)})
		in.sights = append(in.sights, []heads.Sight{{Category: i}, {Category: -1, AgeDays: float64(i)}, {Category: -1, AgeDays: float64(i)}})
	}
	out, moved, from := in.dealt(), 0, map[float64]bool{}
	for i, entries := range out.sights {
		read := float64(out.s.embeddings[i][0])
		if len(entries) != 3 || entries[0].Category != i || entries[1].AgeDays != read || entries[2].AgeDays != read {
			t.Errorf("row %d has the entries %+v and the text of %v", i, entries, read)
		}
		if in.label[i] < 0 && read != float64(i) {
			t.Errorf("row %d has no label and was dealt to", i)
		}
		if from[read] = true; read != float64(i) {
			moved++
		}
		if in.s.embeddings[i][0] != float32(i) || in.sights[i][1].AgeDays != float64(i) {
			t.Errorf("row %d itself was changed", i)
		}
	}
	if moved < rows/2 || len(from) != rows {
		t.Errorf("%d of %d rows were dealt to, from %d", moved, rows, len(from))
	}
}
