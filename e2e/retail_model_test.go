package e2e

import (
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/zeebo/xxh3"

	"profilestream/e2e/harness"
)

// full says that the tests of models run in their full sizes: make eval.
func full() bool { return os.Getenv("E2E_EVAL") == "full" }

// verdict is the part of evaluation.json that the tests look at.
type verdict struct {
	TestUsers int `json:"test_users"`
	Gate      struct {
		Passed bool              `json:"passed"`
		Checks []json.RawMessage `json:"checks"`
	} `json:"gate"`
	Churn []struct {
		Name string                       `json:"name"`
		AUC  struct{ Low, High *float64 } `json:"roc_auc"`
	} `json:"churn"`
	Value  []struct{ Name string }             `json:"value"`
	Groups []struct{ Dimension, Group string } `json:"groups"`
}

func readVerdict(t *testing.T, bundle string) verdict {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(bundle, "evaluation.json"))
	if err != nil {
		t.Fatal(err)
	}
	var j verdict
	if err := json.Unmarshal(b, &j); err != nil {
		t.Fatal(err)
	}
	return j
}

// TestRetailModel trains on a real shop, time and customers apart, and shows the
// report. The whole development file passes the gate; CI looks at the small one,
// of which nobody can tell.
func TestRetailModel(t *testing.T) {
	name, cutoffs := "online_retail_tiny.csv.gz", "2011-04-01,2011-06-01"
	if full() {
		name, cutoffs = "online_retail_dev.csv.gz", "2011-03-01,2011-04-01,2011-05-01,2011-06-01"
	}
	file, out := harness.DataFile(t, name), filepath.Join(t.TempDir(), "bundle")
	t.Log(profilectl(t, "train", file, "--cutoffs", cutoffs, "--horizon", "90d", "--out", out, "--encoder", encoderDir()))
	j := readVerdict(t, out)
	if full() && !j.Gate.Passed {
		t.Error("the gate refuses a model of the whole file")
	}
	if len(j.Gate.Checks) < 5 || len(j.Groups) < 4 {
		t.Errorf("the gate has %d checks, the report %d groups", len(j.Gate.Checks), len(j.Groups))
	}
	for _, want := range []string{"recency", "rfm logistic", "BG/NBD", "spend of the last 90 days", "model", "numbers alone", "numbers and text"} {
		found := false
		for _, c := range j.Churn {
			found = found || c.Name == want && c.AUC.Low != nil && *c.AUC.Low <= *c.AUC.High
		}
		if !found {
			t.Errorf("the report has no ROC-AUC with an interval of %q", want)
		}
	}
	s := scoreFile(t, file, out, "2011-06-01")
	truth := readTruthOf(t, file, time.Date(2011, 6, 1, 0, 0, 0, 0, time.UTC))
	if len(s) != len(truth) {
		t.Errorf("%d customers are scored, %d had a purchase before the day", len(s), len(truth))
	}
}

// encoderDir keeps the imported encoder for all trainings of the package.
func encoderDir() string { return filepath.Join(shared.dir, "encoder") }

// future is what a customer did before and after a day, read from the file
// without any code of ours.
type future struct {
	bought bool    // in the 90 days from the day on
	spent  float64 // in them, less returns
	last   time.Time
}

func readTruthOf(t *testing.T, file string, day time.Time) map[string]*future {
	t.Helper()
	out, end := map[string]*future{}, day.AddDate(0, 0, 90)
	for _, l := range readRetail(t, file)[1:] {
		at, err := time.Parse(time.DateTime, l[4])
		if err != nil {
			t.Fatal(err)
		}
		quantity, price := float(t, l[3]), float(t, l[5])
		purchase := !strings.HasPrefix(l[0], "C")
		if l[6] == "" || price < 0 || purchase != (quantity > 0) || quantity == 0 || !at.Before(end) {
			continue
		}
		f := out[l[6]]
		if f == nil {
			f = &future{}
			out[l[6]] = f
		}
		switch {
		case !at.Before(day):
			f.bought = f.bought || purchase
			f.spent += quantity * price
		case purchase && at.After(f.last):
			f.last = at
		}
	}
	for id, f := range out {
		if f.last.IsZero() {
			delete(out, id)
		}
	}
	return out
}

func readRetail(t *testing.T, file string) [][]string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(z).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// scored is a line of scores.csv.
type scored struct{ churn, value float64 }

