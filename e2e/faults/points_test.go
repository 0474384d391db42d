package faults

import (
	"fmt"
	"strings"
	"time"

	"profilestream/e2e/harness"
)

// points are the named places at which each binary is killed, with the stage
// that is behind because of it.
var points = map[string][]point{
	"ingest": {
		{"admission.after_fetch", "admission"}, {"admission.after_append", "admission"}, {"admission.before_commit", "admission"},
		{"windowing.after_apply", "windowing"}, {"windowing.after_emit", "windowing"}, {"windowing.in_transaction", "windowing"},
		{"windowing.after_transaction", "windowing"},
	},
	"scorer": {{"scorer.before_acknowledged", "scorer"}, {"scorer.after_acknowledged", "scorer"}},
	"sink":   {{"sink.block_sent", "sink"}, {"sink.block_acknowledged", "sink"}},
}

type point struct{ name, stage string }

// armed is a process that dies at the next point of its schedule, and is then
// started again with the one after.
type armed struct {
	x        *trial
	binary   string
	schedule []point
	next     int
	p        *harness.Process
	since    time.Time // it has had something to do
	looked   time.Time
}

// arm draws the schedule of a binary: each point the same number of times, in a
// random order.
func (x *trial) arm(binary string, times int) *armed {
	a := &armed{x: x, binary: binary}
	for range times {
		a.schedule = append(a.schedule, points[binary]...)
	}
	x.rng.Shuffle(len(a.schedule), func(i, j int) { a.schedule[i], a.schedule[j] = a.schedule[j], a.schedule[i] })
	a.restart()
	return a
}

func (a *armed) restart() {
	var env []string
	if a.next < len(a.schedule) {
		env = append(env, fmt.Sprintf("PROFILESTREAM_FAILPOINT=%s:%d", a.schedule[a.next].name, 1+a.x.rng.IntN(3)))
	}
	a.p, a.since = a.x.start(a.binary, env...), time.Now()
}

func (a *armed) done() bool { return a.next == len(a.schedule) }

// step looks whether the process has died where it should; then it counts that
// and starts the next. It reports false when the schedule cannot go on.
func (a *armed) step() bool {
	if !a.p.Exited() {
		if now := time.Now(); !a.done() && now.Sub(a.looked) > time.Second {
			if a.looked = now; a.x.lag(a.schedule[a.next].stage) == 0 {
				a.since = now
			}
		}
		if a.done() || time.Since(a.since) < a.x.limit() {
			return true
		}
		return a.x.must(false, "%s has not come to %s within %s", a.binary, a.schedule[a.next].name, a.x.limit())
	}
	if a.done() {
		return a.x.must(false, "%s ended by itself: %s", a.binary, a.p.Last())
	}
	at := a.schedule[a.next]
	if !a.x.must(strings.HasPrefix(a.p.Last(), "failpoint "+at.name+":"), "%s did not die at %s: %s", a.binary, at.name, a.p.Last()) {
		return false
	}
	a.x.struck(at.stage)
	a.x.line.points[at.name]++
	if a.next > 0 {
		a.x.recoveries++ // of the kill before: what this process did is what it was killed at
	}
	a.next++
	a.restart()
	return true
}

// killAtPoints is row 1: every binary dies at each of its points, again and
// again, under a steady feed. Its rows are those of an undisturbed run too.
func killAtPoints(x *trial) {
	times := max(2, x.events*20/50_000)
	kills := times * 11
	x.setUp(options{pieces: kills * 2})
	x.note("each of 11 points %d times", times)
	binaries := []*armed{x.arm("ingest", times), x.arm("scorer", times), x.arm("sink", times)}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for turn, left := 0, true; left; turn++ {
		left = false
		before := binaries[0].next
		for _, a := range binaries {
			if !a.step() {
				return
			}
			left = left || !a.done()
		}
		if binaries[0].next > before || turn%20 == 19 && x.lag("admission") == 0 {
			if !x.send() && !x.must(binaries[0].next > before, "the feed is over, the schedule is not") {
				return
			}
		}
		<-tick.C
	}
	x.kept(binaries)
	expected := x.compare()
	if x.red() {
		return
	}
	x.alteredCount(expected)
	x.undisturbed()
}

// kept waits until the processes that are not killed any more have caught up.
func (x *trial) kept(binaries []*armed) {
	for x.send() {
	}
	if !x.caughtUp(binaries[0].p, binaries[1].p, binaries[2].p) {
		return
	}
	x.recoveries += len(binaries)
	for _, a := range binaries {
		x.stop(a.p)
	}
}

// undisturbed makes another run over the same inputs in one go, and compares
// its tables with this one's by the digests of their rows.
func (x *trial) undisturbed() {
	quiet := x.run + "_quiet"
	x.drainRun(x.configure(quiet, x.opts))
	for _, view := range []string{"profiles_latest", "profile_days"} {
		rows := x.engine.Rows(x, fmt.Sprintf(`SELECT count(), countIf(l.digest != r.digest), countIf(l.user_id = '' OR r.user_id = '')
			FROM %[1]s.%[3]s l FULL OUTER JOIN %[2]s.%[3]s r ON l.user_id = r.user_id AND l.as_of = r.as_of`, database(x.run), database(quiet), view))
		x.must(len(rows) == 1 && rows[0][0] != "0" && rows[0][1] == "0" && rows[0][2] == "0",
			"%s beside an undisturbed run's: rows, unequal digests, missing = %v", view, rows)
		x.note("%s: %s rows equal an undisturbed run's", view, rows[0][0])
	}
}
