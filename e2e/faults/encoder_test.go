package faults

import (
	"fmt"

	"profilestream/e2e/harness"
)

// badEncoder is row 14: the encoder fails, hangs, and gives NaN. The breaker
// opens, the scorer is not ready and goes on by itself when the encoder works
// again; no NaN reaches a row.
func badEncoder(x *trial) {
	rounds := max(1, x.events/50_000)
	x.setUp(options{pieces: rounds*9 + 3, model: ", timeout: 1s"})
	others := []*harness.Process{x.start("ingest"), x.start("sink")}
	broken := x.opts
	broken.bundle = parts.broken
	nan := x.configure(x.run, broken)
	for range rounds {
		for _, kind := range []string{"encoder.fail", "encoder.hang", "NaN"} {
			x.send()
			config, env := x.config, x.faults(fmt.Sprintf("%s:%d-%d", kind, 3, 8))
			if kind == "NaN" {
				config, env = nan, x.faults("")
			}
			p := x.startWith("scorer", config, env)
			x.must(x.ready(p), "the scorer did not start: %s", p.Last())
			x.send()
			if !x.eventually("the encoder's breaker opens on "+kind, func() bool {
				if x.lag("scorer") == 0 {
					x.send()
				}
				return harness.Metric(x, p, `profilestream_breaker_state{name="encoder"}`) > 0
			}) {
				return
			}
			x.struck("scorer")
			x.must(p.IsReady() != nil, "the scorer says that it is ready while its encoder's breaker is open")
			if kind == "NaN" { // weights do not heal: another bundle does
				p.Kill()
				p = x.start("scorer")
			}
			if !x.caughtUp(append(others, p)...) {
				return
			}
			x.stop(p)
			x.recoveries++
		}
	}
	x.stop(others...)
	x.compare()
	for _, view := range []string{"profiles_latest", "profile_days"} {
		n := x.engine.Count(x, "SELECT countIf(isNaN(churn_probability) OR isNaN(value_expected) OR arrayExists(v -> isNaN(v), embedding)) FROM "+database(x.run)+"."+view)
		x.must(n == 0, "%d rows of %s hold NaN", n, view)
	}
}

// faults are the environment of a process with a fault of the row's own; an
// empty one is none.
func (x *trial) faults(name string) []string {
	if name == "" {
		return nil
	}
	return []string{faultVariable + name}
}
