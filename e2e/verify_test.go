package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"time"

	"profilestream/e2e/harness"
)

// overTheSameLog is law L1: a run over another run's event log, in three processes
// with batches of other sizes, has the same tables, though the other had two that
// were killed. One altered count is seen.
func overTheSameLog(t *testing.T, r *run, random *rand.Rand) {
	t.Helper()
	const name = "over_the_log"
	records := 0
	for _, end := range r.kafka.Ends("profile." + r.name + ".events") {
		records += int(end)
	}
	begin := func(args ...string) *started {
		// Slow enough for the others to come while there is work for them.
		for _, k := range limits(t, random, "profilectl run start", records/60) {
			args = append(args, "--set", k)
		}
		return startRun(r, name, args...)
	}
	first := begin("--log-of", r.name, "--drain")
	first.says("log of " + r.name)
	workers := []*started{first, begin(), begin()}
	harness.Eventually(t, 2*time.Minute, "three workers share the log", func() error {
		return r.kafka.Members("profilestream."+name+".windowing", len(workers))
	})
	t.Logf("%d workers share %d records, which 2 workers wrote and windowed", len(workers), records)
	for _, w := range workers {
		w.ends()
	}
	out, code := r.verify(r.name, name)
	if code != 0 || !strings.HasSuffix(out, "Equal.\n") {
		t.Fatalf("verify: exit code %d\n%s", code, out)
	}
	t.Log(out)
	r.engine.Rows(t, `INSERT INTO shop_over_the_log.profile_history SELECT * REPLACE (row_version + 1 AS row_version, page_views_30d + 1 AS page_views_30d)
		FROM shop_over_the_log.profile_history FINAL ORDER BY cityHash64(user_id, as_of) LIMIT 1`)
	differ := r.differs(r.name, name, map[string]int64{"content differs": 1})
	if !strings.Contains(differ, "page_views_30d") {
		t.Errorf("one altered count:\n%s", differ)
	}
}

// verify compares two runs and returns what it prints and its exit code.
func (r *run) verify(a, b string) (out string, code int) {
	r.t.Helper()
	cmd := exec.Command(harness.Binary(r.t, "profilectl"), "verify", a, b, "-c", r.config)
	printed, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 && len(printed) > 0 {
		err = nil // they differ
	}
	if err != nil {
		r.t.Fatalf("verify %s %s: %v", a, b, err)
	}
	return string(printed), cmd.ProcessState.ExitCode()
}

// differs fails the test unless verify says that two runs differ by these causes
// and no other, in so many rows each, 0: in any number of them.
func (r *run) differs(a, b string, want map[string]int64) (out string) {
	r.t.Helper()
	out, code := r.verify(a, b)
	_, table, _ := strings.Cut(out, "\nCAUSE")
	table, _, _ = strings.Cut(table, "\n\n")
	got := map[string]int64{}
	for _, line := range strings.Split(table, "\n")[1:] {
		cause, rows, _ := strings.Cut(line, "  ")
		got[cause] = number(r.t, strings.TrimSpace(rows))
	}
	same := code == 1 && len(got) == len(want)
	for cause, rows := range want {
		same = same && got[cause] > 0 && (rows == 0 || got[cause] == rows)
	}
	if !same {
		r.t.Errorf("verify %s %s: exit code %d, rows by cause %v, want 1 and %v:\n%s", a, b, code, got, want, out)
	}
	shown := strings.SplitN(out, "\n", 14)
	r.t.Logf("verify %s %s:\n%s", a, b, strings.Join(shown[:len(shown)-1], "\n"))
	return out
}

