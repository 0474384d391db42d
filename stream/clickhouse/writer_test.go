package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"profilestream/schemas"
)

const noon = int64(1_760_000_000_000)

// startWriter runs a writer for the length of the test.
func startWriter(t testing.TB, c *Client, deps Deps) *Writer {
	t.Helper()
	return run(t, NewWriter(c, deps))
}

func run(t testing.TB, w *Writer) *Writer {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return w
}

func TestEveryColumnArrivesAsItWas(t *testing.T) {
	for name, s := range map[string]func(*Client) sender{
		"encoded blocks":   newSender,
		"driver's batches": func(c *Client) sender { return &batchSender{conn: c.conn} },
	} {
		t.Run(name, func(t *testing.T) {
			c := testClient(t, testConfig(t, "columns"))
			checkColumns(t, c, run(t, newWriter(c.cfg, s(c), Deps{})))
		})
	}
}

func checkColumns(t *testing.T, c *Client, w *Writer) {
	const users = 1000
	for first := 0; first < users; first += 250 { // several records in one block
		rec := scoredRows(rowSpec{users: 250, first: first, version: 77, asOf: noon, trigger: schemas.TriggerCorrection, kafka: noon - 5000})
		if _, err := w.AddScored(t.Context(), rec, Meta{Promotion: 3, ConfigVersion: "cfg"}); err != nil {
			t.Fatal(err)
		}
		rec.Release()
	}
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := scalar[uint64](t, c, "SELECT count() FROM columns.profiles"); got != users {
		t.Fatalf("%d rows, want %d", got, users)
	}
	for u := range users {
		if u%97 != 0 && u > 8 {
			continue
		}
		checkRow(t, c, u)
	}
}

// checkRow compares every column of a user with what scoredRows made.
func checkRow(t *testing.T, c *Client, u int) {
	t.Helper()
	var exprs, want []string
	expect := func(expr, value string) {
		exprs, want = append(exprs, "ifNull(toString("+expr+"), 'NULL')"), append(want, value)
	}
	for i, f := range schemas.Features {
		v := featureValue(u, i)
		switch {
		case f.Nullable && u%7 == 0:
			expect(f.Name, "NULL")
		case f.Type == schemas.Money:
			expect(f.Name, trimDecimal(v))
		case f.Type == schemas.Time:
			expect(f.Name, time.UnixMilli(v).UTC().Format("2006-01-02 15:04:05.000"))
		case f.Type == schemas.Ratio:
			expect(f.Name, fmt.Sprint(float64(v)/4))
		default:
			expect(f.Name, fmt.Sprint(v))
		}
	}
	degraded := u%11 == 0
	expect("as_of", "2025-10-09 08:53:20.000")
	expect("kafka_time", "2025-10-09 08:53:15.000")
	expect("scored_at", "2025-10-09 08:53:20.001")
	expect("trigger", "correction")
	expect("row_version", fmt.Sprint(RowVersion(77, 3, degraded)))
	expect("digest", fmt.Sprint(uint64(u)*0x9e3779b97f4a7c15))
	expect("churn_probability", fmt.Sprint(churnOf(u)))
	expect("churn_band", []string{"low", "medium", "high"}[u%3])
	expect("value_expected", fmt.Sprint(u%500))
	expect("value_band", []string{"low", "mid", "high"}[u%5%3])
	expect("degraded", fmt.Sprint(degraded))
	expect("config_version", "cfg")
	expect("model_version", "bundle-1/f32")
	expect("log_partition", fmt.Sprint(u%8))
	expect("log_offset", "77")
	expect("flags", []string{"[]", "['bot']", "['hot']", "['bot','hot']"}[u%4])
	expect("mapSort(interests)", []string{"{}", "{'category 0':1}", "{'category 0':0.5,'category 1':0.5}"}[u%3])
	expect("arrayMap(r -> r.1, reasons)", reasonNames(u%4))
	expect("arraySum(r -> r.2, reasons)", fmt.Sprint([]int{0, u, 2*u - 1, 3*u - 3}[u%4]))
	expect("sentiment", map[bool]string{true: "NULL", false: "-0.5"}[u%2 == 0])
	expect("length(embedding)", map[bool]string{true: "0", false: "384"}[degraded])
	where := fmt.Sprintf(" FROM columns.profiles_latest WHERE user_id = '%s'", userID(u))
	got := scalar[[]string](t, c, "SELECT ["+strings.Join(exprs, ", ")+"]"+where)
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("user %d: %s is %s, want %s", u, exprs[i], got[i], want[i])
		}
	}
	if degraded {
		return
	}
	vector := scalar[[]float32](t, c, "SELECT embedding"+where)
	for i, want := range unitVector(u) {
		if math.Float32bits(vector[i]) != math.Float32bits(want) {
			t.Fatalf("user %d: embedding[%d] is %v, want %v", u, i, vector[i], want)
		}
	}
}

