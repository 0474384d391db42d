package faults

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// row is one row of the fault matrix.
type row struct {
	number int
	name   string
	run    func(*trial)
	// sabotage breaks the mechanism that the row is about; the row must turn red.
	sabotage string
	// quick: part of what CI runs.
	quick bool
}

var matrix = []row{
	{1, "kill -9 at named points", killAtPoints, "admission.commit_early,sink.commit_early", true},
	{2, "kill -9 of anyone under load", killAnyone, "admission.commit_early", false},
	{3, "SIGSTOP past the session, SIGCONT", zombie, "windowing.skip_fence", true},
	{4, "SIGTERM under load", stopAnyone, "admission.commit_early", true},
	{5, "broker restart and kill -9 and failover", failover, "producer.forget_failed", false},
	{6, "Kafka error codes, fencing", errorCodes, "producer.forget_failed", true},
	{7, "slow, reset, narrow, silent network", network, "producer.forget_failed", false},
	{8, "a worker joins or leaves every 2 s", storm, "admission.commit_early", false},
	{9, "ClickHouse down, slow, too many parts, full", outage, "sink.drop_failed", false},
	{10, "ClickHouse stored it, the answer was lost", answersLost, viewKeepsRepeats, true},
	{11, "poison", poison, "admission.drop_rejected", false},
	{12, "state truncated, flipped, of another version", damagedState, "windowing.ignore_damage", false},
	{13, "model missing, wrong, corrupt", badModel, nothingWrong, false},
	{14, "encoder fails, hangs, gives NaN", badEncoder, "scorer.drop_failed", false},
	{15, "clocks wrong by hours, idle sources", wrongClock, "windowing.trust_clock", false},
	{16, "one user with half of all events", hotUser, "windowing.no_cap", false},
	{17, "10 % twice, 10 % disorder, 1 % late", disorder, "admission.append_twice:300,windowing.keep_repeats", false},
	{18, "partitions added, place lost, log changed", lostPlace, "fetch.skip_out_of_range", false},
	{19, "wrong configuration", badConfiguration, nothingWrong, false},
}

// quickEvents and fullEvents are how much is fed in each round of a row.
const (
	quickEvents = 4_000
	fullEvents  = 50_000
)

// TestFaults runs the rows of the matrix and prints a line for each. With
// FAULTS=full (make faults) all of them at full size, else those of CI. ONLY
// names rows by number, ROUNDS repeats each with further seeds, SEED sets the
// first, EVENTS the size.
func TestFaults(t *testing.T) {
	full := os.Getenv("FAULTS") == "full"
	size := number(t, "EVENTS", map[bool]int{true: fullEvents, false: quickEvents}[full])
	var lines []*line
	for _, r := range chosen(t, func(r row) bool { return full || r.quick }) {
		t.Run(fmt.Sprintf("row %02d %s", r.number, r.name), func(t *testing.T) {
			sum := &line{row: r.number, name: r.name, seed: uint64(number(t, "SEED", 1)), leastLag: -1, points: map[string]int{}}
			for n := range number(t, "ROUNDS", 1) {
				l := r.round(t, n, size, "")
				sum.add(l)
				if l.red() {
					t.Errorf("round %d, seed %d:\n%s", n+1, l.seed, strings.Join(l.why, "\n"))
				}
			}
			sum.check(t, r, size)
			lines = append(lines, sum)
			printHead(os.Stdout)
			sum.print(os.Stdout)
			sum.details(os.Stdout)
		})
	}
	fmt.Println()
	printHead(os.Stdout)
	for _, l := range lines {
		l.print(os.Stdout)
	}
	fmt.Println()
	for _, l := range lines {
		l.details(os.Stdout)
	}
}

// check holds a line against what the matrix asks for.
func (l *line) check(t *testing.T, r row, size int) {
	if l.events < size {
		t.Errorf("%d events were fed, want at least %d", l.events, size)
	}
	if l.kills == 0 || l.recoveries < l.kills {
		t.Errorf("%d faults, %d recoveries", l.kills, l.recoveries)
	}
	if size < fullEvents || r.number != 1 {
		return
	}
	kills := 0
	for _, n := range l.points {
		kills += n
		if n < 10 {
			t.Errorf("a point was hit %d times: %v", n, l.points)
		}
	}
	if kills < 200 || len(l.points) != 11 {
		t.Errorf("%d kills over %d points, want 200 over 11", kills, len(l.points))
	}
}

