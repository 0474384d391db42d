package faults

import (
	"fmt"
	"slices"
	"time"

	"profilestream/e2e/harness"
)

// wrongClock is row 15: the clocks of the processes are wrong by hours and days, sources
// fall idle, events come from the future and the past. The feed ends today, so
// that an idle source's time, which is its worker's clock, could do harm.
func wrongClock(x *trial) {
	x.begin = time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -feedDays)
	x.setUp(options{pieces: 12, lateness: 1200 * time.Hour, extra: ", idle_after: 1s", simulate: []string{"--start", x.begin.Format(time.DateOnly)}})
	x.until = x.until.AddDate(0, 0, 1)
	x.strangeTimes()
	clocks := []string{"clock.ahead:240", "clock.behind:5", "clock.ahead:3", "clock.behind:3"}
	c := &crew{x: x}
	for i, b := range crewBinaries {
		c.ps = append(c.ps, x.startWith(b, x.config, x.faults(clocks[i])))
	}
	for n := 0; len(x.pieces) > 0; n++ {
		x.send()
		lag := x.busy("admission")
		if x.wrong > 0 {
			return
		}
		i := n % 2
		c.ps[i].Kill()
		x.kills++
		x.lagged(lag, "admission")
		if c.ps[i] = x.startWith("ingest", x.config, x.faults(clocks[i])); !x.ready(c.ps[i]) || !x.caughtUp(c.ps...) {
			return
		}
		x.recoveries++
	}
	now := time.Now()
	x.stop(c.ps[1]) // a source with a worker whose clock is behind holds time back
	c.ps = slices.Delete(c.ps, 1, 2)
	x.eventually("idle sources have moved time", func() bool { return latest(x, c.ps[:1]).After(now) })
	w := latest(x, c.ps[:1])
	x.must(!w.After(time.Now().Add(time.Minute)), "time stands at %s, which is ahead of the broker's clock", w)
	x.note("clocks wrong by %v hours; idle sources moved time to %s, the broker's", clocks, w.Format(time.TimeOnly))
	x.finish(c)
}

// latest is how far time has come in any log partition.
func latest(x *trial, ps []*harness.Process) time.Time {
	var all []float64
	for _, p := range ps {
		all = append(all, harness.Metrics(x, p, "profilestream_ingest_watermark_seconds")...)
	}
	if len(all) == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(slices.Max(all) * 1000))
}

// strangeTimes adds, to each piece, events from the future, which are dead
// letters, and from weeks ago, which correct the past.
func (x *trial) strangeTimes() {
	for i := range x.pieces {
		for j, by := range []time.Duration{6 * time.Hour, 400 * 24 * time.Hour, -10 * 24 * time.Hour, -30 * 24 * time.Hour} {
			m := x.message("clickstream", i, nil)
			m.Time = x.pieces[i][0].Time
			m.Value = fmt.Appendf(nil, `{"event_id":"t%d-%d","user_id":"traveller %d","type":"page_view","ts":%d}`, i, j, i%3, m.Time.Add(by).UnixMilli())
			x.pieces[i] = append(x.pieces[i], m)
			x.line.events++
		}
	}
}
