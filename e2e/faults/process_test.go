package faults

import (
	"fmt"
	"strings"
	"syscall"
	"time"

	"profilestream/e2e/harness"
)

// crew is a run's processes: two ingest workers, a scorer, a sink.
type crew struct {
	x  *trial
	ps []*harness.Process
}

var crewBinaries = []string{"ingest", "ingest", "scorer", "sink"}

func (x *trial) crew() *crew {
	c := &crew{x: x}
	for _, b := range crewBinaries {
		c.ps = append(c.ps, x.start(b))
	}
	for _, p := range c.ps {
		if !x.must(x.ready(p), "%s is not ready: %s", p.Name, p.Last()) {
			break
		}
	}
	return c
}

func (x *trial) ready(p *harness.Process) bool {
	return x.eventually(p.Name+" is ready", func() bool { return p.Exited() || p.IsReady() == nil }) && !p.Exited()
}

// stage is a stage of a member's that has something to do.
func (c *crew) stage(i int) string {
	if crewBinaries[i] == "ingest" {
		return "admission"
	}
	return crewBinaries[i]
}

// busy feeds until the stage is behind, and returns its lag.
func (x *trial) busy(stage string) int64 {
	var lag int64
	x.eventually(stage+" is behind", func() bool {
		if lag = x.lag(stage); lag > 0 {
			return true
		}
		x.more(stage)
		lag = x.lag(stage)
		return lag > 0 || x.fault != "" // which may be that it commits before it works
	})
	return lag
}

// passes waits for a random moment of the schedule.
func (x *trial) passes(most time.Duration) {
	t := time.NewTimer(time.Duration(x.rng.Int64N(int64(most))))
	<-t.C
}

func (c *crew) stop() { c.x.stop(c.ps...) }

// killAnyone is row 2: a process that is chosen at random dies at a random
// moment under load; after each kill lag returns to 0.
func killAnyone(x *trial) {
	rounds := max(4, x.events*24/50_000)
	x.setUp(options{pieces: rounds * 3})
	c := x.crew()
	for n := range rounds {
		x.send()
		i := n % len(c.ps)
		lag := x.busy(c.stage(i))
		if x.wrong > 0 {
			return
		}
		c.ps[i].Kill()
		x.kills++
		x.lagged(lag, c.stage(i))
		x.send()
		c.ps[i] = x.start(crewBinaries[i])
		if !x.ready(c.ps[i]) || n%4 == 3 && !x.caughtUp(c.ps...) {
			return
		}
		x.recoveries++
	}
	x.finish(c)
}

// finish lets the crew catch up with the whole feed, stops it and compares.
func (x *trial) finish(c *crew) {
	for x.send() {
	}
	if x.caughtUp(c.ps...) {
		c.stop()
	}
	x.compare()
}

// zombie is row 3: an ingest worker stops between what it has read and the
// checkpoint of that, for longer than its session lasts. The other takes over and
// goes on; then it wakes: its state is fenced, its rows change nothing.
func zombie(x *trial) {
	rounds := max(2, x.events*8/50_000)
	x.setUp(options{pieces: rounds * 6})
	c := x.crew()
	for n := range rounds {
		i, point := n%2, []string{"windowing.after_emit", "windowing.after_apply"}[n/2%2]
		other := c.ps[1-i]
		x.stop(c.ps[i])
		sleeper := x.start("ingest", fmt.Sprintf("PROFILESTREAM_FAILPOINT=%s:%d:stop", point, 1+x.rng.IntN(2)))
		c.ps[i] = sleeper
		if !x.eventually("a worker stops at "+point, func() bool {
			if strings.Contains(sleeper.Log(), "failpoint "+point) {
				return true
			}
			x.more("windowing")
			return false
		}) {
			return
		}
		left := func() int {
			return strings.Count(sleeper.Log(), "left the group after a failure") + strings.Count(sleeper.Log(), `"ending":"revoked"`)
		}
		taken, seats := strings.Count(other.Log(), "took over a log partition"), left()
		x.struck("windowing")
		x.send()
		x.eventually("the other worker has all log partitions", func() bool {
			return strings.Count(other.Log(), "took over a log partition") >= taken+logParts || other.Exited()
		})
		if !x.caughtUp(c.ps...) {
			return
		}
		sleeper.Signal(syscall.SIGCONT)
		if !x.eventually("the woken worker leaves its seat", func() bool { return left() > seats || sleeper.Exited() }) {
			return
		}
		x.send()
		if !x.caughtUp(c.ps...) {
			return
		}
		x.recoveries++
	}
	x.note("%d workers were stopped, each left its seat when it woke", x.kills)
	x.finish(c)
}

// stopAnyone is row 4: SIGTERM under load drains and ends with 0.
func stopAnyone(x *trial) {
	rounds := max(4, x.events*24/50_000)
	x.setUp(options{pieces: rounds * 3})
	c := x.crew()
	for n := range rounds {
		i := n % len(c.ps)
		x.send()
		lag := x.busy(c.stage(i))
		if x.wrong > 0 {
			return
		}
		x.must(c.ps[i].Terminate() == nil, "%s has ended by itself: %s", c.ps[i].Name, c.ps[i].Last())
		x.kills++
		x.lagged(lag, c.stage(i))
		x.send()
		if !x.exits(c.ps[i], 0) {
			return
		}
		c.ps[i] = x.start(crewBinaries[i])
		if !x.ready(c.ps[i]) {
			return
		}
		x.recoveries++
	}
	x.finish(c)
}

// storm is row 8: a worker joins or leaves every two seconds, by SIGTERM or by
// SIGKILL, while a steady one stays.
func storm(x *trial) {
	rounds := max(6, x.events*24/50_000)
	x.setUp(options{pieces: rounds * 3})
	c := x.crew()
	var guests []*harness.Process
	for n := range rounds {
		x.send()
		lag := x.busy("admission")
		if x.wrong > 0 {
			return
		}
		x.kills++
		x.lagged(lag, "admission")
		if len(guests) < 2 || x.rng.IntN(2) == 0 {
			guests = append(guests, x.start("ingest"))
		} else {
			guest := guests[0]
			guests = guests[1:]
			if n%3 == 0 {
				guest.Kill()
			} else {
				x.must(guest.Terminate() == nil, "a worker ended by itself: %s", guest.Last())
			}
		}
		x.passes(2 * time.Second)
	}
	for _, g := range guests {
		g.Kill()
	}
	if x.caughtUp(c.ps...) {
		x.recoveries = x.kills
	}
	generations := 0
	for _, p := range c.ps[:2] {
		generations += strings.Count(p.Log(), "generation over")
	}
	x.note("%d generations ended in the steady workers", generations)
	x.must(generations >= rounds/2, "%d generations for %d changes: there was no storm", generations, rounds)
	x.finish(c)
}