func scoreFile(t *testing.T, file, bundle, asOf string) map[string]scored {
	t.Helper()
	out := filepath.Join(t.TempDir(), "scores.csv")
	t.Log(profilectl(t, "score", file, "--model", bundle, "--as-of", asOf, "--out", out))
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(lines[0], ","); got != "customer_id,churn_probability,value_expected" {
		t.Fatalf("scores.csv has the columns %s", got)
	}
	m := map[string]scored{}
	for _, l := range lines[1:] {
		m[l[0]] = scored{float(t, l[1]), float(t, l[2])}
	}
	return m
}

// TestRetailStrangers makes the check that matters: customers and dates that no
// training saw, through files and commands only. Half of the customers train,
// with labels that end before the day on which the other half is scored.
func TestRetailStrangers(t *testing.T) {
	if !full() {
		t.Skip("SKIPPED: minutes of training; make eval runs it")
	}
	file := harness.DataFile(t, "online_retail_dev.csv.gz")
	day := time.Date(2011, 6, 1, 0, 0, 0, 0, time.UTC)
	const halvings = 3
	for _, cutoffs := range []string{"2011-02-01,2011-03-01", "2011-03-01,2011-04-01,2011-05-01"} {
		var sum [5]float64
		for seed := range uint64(halvings) {
			mine, others := halves(t, file, seed)
			out := filepath.Join(t.TempDir(), "bundle")
			profilectl(t, "train", mine, "--cutoffs", cutoffs, "--horizon", "90d", "--out", out, "--encoder", encoderDir())
			got, truth := scoreFile(t, others, out, "2011-06-01"), readTruthOf(t, others, day)
			if len(got) != len(truth) {
				t.Fatalf("%d customers are scored, %d had a purchase before the day", len(got), len(truth))
			}
			f := figures(got, truth, day)
			t.Logf("cut-offs %s, halving %d: %d strangers, AUC %.3f (recency %.3f), Brier %.3f, ECE %.3f, Spearman %.3f", cutoffs, seed, len(got), f[0], f[4], f[1], f[2], f[3])
			for k := range sum {
				sum[k] += f[k] / halvings
			}
		}
		t.Logf("cut-offs %s, mean: AUC %.3f (recency %.3f), Brier %.3f, ECE %.3f, Spearman %.3f", cutoffs, sum[0], sum[4], sum[1], sum[2], sum[3])
		if sum[0] <= sum[4] {
			t.Errorf("AUC %.3f is not above recency's %.3f", sum[0], sum[4])
		}
	}
}

// figures are AUC, Brier score, ECE over ten bins, Spearman of value, and the AUC
// of days since the last order.
func figures(got map[string]scored, truth map[string]*future, day time.Time) (f [5]float64) {
	var p, v, spent, silent []float64
	var gone []bool
	for id, w := range truth {
		s := got[id]
		p, v, spent = append(p, s.churn), append(v, s.value), append(spent, math.Max(0, w.spent))
		silent, gone = append(silent, math.Floor(day.Sub(w.last).Hours()/24)), append(gone, !w.bought)
	}
	var n, ps, ys [10]float64
	for i, x := range p {
		y := 0.
		if gone[i] {
			y = 1
		}
		f[1] += (x - y) * (x - y) / float64(len(p))
		b := min(9, int(x*10))
		n[b], ps[b], ys[b] = n[b]+1, ps[b]+x, ys[b]+y
	}
	for b := range n {
		f[2] += math.Abs(ps[b]-ys[b]) / float64(len(p))
	}
	f[0], f[3], f[4] = auc(p, gone), pearson(ranks(v), ranks(spent)), auc(silent, gone)
	return f
}

// halves writes the lines of half of the customers to one file, and of the others
// to another.
func halves(t *testing.T, file string, seed uint64) (one, other string) {
	t.Helper()
	lines := readRetail(t, file)
	names := [2]string{}
	for k := range names {
		names[k] = filepath.Join(t.TempDir(), "half-"+strconv.Itoa(k)+".csv.gz")
		f, err := os.Create(names[k])
		if err != nil {
			t.Fatal(err)
		}
		z := gzip.NewWriter(f)
		w := csv.NewWriter(z)
		if err := w.Write(lines[0]); err != nil {
			t.Fatal(err)
		}
		for _, l := range lines[1:] {
			if int(xxh3.HashStringSeed(l[6], seed)&1) == k {
				if err := w.Write(l); err != nil {
					t.Fatal(err)
				}
			}
		}
		w.Flush()
		if err := w.Error(); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return names[0], names[1]
}
