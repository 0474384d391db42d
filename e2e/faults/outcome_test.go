package faults

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"profilestream/e2e/harness"
)

// drain feeds what is left, moves time to the end and works everything off.
func (x *trial) drain() {
	x.Helper()
	for x.send() {
	}
	x.drainRun(x.config)
}

func (x *trial) drainRun(config string) {
	x.Helper()
	at := x.until.Format(time.RFC3339)
	x.exits(x.startWith("ingest", config, nil, "-drain", "-until", at), 0)
	x.exits(x.startWith("scorer", config, nil, "-drain"), 0)
	x.exits(x.startWith("sink", config, nil, "-drain"), 0)
}

func database(run string) string { return "faults_" + run }

// compare drains the run and holds its tables against the oracle's.
func (x *trial) compare() (expected string) {
	x.Helper()
	x.drain()
	if x.spoil != nil {
		x.spoil()
	}
	cfg := harness.OracleConfig{
		LatenessMillis: x.opts.lateness.Milliseconds(), MaxFutureSkew: 300_000, Currency: "GBP", Rates: map[string]string{"USD": sourceUSD},
		MaxEventsUserDay: x.opts.cap, Partitions: map[string]int{}, Until: x.until.Format(time.RFC3339),
	}
	for _, topic := range x.topics {
		cfg.Partitions[topic] = len(x.kafka.Ends(topic))
	}
	expected, violations := x.kafka.Judge(cfg, x.run, x.topics...)
	x.wrong += len(violations)
	x.differing += len(violations)
	x.why = append(x.why, violations...)
	report, _ := harness.Compare(x, x.engine, database(x.run), expected)
	x.read(report)
	x.count(expected)
	return expected
}

var tableLine = regexp.MustCompile(`(?m)^(\w+): (\d+) rows expected, (\d+) found, (\d+) columns compared .*, (\d+) differences$`)

// read takes what was compared, and what differs, from the comparison's report.
func (x *trial) read(report string) {
	found := tableLine.FindAllStringSubmatch(report, -1)
	x.must(len(found) == 5, "the comparison did not come to its end: %s", report)
	columns := 0
	for _, f := range found {
		n := make([]int, 0, 4)
		for _, s := range f[2:] {
			v, _ := strconv.Atoi(s) // digits, says the expression
			n = append(n, v)
		}
		x.rows += n[0]
		columns += n[2]
		x.wrong += n[3]
		x.differing += n[3]
		if n[3] > 0 {
			x.why = append(x.why, fmt.Sprintf("%s: %d of %d rows expected differ", f[1], n[3], n[0]))
		}
	}
	x.columns = columns
	for s := range strings.Lines(report) {
		if strings.HasPrefix(s, "  ") && len(x.why) < 12 {
			x.why = append(x.why, strings.TrimSpace(s))
		}
	}
}

// alteredCount shows that the comparison finds one count that is off by one in
// one row of a copy of the tables.
func (x *trial) alteredCount(expected string) {
	x.Helper()
	copied, from := database(x.run)+"_copy", database(x.run)
	x.engine.Do(x, "CREATE DATABASE "+copied)
	for _, v := range []string{"profiles_latest", "accounting", "bad_events", "late_events"} {
		x.engine.Do(x, fmt.Sprintf("CREATE TABLE %s.%s ENGINE = MergeTree ORDER BY tuple() AS SELECT * FROM %s.%s", copied, v, from, v))
	}
	x.engine.Do(x, fmt.Sprintf(`CREATE TABLE %[1]s.profile_days ENGINE = MergeTree ORDER BY tuple() AS SELECT * REPLACE (
		page_views_30d + ((user_id, as_of) = (SELECT (user_id, as_of) FROM %[2]s.profile_days ORDER BY cityHash64(user_id, as_of) LIMIT 1)) AS page_views_30d)
		FROM %[2]s.profile_days`, copied, from))
	report, equal := harness.Compare(x, x.engine, copied, expected)
	x.must(!equal && strings.Contains(report, "page_views_30d is") && strings.Contains(report, ", 1 differences"), "one altered count was not found, or more than it: %s", report)
	x.note("one count altered by one in one row of a copy is found")
}

// count counts events that are missing in the users' newest rows, and events
// that are there more often than they should be.
func (x *trial) count(expected string) {
	x.Helper()
	want := eventsByUser(x, filepath.Join(expected, "profiles_latest.tsv"))
	for _, row := range x.engine.Rows(x, "SELECT user_id, events_total FROM "+database(x.run)+".profiles_latest") {
		got, err := strconv.Atoi(row[1])
		if err != nil {
			x.Fatal(err)
		}
		x.differ(want[row[0]], got)
		delete(want, row[0])
	}
	for _, n := range want {
		x.differ(n, 0)
	}
}

func (x *trial) differ(want, got int) {
	x.differing += max(want-got, got-want)
	x.lost += max(0, want-got)
	x.duplicated += max(0, got-want)
}

// eventsByUser reads the column events_total of the oracle's newest rows.
func eventsByUser(x *trial, path string) map[string]int {
	f, err := os.Open(path)
	if err != nil {
		x.Fatal(err)
	}
	defer f.Close()
	out := map[string]int{}
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	user, events := -1, -1
	for s.Scan() {
		cells := strings.Split(s.Text(), "\t")
		if user < 0 {
			for i, name := range cells {
				switch name {
				case "user_id":
					user = i
				case "events_total":
					events = i
				}
			}
			continue
		}
		n, err := strconv.Atoi(cells[events])
		if err != nil {
			x.Fatalf("%s: %v", path, err)
		}
		out[cells[user]] = n
	}
	if err := s.Err(); err != nil || len(out) == 0 {
		x.Fatalf("%s: %d users, %v", path, len(out), err)
	}
	return out
}