// TestEachRowCanFail breaks, for each row, the mechanism that it is about, and
// sees the row turn red.
func TestEachRowCanFail(t *testing.T) {
	full := os.Getenv("FAULTS") == "full"
	for _, r := range chosen(t, func(row) bool { return full }) {
		t.Run(fmt.Sprintf("row %02d with %s", r.number, r.sabotage), func(t *testing.T) {
			l, failed := r.attempt(t, number(t, "EVENTS", quickEvents))
			if !l.red() && !failed {
				t.Fatalf("row %d stays green with %s", r.number, r.sabotage)
			}
			fmt.Printf("row %d turns red with %s: lost %d, duplicated %d, wrong %d, of these %d by tables that differ; %.0f s: %s\n",
				r.number, r.sabotage, l.lost, l.duplicated, l.wrong, l.differing, l.seconds, strings.Join(l.why[:min(6, len(l.why))], "; "))
			if l.differing == 0 && !r.refuses() {
				t.Errorf("row %d turns red with %s, but no table differs", r.number, r.sabotage)
			}
		})
	}
}

// refuses says of a row that it is about refusals: what breaks then is not the
// tables.
func (r row) refuses() bool { return r.sabotage == nothingWrong || r.number == 12 }

func chosen(t *testing.T, usual func(row) bool) []row {
	only := os.Getenv("ONLY")
	var numbers []int
	for s := range strings.SplitSeq(only, ",") {
		if n, err := strconv.Atoi(strings.TrimSpace(s)); err == nil {
			numbers = append(numbers, n)
		} else if only != "" {
			t.Fatalf("ONLY: %q is not a list of rows such as 1,5", only)
		}
	}
	var out []row
	for _, r := range matrix {
		if only == "" && usual(r) || slices.Contains(numbers, r.number) {
			out = append(out, r)
		}
	}
	return out
}

var runs int // names of runs differ

// round runs a row once.
func (r row) round(tb testing.TB, n, size int, fault string) *line {
	began := time.Now()
	seed := uint64(number(tb, "SEED", 1) + 100*r.number + n)
	l := &line{row: r.number, name: r.name, seed: seed, rounds: 1, leastLag: -1, points: map[string]int{}}
	runs++
	x := &trial{TB: tb, line: l, rng: rand.New(rand.NewPCG(seed, 0)), events: size, run: fmt.Sprintf("f%d_%d", r.number, runs), fault: fault}
	r.run(x)
	if fault != "" && l.columns == 0 { // it ended early: what do its tables say?
		for _, p := range x.ps {
			p.Kill()
		}
		x.compare()
	}
	l.seconds = time.Since(began).Seconds()
	return l
}

// attempt runs a row with its sabotage; failures of the test are the row's.
func (r row) attempt(t *testing.T, size int) (*line, bool) {
	p := &probe{TB: t}
	var l *line
	done := make(chan struct{})
	go func() {
		defer close(done)
		l = r.round(p, 0, size, r.sabotage)
	}()
	<-done
	if l == nil {
		l = &line{why: p.said}
	}
	return l, p.failed
}

// probe is a test whose failure is what is looked for.
type probe struct {
	testing.TB
	failed bool
	said   []string
}

func (p *probe) Errorf(format string, args ...any) {
	p.failed = true
	p.said = append(p.said, fmt.Sprintf(format, args...))
}

func (p *probe) Fatalf(format string, args ...any) {
	p.Errorf(format, args...)
	runtime.Goexit()
}

func (p *probe) Fatal(args ...any) { p.Fatalf("%s", fmt.Sprint(args...)) }

func number(tb testing.TB, name string, normal int) int {
	s := os.Getenv(name)
	if s == "" {
		return normal
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		tb.Fatalf("%s: %q is not a positive number", name, s)
	}
	return n
}