func reasonNames(n int) string {
	var names []string
	for k := range n {
		names = append(names, "'"+schemas.Features[k].Name+"'")
	}
	return "[" + strings.Join(names, ",") + "]"
}

// trimDecimal prints millionths as ClickHouse prints a Decimal(18, 6).
func trimDecimal(millionths int64) string {
	sign := ""
	if millionths < 0 {
		sign, millionths = "-", -millionths
	}
	s := fmt.Sprintf("%s%d.%06d", sign, millionths/1e6, millionths%1e6)
	return strings.TrimRight(strings.TrimRight(s, "0"), ".")
}

func TestNewestRowOfAKeyWins(t *testing.T) {
	c := testClient(t, testConfig(t, "newest"))
	w := startWriter(t, c, Deps{})
	add := func(s rowSpec, m Meta) {
		t.Helper()
		rec := scoredRows(s)
		defer rec.Release()
		if _, err := w.AddScored(t.Context(), rec, m); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(t.Context()); err != nil { // blocks of their own
			t.Fatal(err)
		}
	}
	row := rowSpec{users: 5, first: 1, version: 10, asOf: noon, trigger: schemas.TriggerLive}
	add(row, Meta{Promotion: 2, ConfigVersion: "new"})
	add(row, Meta{Promotion: 2, ConfigVersion: "new"}) // the same block again
	row.version = 9
	add(row, Meta{Promotion: 9, ConfigVersion: "older offset"})
	row.version = 10
	add(row, Meta{Promotion: 1, ConfigVersion: "older promotion"})
	if got := scalar[uint64](t, c, "SELECT count() FROM newest.profiles_latest WHERE config_version = 'new'"); got != 5 {
		t.Fatalf("%d users show the newest row, want 5", got)
	}
	row.trigger = schemas.TriggerDay
	for day := range int64(70) {
		row.asOf = noon + day*86_400_000
		row.version = 100 + day
		add(row, Meta{History: true, ConfigVersion: "first"})
	}
	row.asOf, row.version = noon, 500
	add(row, Meta{History: true, ConfigVersion: "corrected"})
	if got := scalar[uint64](t, c, "SELECT count() FROM newest.profile_days"); got != 350 {
		t.Fatalf("%d day rows, want 350", got)
	}
	if got := scalar[uint64](t, c, "SELECT count() FROM newest.profile_days WHERE config_version = 'corrected'"); got != 5 {
		t.Fatalf("%d corrected day rows, want 5", got)
	}
	if got := scalar[uint64](t, c, "SELECT max(length(embedding)) FROM newest.profile_days"); got != 0 {
		t.Fatalf("history holds embeddings of %d numbers without history_embedding", got)
	}
}

func TestABlockMaySpanAnyNumberOfMonths(t *testing.T) {
	cfg := testConfig(t, "months")
	cfg.BatchInterval = time.Hour // one block
	c := testClient(t, cfg)
	w := startWriter(t, c, Deps{})
	const months = 120
	for m := range months {
		rec := scoredRows(rowSpec{users: 1, version: 1, trigger: schemas.TriggerSilence, asOf: time.Date(2015, time.Month(m+1), 9, 23, 59, 59, 999e6, time.UTC).UnixMilli()})
		if _, err := w.AddScored(t.Context(), rec, Meta{History: true}); err != nil {
			t.Fatal(err)
		}
		rec.Release()
	}
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := scalar[uint64](t, c, "SELECT uniqExact(as_of) FROM months.profile_days"); got != months {
		t.Errorf("%d day rows, want %d", got, months)
	}
}

