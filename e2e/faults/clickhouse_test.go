package faults

import (
	"fmt"
	"strings"
	"time"

	"profilestream/e2e/harness"
)

// tables are those that rows are inserted into.
var tables = []string{"profiles", "profile_history"}

// outage is row 9: ClickHouse is killed for a while, is slow, has too many
// parts, and has no room on its disk. Fetching stops, the breaker opens, and no
// good row is diverted.
func outage(x *trial) {
	rounds := max(4, x.events*8/50_000)
	start(x)
	link := newLink(x, "127.0.0.1:0", parts.engine.Addr())
	x.setUp(options{pieces: rounds * 5, clickhouse: link.addr()})
	c := x.crew()
	sink := c.ps[3]
	for n := range rounds {
		x.send()
		if n == 0 && !x.caughtUp(c.ps...) { // the tables are there
			return
		}
		x.kills++
		var end func()
		switch n % 4 {
		case 0:
			x.engine.Kill()
			end = func() { x.engine.Restart(x) }
		case 1:
			link.trouble(x, slow)
			end = link.clear
		case 2:
			x.restrict("parts_to_throw_insert = 1", "parts_to_delay_insert = 1", "max_avg_part_size_for_too_many_parts = 1000000000000")
			end = func() {
				x.relax("parts_to_throw_insert", "parts_to_delay_insert", "max_avg_part_size_for_too_many_parts")
			}
		case 3:
			x.restrict("min_free_disk_bytes_to_perform_insert = 9000000000000000000")
			end = func() { x.relax("min_free_disk_bytes_to_perform_insert") }
		}
		x.send()
		if n%4 != 1 {
			x.eventually("the breaker opens", func() bool { return harness.Metric(x, sink, `profilestream_breaker_state{name="clickhouse"}`) == 2 })
			x.must(sink.IsReady() != nil, "the sink says that it is ready while its breaker is open")
			x.send()
			x.passes(time.Duration(min(60, x.events/800)) * time.Second)
		}
		x.eventually("sink is behind", func() bool { return x.lag("sink") > 0 })
		x.lagged(x.lag("sink"), "sink")
		end()
		if !x.caughtUp(c.ps...) {
			return
		}
		x.recoveries++
	}
	x.note("the sink's peak memory: %d MiB", sink.PeakBytes()>>20)
	x.finish(c)
	x.must(strings.Contains(sink.Log(), "TOO_MANY_PARTS") || strings.Contains(sink.Log(), "code: 252"), "no insert was refused for too many parts")
	x.must(strings.Contains(sink.Log(), "NOT_ENOUGH_SPACE") || strings.Contains(sink.Log(), "code: 243"), "no insert was refused for a full disk")
}

func (x *trial) restrict(settings ...string) {
	x.alter("MODIFY SETTING " + strings.Join(settings, ", "))
}

func (x *trial) relax(settings ...string) { x.alter("RESET SETTING " + strings.Join(settings, ", ")) }

func (x *trial) alter(what string) {
	verb := map[bool]string{true: "STOP", false: "START"}[strings.HasPrefix(what, "MODIFY")]
	for _, t := range tables {
		table := database(x.run) + "." + t
		x.engine.Do(x, fmt.Sprintf("ALTER TABLE %s %s", table, what))
		x.engine.Do(x, fmt.Sprintf("SYSTEM %s MERGES %s", verb, table))
	}
}

// answersLost is row 10: ClickHouse stores blocks and its answers are cut off,
// so the sink sends the same rows again. No view shows one twice.
func answersLost(x *trial) {
	rounds := max(2, x.events*10/50_000)
	start(x)
	link := newLink(x, "127.0.0.1:0", parts.engine.Addr())
	x.setUp(options{pieces: rounds * 4, clickhouse: link.addr()})
	c := x.crew()
	x.send()
	if !x.caughtUp(c.ps...) {
		return
	}
	for _, t := range tables {
		x.engine.Do(x, fmt.Sprintf("SYSTEM STOP MERGES %s.%s", database(x.run), t))
	}
	for range rounds {
		before := x.storedAgain()
		link.trouble(x, noAnswers)
		x.send()
		x.eventually("rows whose answer was lost are stored again", func() bool { return x.storedAgain() > before })
		x.kills++
		x.lagged(x.lag("sink"), "sink")
		link.clear()
		if !x.caughtUp(c.ps...) {
			return
		}
		x.recoveries++
	}
	x.note("%d rows were stored again", x.storedAgain())
	if x.fault == viewKeepsRepeats {
		x.spoil = func() { // after the last start of a sink, which makes the views anew
			x.engine.Do(x, fmt.Sprintf("CREATE OR REPLACE VIEW %[1]s.profile_days AS SELECT * FROM %[1]s.profile_history", database(x.run)))
		}
	}
	x.finish(c)
}

// viewKeepsRepeats is a fault of the tables, not of a process.
const viewKeepsRepeats = "view.keeps_repeats"

// storedAgain is how many rows are stored more than once.
func (x *trial) storedAgain() (n int64) {
	for _, t := range tables {
		n += x.engine.Count(x, fmt.Sprintf("SELECT count() - uniqExact(user_id, as_of, row_version) FROM %s.%s", database(x.run), t))
	}
	return n
}
