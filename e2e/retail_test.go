package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"profilestream/e2e/harness"
)

// retailSummary is what the conversion says of a retail file.
type retailSummary struct {
	Events    int64     `json:"events"`
	Customers int64     `json:"customers"`
	Purchases int64     `json:"purchases"`
	Refunds   int64     `json:"refunds"`
	LastEvent time.Time `json:"last_event"`
}

// TestTablesEqualOracleOnRetail runs a real shop's history, purchases and
// cancellations of nine months, through the pipeline and the oracle. There is no
// clickstream in it, and none is configured: a listed source without a record
// would hold time back, so that no day closed before the end.
func TestTablesEqualOracleOnRetail(t *testing.T) {
	file := harness.DataFile(t, retailFile(t))
	dir := filepath.Join(t.TempDir(), "retail")
	profilectl(t, "simulate", "--quiet", "--retail", file, "--out", dir)
	sum := readRetailSummary(t, dir)
	t.Logf("%s: %d events of %d customers", filepath.Base(file), sum.Events, sum.Customers)

	r := newRun(t, "retail")
	r.topics = []string{"retail.purchases"}
	t.Setenv("PROFILESTREAM_INPUT_TOPICS", r.topics[0])
	feed := r.named(harness.LoadFeed(t, dir, inputPartitions))
	if int64(len(feed.Purchases)) != sum.Events || len(feed.Clickstream) != 0 {
		t.Fatalf("%d purchase and %d clickstream records, want %d and 0", len(feed.Purchases), len(feed.Clickstream), sum.Events)
	}
	r.kafka.Send(feed.Purchases)
	r.drain(sum.LastEvent.AddDate(0, 0, 3))
	r.equalsOracle()

	rows := r.engine.Rows(t, `SELECT count(), sum(orders_total), sum(events_total), countIf(embedding = []), countIf(NOT isFinite(churn_probability))
		FROM `+r.database()+".profiles_latest")
	got := retailSummary{Customers: number(t, rows[0][0]), Purchases: number(t, rows[0][1]), Events: number(t, rows[0][2]), LastEvent: sum.LastEvent}
	got.Refunds = got.Events - got.Purchases
	if got != sum {
		t.Errorf("the profiles hold %+v, the file %+v", got, sum)
	}
	if rows[0][3] != "0" || rows[0][4] != "0" {
		t.Errorf("%s profiles without an embedding, %s without a churn probability", rows[0][3], rows[0][4])
	}
}

// retailFile is the whole of the development file, unless a quick try names the
// small one.
func retailFile(t *testing.T) string {
	const whole = "online_retail_dev.csv.gz"
	name := os.Getenv("E2E_RETAIL")
	if name == "" || name == whole {
		return whole
	}
	fmt.Fprintf(os.Stderr, "SHORTENED %s: %s instead of %s, as E2E_RETAIL asks\n", t.Name(), name, whole)
	return name
}

func readRetailSummary(t *testing.T, dir string) retailSummary {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "summary.json"))
	if err != nil {
		t.Fatal(err)
	}
	var s retailSummary
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	if s.Events == 0 {
		t.Fatal("the retail file has no events")
	}
	return s
}