func TestAccountingAndDivertedRows(t *testing.T) {
	c := testClient(t, testConfig(t, "books"))
	w := startWriter(t, c, Deps{})
	for _, rec := range []struct{ rows []accountingRow }{
		{[]accountingRow{{"clickstream", 0, 0, 5, 50, 1, 20, 1, 1, 0}, {"clickstream", 0, 1, 4, 48, 1, 10, 0, 0, 0}}},
		{[]accountingRow{{"clickstream", 0, 0, 9, 100, 3, 50, 2, 1, 1}, {"clickstream", 0, 1, 8, 100, 3, 40, 2, 1, 0}}},
		{[]accountingRow{{"clickstream", 0, 0, 9, 100, 3, 50, 2, 1, 1}, {"purchases", 1, 0, 9, 7, 7, 0, 0, 0, 0}}},
	} {
		r := accountingRows(rec.rows...)
		if _, err := w.AddAccounting(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		r.Release()
	}
	bad := Diverted{SourceTopic: "clickstream", SourcePartition: 2, SourceOffset: 7, Reason: "bad_json", Value: []byte("\x00\xff{"), KafkaMillis: noon, Offset: 3}
	late := Diverted{SourceTopic: "clickstream", SourceOffset: 8, Reason: "late", Key: []byte("k"), Value: []byte("{}"), KafkaMillis: noon}
	anew := bad // the same offset of a topic that was made anew is another record
	anew.SourceEpoch = 1
	if _, err := w.AddBad(t.Context(), []Diverted{bad, bad, anew}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.AddLate(t.Context(), []Diverted{late}); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := scalar[string](t, c, "SELECT toString(groupArray((source_topic, source_partition, records, applied, duplicates, late, dead_lettered))) FROM (SELECT * FROM books.accounting ORDER BY ALL)")
	if want := "[('clickstream',0,100,90,4,2,4),('purchases',1,7,0,0,0,7)]"; got != want {
		t.Errorf("accounting is %s, want %s", got, want)
	}
	if got := scalar[string](t, c, "SELECT concat(toString(count()), ' ', any(reason), ' ', hex(any(value))) FROM books.bad_events"); got != "2 bad_json 00FF7B" {
		t.Errorf("bad_events: %s", got)
	}
	if got := scalar[string](t, c, "SELECT concat(toString(count()), ' ', any(reason), ' ', any(key)) FROM books.late_events"); got != "1 late k" {
		t.Errorf("late_events: %s", got)
	}
}

func TestRefusedRowsAreIsolated(t *testing.T) {
	c := testClient(t, testConfig(t, "poison"))
	exec(t, c, "ALTER TABLE poison.profiles ADD CONSTRAINT odd CHECK user_id NOT IN ('"+userID(17)+"', '"+userID(400)+"')")
	var refused []string
	w := startWriter(t, c, Deps{OnRejected: func(_ context.Context, r Rejected) error {
		if r.Record.NumRows() != 1 || Classify(r.Err) != Poison || r.Table != TableProfiles {
			return errors.New("not one poison row")
		}
		if id := r.Record.Column(schemas.ColUserID).ValueStr(0); strings.Contains(r.Err.Error(), id) || !strings.Contains(r.Err.Error(), "VIOLATED_CONSTRAINT") {
			return fmt.Errorf("the error shows a user id or no reason: %w", r.Err)
		}
		refused = append(refused, r.Record.Column(schemas.ColUserID).ValueStr(0))
		return nil
	}})
	for first := 0; first < 500; first += 100 {
		rec := scoredRows(rowSpec{users: 100, first: first, version: 1, asOf: noon})
		if _, err := w.AddScored(t.Context(), rec, Meta{}); err != nil {
			t.Fatal(err)
		}
		rec.Release()
	}
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := []string{userID(17), userID(400)}; fmt.Sprint(refused) != fmt.Sprint(want) {
		t.Errorf("refused %v, want %v", refused, want)
	}
	if got := scalar[uint64](t, c, "SELECT uniqExact(user_id) FROM poison.profiles"); got != 498 {
		t.Errorf("%d users stored, want 498", got)
	}
}
