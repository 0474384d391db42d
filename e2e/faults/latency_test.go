package faults

import (
	"fmt"
	"time"

	"profilestream/e2e/harness"
)

const (
	// othersPerSecond is the live load of the users whose latency is measured, and
	// of the hot user beside them.
	othersPerSecond = 200
	latencyFloor    = 0.5 // seconds: below it twice as much is no harm
)

// othersWait measures how long rows of live events take, without and with a user
// who has half of all events.
func (x *trial) othersWait(c *crew) {
	const phase = 12 * time.Second
	sink := c.ps[3]
	x.live(2*time.Second, false) // the first rows pay for connections
	before := buckets(x, sink)
	x.live(phase, false)
	if !x.caughtUp(c.ps...) {
		return
	}
	alone := buckets(x, sink)
	x.live(phase, true)
	if !x.caughtUp(c.ps...) {
		return
	}
	beside := buckets(x, sink)
	was, is := quantile(0.99, before, alone), quantile(0.99, alone, beside)
	x.note("p99 from event to row, without and beside the hot user: %.2f s, %.2f s", was, is)
	x.must(is <= 2*max(was, latencyFloor), "other users wait %.2f s at p99 beside the hot user, %.2f s without", is, was)
}

// live sends events that are stamped now for a while, a tenth of a second's at a
// time.
func (x *trial) live(d time.Duration, hot bool) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); <-tick.C {
		var msgs []harness.Message
		event := func(user string) {
			x.line.events++
			n, now := x.line.events, time.Now()
			value := fmt.Appendf(nil, `{"event_id":"l%d","user_id":%q,"type":"page_view","ts":%d}`, n, user, now.UnixMilli())
			msgs = append(msgs, harness.Message{Topic: x.topics[0], Partition: n % inputPartitions["clickstream"], Time: now, Value: value})
		}
		for range othersPerSecond / 10 {
			event(fmt.Sprintf("other %d", x.rng.IntN(2000)))
			if hot {
				event("hot user")
			}
		}
		x.kafka.Send(msgs)
	}
}

// eventToRow are the upper bounds of the sink's latency histogram, in seconds.
var eventToRow = []float64{.1, .2, .3, .5, .75, 1, 1.5, 2, 3, 5, 10, 30, 60, 300}

func buckets(x *trial, sink *harness.Process) []float64 {
	var out []float64
	for _, le := range eventToRow {
		out = append(out, harness.Metric(x, sink, fmt.Sprintf(`profilestream_sink_event_to_row_seconds_bucket{le="%g"}`, le)))
	}
	return out
}

// quantile of what was observed between two readings: the upper bound of its
// bucket, less what a straight line within it says.
func quantile(q float64, before, after []float64) float64 {
	last := len(after) - 1
	total := after[last] - before[last]
	low := 0.0
	for i, high := range eventToRow {
		n, below := after[i]-before[i], 0.0
		if i > 0 {
			below = after[i-1] - before[i-1]
		}
		if n >= q*total && n > below {
			return low + (high-low)*(q*total-below)/(n-below)
		}
		low = high
	}
	return low
}
