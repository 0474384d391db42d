package train

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"

	"profilestream/inference/eval"
	"profilestream/inference/internal/fixture"
)

// retail reads a file of PROFILESTREAM_DATA as rows with labels of 90 days.
func retail(t testing.TB, file string, cutoffs ...string) Dataset {
	t.Helper()
	folder := os.Getenv("PROFILESTREAM_DATA")
	if folder == "" {
		t.Skip("SKIPPED: PROFILESTREAM_DATA does not name the folder with " + file + ", so the heads are not measured on real customers")
	}
	var at []time.Time
	for _, c := range cutoffs {
		d, err := time.Parse(time.DateOnly, c)
		if err != nil {
			t.Fatal(err)
		}
		at = append(at, d)
	}
	const horizon = 90 * 24 * time.Hour
	s, err := fixture.Retail(filepath.Join(folder, file), at, horizon)
	if err != nil {
		t.Fatal(err)
	}
	return Dataset{Rows: []arrow.Record{s.Rows}, Churn: s.Churn, Spend: s.Spend, Horizon: horizon}
}

func logReport(t *testing.T, r *eval.Report) map[string]eval.Classifier {
	t.Helper()
	by := map[string]eval.Classifier{}
	t.Logf("%d train, %d test rows of %d customers; split by %s", r.TrainRows, r.TestRows, r.TestUsers, r.Split.Words)
	for _, c := range r.Churn {
		by[c.Name] = c
		t.Logf("%-20s AUC %.3f [%.3f,%.3f] ahead [%.3f,%.3f] AP %.3f Brier %.4f ECE %.3f", c.Name, float64(c.AUC.Value), float64(c.AUC.Low), float64(c.AUC.High),
			float64(c.AUCAhead.Low), float64(c.AUCAhead.High), float64(c.AP.Value), float64(c.Brier.Value), float64(c.ECE.Value))
	}
	for _, c := range r.Value {
		t.Logf("%-20s Spearman %.3f Gini %.3f lift %.2f MAE %.1f ratio %.3f", c.Name, float64(c.Spearman.Value), float64(c.Gini.Value), float64(c.Lift.Value), float64(c.Absolute.Value), float64(c.Ratio.Value))
	}
	return by
}

// TestRetailCustomers measures the heads on real customers and dates that they
// were not fitted on.
func TestRetailCustomers(t *testing.T) {
	t.Parallel()
	d := retail(t, "online_retail_dev.csv.gz", "2011-04-01", "2011-06-01")
	o := Options{Seed: 1, Folds: 3, TestFolds: 2, Epochs: 8, Rounds: 90, Trials: 1}
	r, err := Train(context.Background(), d, o)
	if err != nil {
		t.Fatal(err)
	}
	by := logReport(t, r.Report)
	if m, rec := by["model"].AUC.Value, by["recency"].AUC.Value; m < rec {
		t.Errorf("the model's AUC %v is below recency's %v", m, rec)
	}
}