// knownUsers notes the day rows of some customers as they are before they are
// corrected.
func knownUsers(t *testing.T, r *run) []string {
	t.Helper()
	r.engine.Rows(t, fmt.Sprintf(`CREATE TABLE %[1]s.before ENGINE = MergeTree ORDER BY (user_id, as_of) AS
		SELECT user_id, as_of, toString(trigger) AS cause, digest, churn_probability, log_offset FROM %[1]s.profile_days
		WHERE user_id IN (SELECT user_id FROM %[1]s.profiles_latest ORDER BY cityHash64(user_id) LIMIT 20)`, r.database()))
	var users []string
	for _, row := range r.engine.Rows(t, "SELECT DISTINCT user_id FROM "+r.database()+".before ORDER BY user_id") {
		users = append(users, row[0])
	}
	return users
}

// restated compares the ledger of restatements with the rows before and after:
// every corrected row is in it, with what it replaced, and nothing else.
func restated(t *testing.T, r *run, corrected int64) {
	t.Helper()
	row := func(query string) []string {
		return r.engine.Rows(t, strings.ReplaceAll(query, "DB.", r.database()+"."))[0]
	}
	is := func(what string, got []string, want ...string) {
		t.Helper()
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	is("corrected rows and those of other content than the newest restatement", row(`SELECT count(), countIf(p.digest != l.digest)
		FROM (SELECT user_id, as_of, argMax(new_digest, log_offset) AS digest FROM DB.restatements GROUP BY user_id, as_of) AS l
		INNER JOIN DB.profile_days AS p ON p.user_id = l.user_id AND p.as_of = l.as_of WHERE p.trigger = 'correction'`), fmt.Sprint(corrected), "0")
	was := row(`SELECT count(), countIf(l.old_digest = b.digest AND l.old_churn_probability = b.churn_probability AND l.old_log_offset = b.log_offset)
		FROM (SELECT r.*, b.digest, b.churn_probability, b.log_offset FROM DB.restatements AS r
			INNER JOIN DB.before AS b ON b.user_id = r.user_id AND b.as_of = r.as_of
			WHERE r.log_offset > b.log_offset ORDER BY r.log_offset LIMIT 1 BY r.user_id, r.as_of) AS l
		INNER JOIN DB.before AS b ON b.user_id = l.user_id AND b.as_of = l.as_of`)
	if was[0] == "0" || was[0] != was[1] {
		t.Errorf("of %s rows that were corrected, %s restatements say what was before", was[0], was[1])
	}
	reported := row(`SELECT count(), countIf(r.digest = b.digest AND r.churn_probability = b.churn_probability)
		FROM DB.before AS b LEFT JOIN DB.profile_days_as_reported AS r ON b.user_id = r.user_id AND b.as_of = r.as_of WHERE b.cause != 'correction'`)
	if reported[0] == "0" || reported[0] != reported[1] {
		t.Errorf("of %s rows, %s are still shown as they were reported", reported[0], reported[1])
	}
	asKnown(t, r)
	t.Logf("%s restatements of rows that were reported, %s rows shown as reported", was[0], reported[0])
}

// asKnown travels in time: as of one day, a restated row as it was known before
// and behind the event that restated it is made again from its events.
func asKnown(t *testing.T, r *run) {
	t.Helper()
	row := r.engine.Rows(t, fmt.Sprintf(`SELECT user_id, toUnixTimestamp64Milli(as_of), toString(old_digest), toString(new_digest), old_log_offset, log_offset
		FROM %s.restatements WHERE old_digest IS NOT NULL ORDER BY cityHash64(user_id, as_of), log_offset DESC LIMIT 1`, r.database()))[0]
	day := time.UnixMilli(number(t, row[1])).UTC().Format(time.RFC3339Nano)
	for k, known := range []int64{number(t, row[5]) - 1, number(t, row[5])} {
		s := explain(t, row[0], "-c", r.config, "--as-of", day, "--as-known-at", fmt.Sprint(known), "--stored")
		if s.Digest != row[2+k] || !s.Stored.SameDigest || s.Stored.SameScores == nil || !*s.Stored.SameScores || s.Stored.LogOffset != number(t, row[4+k]) {
			t.Errorf("known at %d: digest %s, stored %+v, want digest %s of offset %s", known, s.Digest, s.Stored, row[2+k], row[4+k])
		}
	}
}
