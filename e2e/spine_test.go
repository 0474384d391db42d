package e2e

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"profilestream/e2e/harness"
)

// shopEnd is the end of the simulated history, and where the tests move time.
var (
	shopStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	shopDays  = 60
	shopUntil = shopStart.AddDate(0, 0, shopDays+3)
)

// TestTablesEqualOracle is the main job on real input: a run that is fed in
// batches of random sizes, its workers with random limits and killed with -9, time
// moved twice, with late events and corrections in between, has the tables that the
// oracle says. Then a run over its event log, with other workers and other limits,
// has equal ones.
func TestTablesEqualOracle(t *testing.T) {
	random := seeded(t)
	events := size("E2E_EVENTS", 300_000)
	feed, _ := simulated(t, "--users", size("E2E_USERS", 600), "--events", events, "--days", fmt.Sprint(shopDays),
		"--late", "0", "--disorder", "0.10", "--foreign", "0.05", "--poison", "0.002", "--seed", "42")
	t.Logf("%d clickstream and %d purchase records", len(feed.Clickstream), len(feed.Purchases))
	if n := int64(len(feed.Clickstream) + len(feed.Purchases)); n < number(t, events) {
		t.Fatalf("%d records are fewer than %s", n, events)
	}
	r := newRun(t, "spine")
	deliverUnderFire(t, r, r.named(feed), random)
	r.drain(shopUntil)
	expected := secondPhase(t, r)
	t.Run("the comparison can fail", func(t *testing.T) { comparisonCanFail(t, r, expected) })
	t.Run("a run over the same log", func(t *testing.T) { overTheSameLog(t, r, random) })
}

// seeded is the source of what a test draws at random.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := number(t, size("E2E_SEED", int(time.Now().UnixNano()%1_000_000)))
	t.Logf("seed %d: E2E_SEED=%[1]d draws the same", seed)
	return rand.New(rand.NewPCG(uint64(seed), 0))
}

// limits draws the limits of a worker's batches: of what it reads in a quarter of
// a second, at the rate given or down to a third of it, and of what it commits,
// encodes and inserts at once.
func limits(t *testing.T, random *rand.Rand, worker string, rate int) (keys []string) {
	t.Helper()
	for _, k := range []struct {
		format      string
		least, most int
	}{
		{"input.rate=%d", 1 + rate/3, 2 + rate},
		{"profile.checkpoint_interval=%dms", 300, 3000},
		{"profile.live_interval=%dms", 300, 2000},
		{"model.batch_tokens=%d", 512, 8192},
		{"clickhouse.batch_rows=%d", 300, 20_000},
	} {
		keys = append(keys, fmt.Sprintf(k.format, k.least+random.IntN(k.most-k.least)))
	}
	t.Logf("%s: %s", worker, strings.Join(keys, " "))
	return keys
}

// asEnv are keys as variables of a process.
func asEnv(keys []string) (env []string) {
	for _, k := range keys {
		name, value, _ := strings.Cut(k, "=")
		env = append(env, "PROFILESTREAM_"+strings.ToUpper(strings.ReplaceAll(name, ".", "_"))+"="+value)
	}
	return env
}

// deliverUnderFire feeds a run day by day while processes are killed with -9 at
// named points and by surprise, and the last ones are asked to stop under load.
func deliverUnderFire(t *testing.T, r *run, feed *harness.Feed, random *rand.Rand) {
	t.Helper()
	begin := func(name string, env ...string) *harness.Process {
		return r.start(name, append(env, asEnv(limits(t, random, name, 10_000))...)...)
	}
	workers := []*harness.Process{begin("ingest"), begin("ingest")}
	scorer, sink := begin("scorer"), begin("sink")
	for _, p := range append(workers, scorer, sink) {
		p.Ready(2 * time.Minute)
	}
	kills := 0
	replace := func(p **harness.Process, name string, env ...string) {
		(*p).Kill()
		kills++
		*p = begin(name, env...)
	}
	up := func(p *harness.Process) {
		harness.Eventually(t, time.Minute, p.Name+" is ready, or dead at its failpoint", func() error {
			if p.Exited() {
				return nil
			}
			return p.IsReady()
		})
	}
	r.kafka.Days(feed, random, func(day int) {
		switch day {
		case 12:
			replace(&workers[0], "ingest", "PROFILESTREAM_FAILPOINT=windowing.in_transaction:3")
		case 20:
			replace(&scorer, "scorer", "PROFILESTREAM_FAILPOINT=scorer.after_acknowledged:4")
			replace(&sink, "sink", "PROFILESTREAM_FAILPOINT=sink.block_acknowledged:3")
		case 30:
			replace(&workers[1], "ingest", "PROFILESTREAM_FAILPOINT=admission.after_append:2")
		case 40:
			replace(&workers[0], "ingest")
			up(workers[1])
		case 50:
			replace(&scorer, "scorer")
			replace(&sink, "sink")
			replace(&workers[1], "ingest")
			up(workers[1])
		}
	})
	for _, p := range []*harness.Process{workers[0], workers[1], scorer, sink} {
		if p.Exited() {
			t.Logf("%s died at its failpoint: %s", p.Name, p.Last())
			kills++
			continue
		}
		p.Ready(time.Minute)
		p.Signal(syscall.SIGTERM)
		p.MustExit(0, 6*time.Minute)
	}
	t.Logf("%d processes were killed", kills)
}

