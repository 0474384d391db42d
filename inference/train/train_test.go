package train

import (
	"bytes"
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"

	"profilestream/inference/eval"
	"profilestream/inference/internal/fixture"
	"profilestream/inference/stability"
)

func dataset(users, cutoffs int) Dataset {
	s := fixture.New(users, cutoffs, 5)
	d := Dataset{Rows: []arrow.Record{s.Rows}, Churn: s.Churn, Spend: s.Spend, Category: s.Category, Horizon: 30 * 24 * time.Hour}
	for _, t := range []string{"lovely", "great quality", "lovely fast", "nice thing", "love it", "great", "good good"} {
		d.Feedback = append(d.Feedback, Labelled{Text: t, Positive: true})
	}
	for _, t := range []string{"broken", "arrived late", "bad quality", "broken again", "awful", "late and broken", "bad"} {
		d.Feedback = append(d.Feedback, Labelled{Text: t})
	}
	for c, n := range fixture.Names {
		d.Catalogue = append(d.Catalogue, Category{Name: n, Products: []string{fixture.Product(c, 0), fixture.Product(c, 1)}})
	}
	return d
}

func quick() Options {
	return Options{Seed: 3, Texts: &fixture.Texts{}, Embedder: &fixture.Embedder{}, Folds: 2, TestFolds: 2, Epochs: 4, Rounds: 25, Trials: 1, Hidden: 8, Components: 8}
}

func TestTrainBeatsRecencyAndRepeats(t *testing.T) {
	t.Parallel()
	d := dataset(350, 2)
	r, err := Train(context.Background(), d, quick())
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]eval.Classifier{}
	for _, c := range r.Report.Churn {
		by[c.Name] = c
		t.Logf("%-20s AUC %.3f [%.3f,%.3f] Brier %.3f ECE %.3f", c.Name, float64(c.AUC.Value), float64(c.AUC.Low), float64(c.AUC.High), float64(c.Brier.Value), float64(c.ECE.Value))
	}
	for _, c := range r.Report.Value {
		t.Logf("%-20s Spearman %.3f Gini %.3f ratio %.3f", c.Name, float64(c.Spearman.Value), float64(c.Gini.Value), float64(c.Ratio.Value))
	}
	if m, rec := by["model"].AUC.Value, by["recency"].AUC.Value; m <= rec {
		t.Errorf("the model's AUC %v is not above recency's %v", m, rec)
	}
	again, err := Train(context.Background(), dataset(350, 2), quick())
	if err != nil {
		t.Fatal(err)
	}
	a, err := r.Model.Encode()
	if err != nil {
		t.Fatal(err)
	}
	b, err := again.Model.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) || !bytes.Equal(r.JSON, again.JSON) || !reflect.DeepEqual(r.Reference, again.Reference) {
		t.Error("one seed gave two results")
	}
	if ref := r.Reference; ref.Rows != int64(len(d.Churn)) || ref.HorizonDays != 30 {
		t.Errorf("the reference is of %d rows and %d days, the data of %d and 30", ref.Rows, ref.HorizonDays, len(d.Churn))
	}
	raw, err := r.Reference.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stability.Decode(raw); err != nil {
		t.Errorf("the reference that training makes is refused: %v", err)
	}
}
