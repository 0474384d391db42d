package finetune

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"profilestream/inference/encoder/encodertest"
)

// full runs the tests here on all their data: minutes of CPU.
var full = os.Getenv("PROFILESTREAM_FINETUNE") == "full"

// readRequests reads the labelled requests of clinc150.
func readRequests(t *testing.T, c Columns) []Example {
	t.Helper()
	folder := os.Getenv("PROFILESTREAM_DATA")
	if folder == "" {
		t.Skip("SKIPPED, fine-tuning on real requests is NOT tested: PROFILESTREAM_DATA names no folder with clinc150_dev.csv.gz")
	}
	c.Text = "text"
	out, err := ReadExamples(filepath.Join(folder, "clinc150_dev.csv.gz"), c)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// every keeps one of n held-out examples.
func every(n int, all []Example) []Example {
	var out []Example
	held := 0
	for _, e := range all {
		if e.Held {
			if held++; held%n != 0 {
				continue
			}
		}
		out = append(out, e)
	}
	return out
}

func logTable(t *testing.T, r *Result) {
	t.Helper()
	var table strings.Builder
	if err := r.Report.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", table.String())
}

// TestDomainsOfRequests learns ten domains. In full: from 1,000 texts, judged on the
// file's own 3,000 of validation.
func TestDomainsOfRequests(t *testing.T) {
	o := Options{Epochs: 2, Rate: 2e-4, HeadRate: 4e-3, Seed: 1}
	c, least, thinned := Columns{Label: "domain", Split: "split", Limit: 250, Seed: 1}, .7, 60
	if full {
		o.Epochs, o.Rate, o.HeadRate = 5, 5e-5, 1e-3
		c.Limit, least, thinned = 1000, .90, 1
	}
	dir := encodertest.Source(t)
	r, err := Run(context.Background(), dir, every(thinned, readRequests(t, c)), o)
	if err != nil {
		t.Fatal(err)
	}
	logTable(t, r)
	if best := r.Report.BestEpoch(); best.Accuracy < least {
		t.Errorf("accuracy %.4f, want at least %.2f", best.Accuracy, least)
	}
	out := filepath.Join(t.TempDir(), "tuned")
	if err := r.Export(out); err != nil {
		t.Fatal(err)
	}
	compareServed(t, r, out, []string{"what is my balance", "play some jazz", "how do i say good night in french", "book a table for two", "is there enough gas in the tank"})
}

// demand is what a request about shopping or money is, in clinc150: two domains and
// single intents of others.
var demand = map[string][]string{
	"domain": {"banking", "credit_cards"},
	"intent": {"shopping_list", "shopping_list_update", "order", "order_status", "exchange_rate", "income", "payday", "taxes", "direct_deposit", "rollover_401k"},
}

// TestReferenceJob is the binary job: 1,000 texts, 128 tokens at most, batches of 32, 3
// epochs at 1e-5, a fifth held out. The short form has 80 texts.
func TestReferenceJob(t *testing.T) {
	c, least := Columns{Split: "split", Positive: demand, Limit: 80, Seed: 1}, .5
	if full {
		c.Limit, least = 1000, .85
	}
	var examples []Example
	for _, e := range readRequests(t, c) {
		if !e.Held { // the job draws its own fifth
			examples = append(examples, e)
		}
	}
	r, err := Run(context.Background(), encodertest.Source(t), examples, Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	logTable(t, r)
	if e := r.Report.Epochs; !(e[len(e)-1].TrainLoss < e[0].TrainLoss) {
		t.Errorf("the training loss does not fall: %+v", e)
	}
	if best := r.Report.BestEpoch(); best.Accuracy < least || len(r.Report.Epochs) != 3 || r.Report.Validation != c.Limit/5 {
		t.Errorf("%d epochs, %d held out, accuracy %.4f, want at least %.2f", len(r.Report.Epochs), r.Report.Validation, best.Accuracy, least)
	}
}
