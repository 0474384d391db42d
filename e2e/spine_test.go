package e2e

import (
	"fmt"
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

// TestTablesEqualOracle is the main job on real input: two runs over the same
// events, purchases delivered 3 days behind the clickstream in one and ahead of
// it in the other; the first with two workers and kills, then with late events
// and corrections in a second phase.
func TestTablesEqualOracle(t *testing.T) {
	feed, _ := simulated(t, "--users", size("E2E_USERS", 2000), "--events", size("E2E_EVENTS", 205_000), "--days", fmt.Sprint(shopDays),
		"--late", "0", "--disorder", "0.10", "--foreign", "0.05", "--poison", "0.002", "--seed", "42")
	t.Logf("%d clickstream and %d purchase records", len(feed.Clickstream), len(feed.Purchases))

	behind := newRun(t, "behind")
	deliverUnderFire(t, behind, behind.named(feed))
	behind.drain(shopUntil)
	expected := behind.equalsOracle()
	t.Run("the comparison can fail", func(t *testing.T) { comparisonCanFail(t, behind, expected) })

	t.Run("a run over the same log", func(t *testing.T) { overTheSameLog(t, behind) })

	ahead := newRun(t, "ahead")
	undisturbed(t, ahead, ahead.named(feed))
	ahead.drain(shopUntil)
	ahead.equalsOracle()
	sameDigests(t, behind, ahead)

	t.Run("late events and corrections", func(t *testing.T) { secondPhase(t, behind) })
}

// deliverUnderFire feeds a run day by day while processes are killed with -9 at
// named points and by surprise, and one is asked to stop under load.
func deliverUnderFire(t *testing.T, r *run, feed *harness.Feed) {
	t.Helper()
	workers := []*harness.Process{r.start("ingest"), r.start("ingest")}
	scorer, sink := r.start("scorer"), r.start("sink")
	for _, p := range append(workers, scorer, sink) {
		p.Ready(2 * time.Minute)
	}
	kills := 0
	replace := func(p **harness.Process, name string, env ...string) {
		(*p).Kill()
		kills++
		*p = r.start(name, env...)
	}
	r.kafka.Days(feed, 3, func(day int) {
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
			workers[1].Ready(time.Minute)
		case 50:
			replace(&scorer, "scorer")
			replace(&sink, "sink")
			replace(&workers[1], "ingest")
			workers[1].Ready(time.Minute)
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

// undisturbed feeds a run with the clickstream behind the purchases, while its
// stages run.
func undisturbed(t *testing.T, r *run, feed *harness.Feed) {
	t.Helper()
	worker := r.start("ingest")
	worker.Ready(2 * time.Minute)
	r.kafka.Days(feed, -3, nil)
	worker.Signal(syscall.SIGTERM)
	worker.MustExit(0, 6*time.Minute)
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

// comparisonCanFail shows that one wrong cell, one lost event and one event
// counted twice each turn the comparison red.
func comparisonCanFail(t *testing.T, r *run, expected string) {
	copied := r.database() + "_copy"
	count := func(query string, args ...any) { r.engine.Rows(t, fmt.Sprintf(query, args...)) }
	count("CREATE DATABASE %s", copied)
	views := []string{"profiles_latest", "profile_days", "accounting", "bad_events", "late_events"}
	for _, v := range views {
		count("CREATE TABLE %s.%s ENGINE = MergeTree ORDER BY tuple() AS SELECT * FROM %s.%s", copied, v, r.database(), v)
	}
	if report, equal := harness.Compare(t, r.engine, copied, expected); !equal {
		t.Fatalf("a faithful copy is not equal:\n%s", report)
	}
	count("DROP TABLE %s.profile_days", copied)
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
// have passed, after W has moved on.
func secondPhase(t *testing.T, r *run) {
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
	r.equalsOracle()
	if n := r.engine.Count(t, "SELECT count() FROM "+r.database()+".late_events"); n != int64(len(late)) {
		t.Fatalf("%d late events, want %d", n, len(late))
	}
	n := r.engine.Count(t, "SELECT count() FROM "+r.database()+".profile_days WHERE trigger = 'correction'")
	if n == 0 {
		t.Fatal("no row is a correction")
	}
	t.Logf("%d late events, %d corrected rows", len(late), n)
	restated(t, r, n)
}
