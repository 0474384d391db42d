package faults

import (
	"fmt"
	"strings"
	"time"

	"profilestream/e2e/harness"
	"profilestream/schemas"
)

// underFire feeds the whole input to a crew of which a process dies at every
// third piece or so, then does what is to be done at the end, and compares. The
// input is what the row is about.
func (x *trial) underFire(last func(*crew)) {
	c := x.crew()
	for n := 0; len(x.pieces) > 0; n++ {
		x.send()
		if n%3 != 0 {
			continue
		}
		i := x.rng.IntN(len(c.ps))
		lag := x.busy(c.stage(i))
		if x.wrong > 0 {
			return
		}
		c.ps[i].Kill()
		x.kills++
		x.lagged(lag, c.stage(i))
		if c.ps[i] = x.start(crewBinaries[i]); !x.ready(c.ps[i]) {
			return
		}
		x.recoveries++
	}
	if last != nil && x.caughtUp(c.ps...) {
		last(c)
	}
	x.finish(c)
}

// poison is row 11: every way of being no event, between good events. Each is
// in bad_events once, with its reason and position, as the oracle says.
func poison(x *trial) {
	x.setUp(options{pieces: 12, simulate: []string{"--poison", "0.05"}})
	cases := schemas.Poison()
	for i, c := range cases {
		n := i * len(x.pieces) / len(cases)
		x.pieces[n] = append(x.pieces[n], x.message(c.Topic, i, c.Value))
	}
	x.line.events += len(cases)
	x.underFire(nil)
	bad := x.engine.Count(x, "SELECT count() FROM "+database(x.run)+".bad_events")
	x.note("%d poison records of %d classes were dead-lettered", bad, len(cases))
	x.must(bad >= int64(len(cases)), "only %d records were dead-lettered", bad)
}

// message is a record of this run's inputs, stamped within the feed.
func (x *trial) message(topic string, i int, value []byte) harness.Message {
	return harness.Message{Topic: x.run + "." + topic, Partition: i % inputPartitions[topic], Time: x.begin.AddDate(0, 0, feedDays), Value: value}
}

// disorder is row 17: 10 % sent twice, 10 % out of order, 1 % late.
func disorder(x *trial) {
	x.setUp(options{pieces: 12, simulate: []string{"--duplicates", "0.10", "--disorder", "0.10", "--late", "0.01", "--lateness", "72h"}, lateness: 72 * time.Hour})
	x.underFire(nil)
	rows := x.engine.Rows(x, "SELECT sum(duplicates), sum(late) FROM "+database(x.run)+".accounting")
	x.must(len(rows) == 1 && rows[0][0] != "0" && rows[0][1] != "0", "duplicates and late events: %v", rows)
	x.note("duplicates and late events: %v", rows)
}

// hotUser is row 16: one user has half of all events. Beyond the day's cap they
// are diverted, the user is flagged, no record of state grows with them, and the
// others' rows come as fast as before.
func hotUser(x *trial) {
	x.events /= 2
	x.begin = time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -feedDays)
	x.setUp(options{pieces: 12, cap: max(20, x.events/feedDays*2/3), simulate: []string{"--start", x.begin.Format(time.DateOnly)}})
	for i := range x.pieces {
		var both []harness.Message
		for j, m := range x.pieces[i] {
			at := m.Time.UTC()
			value := fmt.Appendf(nil, `{"event_id":"h%d-%d","user_id":"hot user","type":"product_view","ts":%q,"product":{"id":"p%d","name":"desk lamp","category":"home"}}`,
				i, j, at.Format(time.RFC3339Nano), j%500)
			hot := harness.Message{Topic: x.topics[0], Partition: j % inputPartitions["clickstream"], Time: m.Time, Value: value}
			both = append(both, m, hot)
		}
		x.line.events += len(x.pieces[i])
		x.pieces[i] = both
	}
	x.underFire(x.othersWait)
	rows := x.engine.Rows(x, "SELECT arrayStringConcat(flags, ' '), events_total FROM "+database(x.run)+".profiles_latest WHERE user_id = 'hot user'")
	x.must(len(rows) == 1 && strings.Contains(rows[0][0], "hot"), "the hot user's flags and events: %v", rows)
	largest := x.largestState()
	x.must(largest < 900_000, "a state record has %d bytes", largest)
	hot := x.engine.Count(x, "SELECT count() FROM "+database(x.run)+".bad_events WHERE reason = 'hot'")
	x.must(hot > 0, "no event was beyond the cap")
	x.note("hot user: %v, %d events beyond the cap of %d a day; largest state record %d bytes", rows, hot, x.opts.cap, largest)
}