// sameDigests compares the content of two runs' rows by their digests.
func sameDigests(t *testing.T, a, b *run) {
	t.Helper()
	for _, view := range []string{"profiles_latest", "profile_days"} {
		rows := a.engine.Rows(t, fmt.Sprintf(`SELECT count(), countIf(l.digest != r.digest), countIf(l.user_id = '' OR r.user_id = '')
			FROM %[1]s.%[3]s l FULL OUTER JOIN %[2]s.%[3]s r ON l.user_id = r.user_id AND l.as_of = r.as_of`, a.database(), b.database(), view))
		if len(rows) != 1 || rows[0][0] == "0" || rows[0][1] != "0" || rows[0][2] != "0" {
			t.Fatalf("%s of runs %s and %s: rows, unequal digests, missing = %v", view, a.name, b.name, rows)
		}
		t.Logf("%s of runs %s and %s: %s rows with equal digests", view, a.name, b.name, rows[0][0])
	}
}

// comparisonCanFail shows that one wrong cell of a day row turns the comparison
// red, and nothing else does.
func comparisonCanFail(t *testing.T, r *run, expected string) {
	copied := r.database() + "_copy"
	count := func(query string, args ...any) { r.engine.Rows(t, fmt.Sprintf(query, args...)) }
	count("CREATE DATABASE %s", copied)
	for _, v := range []string{"profiles_latest", "accounting", "bad_events", "late_events"} {
		count("CREATE VIEW %s.%s AS SELECT * FROM %s.%[2]s", copied, v, r.database())
	}
	count(`CREATE TABLE %[1]s.profile_days ENGINE = MergeTree ORDER BY tuple() AS SELECT * REPLACE (
		page_views_30d + ((user_id, as_of) = (SELECT (user_id, as_of) FROM %[2]s.profile_days ORDER BY cityHash64(user_id, as_of) LIMIT 1)) AS page_views_30d)
		FROM %[2]s.profile_days`, copied, r.database())
	report, equal := harness.Compare(t, r.engine, copied, expected)
	if equal || !strings.Contains(report, "page_views_30d") || !strings.Contains(report, ", 1 difference") {
		t.Fatalf("one altered count was not found, or more than it:\n%s", report)
	}
	t.Logf("one altered count turns it red:\n%s", report)
}

// TestFaultsTurnTheComparisonRed breaks one mechanism at a time on purpose: an
// event that windowing loses and an event that counts twice must be seen. An
// event that is only appended twice must not: the drop rule holds.
func TestFaultsTurnTheComparisonRed(t *testing.T) {
	feed, _ := simulated(t, "--users", "60", "--events", "4000", "--days", "20", "--late", "0", "--duplicates", "0", "--seed", "5")
	for _, c := range []struct {
		name, fault string
		equal       bool
	}{
		{"twice", "admission.append_twice:700", true},
		{"lost", "windowing.lose_event:200", false},
		{"counted", "admission.append_twice:700,windowing.keep_repeats", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRun(t, c.name)
			f := r.named(feed)
			r.kafka.Send(f.Clickstream)
			r.kafka.Send(f.Purchases)
			until := shopStart.AddDate(0, 0, 21)
			harness.Start(t, "ingest", r.config, []string{"PROFILESTREAM_FAULT=" + c.fault}, "-drain", "-until", until.Format(time.RFC3339)).MustExit(0, limit)
			r.drain(until)
			report, equal := harness.Compare(t, r.engine, r.database(), r.oracle())
			if equal != c.equal {
				t.Fatalf("with %s the comparison says equal = %v:\n%s", c.fault, equal, report)
			}
			t.Logf("with %s:\n%s", c.fault, report)
		})
	}
}

// secondPhase sends events whose days have closed, and events of open days that
// have passed, after W has moved on. Then the tables are what the oracle says.
func secondPhase(t *testing.T, r *run) (expected string) {
	t.Helper()
	known := knownUsers(t, r)
	var late, corrections []harness.Message
	for i := range 600 {
		user := fmt.Sprintf("second-%d", i%40)
		if i%2 == 0 {
			user = known[i%len(known)]
		}
		event := func(at time.Time, k int) harness.Message {
			value := fmt.Sprintf(`{"event_id":"s%d-%d","user_id":%q,"type":"product_view","ts":%q,"product":{"id":"p%d","name":"garden lamp %d","category":"garden"}}`,
				k, i, user, at.Add(time.Duration(i)*time.Minute).Format(time.RFC3339), i%7, i%7)
			return harness.Message{Topic: r.topics[0], Partition: i % inputPartitions["clickstream"], Time: shopUntil.Add(time.Duration(i) * time.Second), Value: []byte(value)}
		}
		late = append(late, event(shopUntil.AddDate(0, 0, -20), 1))
		corrections = append(corrections, event(shopUntil.AddDate(0, 0, -5), 2))
	}
	r.kafka.Send(late)
	r.kafka.Send(corrections)
	r.drain(shopUntil.AddDate(0, 0, 1))
	expected = r.equalsOracle()
	if n := r.engine.Count(t, "SELECT count() FROM "+r.database()+".late_events"); n != int64(len(late)) {
		t.Fatalf("%d late events, want %d", n, len(late))
	}
	n := r.engine.Count(t, "SELECT count() FROM "+r.database()+".profile_days WHERE trigger = 'correction'")
	if n == 0 {
		t.Fatal("no row is a correction")
	}
	t.Logf("%d late events, %d corrected rows", len(late), n)
	restated(t, r, n)
	return expected
}
