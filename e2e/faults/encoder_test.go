package faults

import (
	"fmt"

	"profilestream/e2e/harness"
)

// badEncoder is row 14: the encoder fails, hangs, and gives NaN. The breaker
// opens, the scorer is not ready and goes on by itself when the encoder works
// again; no NaN reaches a row. With model.degraded, rows come out meanwhile, and
// better ones take their places.
func badEncoder(x *trial) {
	rounds := max(1, x.events/50_000)
	x.setUp(options{pieces: rounds*16 + 3, model: ", timeout: 1s, cache_mib: 0"}) // every text is encoded
	others := []*harness.Process{x.start("ingest"), x.start("sink")}
	broken, low := x.opts, x.opts
	broken.bundle = parts.broken
	low.model += ", degraded: true"
	nan := x.configure(x.run, broken)
	numbers := x.configure(x.run, low)
	for range rounds {
		for _, kind := range []string{"encoder.fail", "encoder.hang", "NaN", degradedKind} {
			config, env := x.config, x.faults(fmt.Sprintf("%s:%d-%d", kind, 2, 8))
			switch kind {
			case "NaN":
				config, env = nan, nil
			case degradedKind:
				config, env = numbers, x.faults("encoder.fail:2-40")
			}
			if !x.encoderBreaks(kind, config, env, others) {
				return
			}
		}
	}
	x.stop(others...)
	x.compare()
	for _, view := range []string{"profiles_latest", "profile_days"} {
		n := x.engine.Count(x, "SELECT countIf(isNaN(churn_probability) OR isNaN(value_expected) OR arrayExists(v -> isNaN(v), embedding)) FROM "+database(x.run)+"."+view)
		x.must(n == 0, "%d rows of %s hold NaN", n, view)
		n = x.degradedRows(view)
		x.must(n == 0, "%d rows of %s are degraded", n, view)
	}
}

// degradedKind is a failing encoder whose rows do not wait for it.
const degradedKind = "degraded"

func (x *trial) degradedRows(view string) int64 {
	return x.engine.Count(x, "SELECT countIf(degraded) FROM "+database(x.run)+"."+view)
}

// encoderBreaks starts a scorer whose encoder breaks down under load, and sees it
// catch up.
func (x *trial) encoderBreaks(kind, config string, env []string, others []*harness.Process) bool {
	x.send()
	p := x.startWith("scorer", config, env)
	broken := func() bool {
		return p.Admin() != "" && harness.Metric(x, p, `profilestream_breaker_state{name="encoder"}`) > 0
	}
	// It may break at its first rows, and then is ready for a moment only.
	if !x.eventually("the scorer is at work", func() bool { return p.Exited() || p.IsReady() == nil || broken() }) || p.Exited() {
		x.must(!p.Exited(), "the scorer did not start: %s", p.Last())
		return false
	}
	x.send()
	if !x.eventually("the encoder's breaker opens on "+kind, func() bool {
		x.more("scorer")
		return broken()
	}) {
		return false
	}
	x.must(p.IsReady() != nil, "the scorer says that it is ready while its encoder's breaker is open")
	if kind != degradedKind {
		x.struck("scorer")
	}
	switch kind {
	case "NaN": // weights do not heal: another bundle does
		p.Kill()
		p = x.start("scorer")
	case degradedKind: // killed in between, it begins again where the first such row is
		if !x.eventually("rows are scored from numbers alone", func() bool {
			x.more("scorer")
			return harness.Metric(x, p, "profilestream_scorer_degraded_rows_total") > 0
		}) {
			return false
		}
		p.Kill()
		x.kills++
		p = x.startWith("scorer", config, nil)
	}
	if !x.caughtUp(append(others, p)...) {
		return false
	}
	if kind == degradedKind && !x.eventually("no degraded row is left", func() bool {
		return x.lag("sink") == 0 && x.degradedRows("profiles_latest")+x.degradedRows("profile_days") == 0
	}) {
		return false
	}
	x.stop(p)
	x.recoveries++
	return true
}

// faults are the environment of a process with a fault of the row's own; an
// empty one is none.
func (x *trial) faults(name string) []string {
	if name == "" {
		return nil
	}
	return []string{faultVariable + name}
}
