package faults

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"

	"profilestream/e2e/harness"
	"profilestream/schemas"
)

// underFire feeds the whole input to a crew of which a process dies at every
// third piece or so, then does what is to be done at the end, and compares. The
// input is what the row is about. It reports false when it could not go on.
func (x *trial) underFire(last func(*crew)) bool {
	c := x.crew()
	for n := 0; len(x.pieces) > 0; n++ {
		x.send()
		if n%3 != 0 {
			continue
		}
		i := x.rng.IntN(len(c.ps))
		lag := x.busy(c.stage(i))
		if x.wrong > 0 {
			return false
		}
		c.ps[i].Kill()
		x.kills++
		x.lagged(lag, c.stage(i))
		if c.ps[i] = x.start(crewBinaries[i]); !x.ready(c.ps[i]) {
			return false
		}
		x.recoveries++
	}
	if last != nil && x.caughtUp(c.ps...) {
		last(c)
	}
	x.finish(c)
	return true
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
	if !x.underFire(nil) {
		return
	}
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
	if !x.underFire(nil) {
		return
	}
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
	if !x.underFire(x.othersWait) {
		return
	}
	rows := x.engine.Rows(x, "SELECT arrayStringConcat(flags, ' '), events_total FROM "+database(x.run)+".profiles_latest WHERE user_id = 'hot user'")
	x.must(len(rows) == 1 && strings.Contains(rows[0][0], "hot"), "the hot user's flags and events: %v", rows)
	largest := x.stateFits()
	hot := x.engine.Count(x, "SELECT count() FROM "+database(x.run)+".bad_events WHERE reason = 'hot'")
	x.must(hot > 0, "no event was beyond the cap")
	x.note("hot user: %v, %d events beyond the cap of %d a day; largest state record %d bytes", rows, hot, x.opts.cap, largest)
	if !x.red() {
		x.hotDay()
	}
}

// hotDay is a run of its own, in which a user has a million events in a day (at full size) and a cap of a tenth of
// them: the rest is diverted, the user is flagged, and each record of state fits into the broker.
func (x *trial) hotDay() {
	n := 40 * x.events
	y := &trial{TB: x.TB, line: x.line, rng: x.rng, events: 1000, run: x.run + "_day", fault: x.fault}
	y.setUp(options{cap: n / 10, pieces: 1})
	y.send()
	day := y.begin.AddDate(0, 0, feedDays+1)
	for i := 0; i < n; {
		var msgs []harness.Message
		for ; i < n && len(msgs) < 50_000; i++ {
			at := day.Add(24 * time.Hour / time.Duration(n) * time.Duration(i))
			value := fmt.Appendf(nil, `{"event_id":"d%d","user_id":"hot user","type":"product_view","ts":%d,"product":{"id":"p%d","name":"desk lamp","category":"home"}}`, i, at.UnixMilli(), i%500)
			msgs = append(msgs, harness.Message{Topic: y.topics[0], Partition: i % inputPartitions["clickstream"], Time: at, Value: value})
		}
		y.kafka.Send(msgs)
	}
	y.line.events += n
	y.compare()
	rows := y.engine.Rows(y, "SELECT arrayStringConcat(flags, ' '), events_total FROM "+database(y.run)+".profiles_latest WHERE user_id = 'hot user'")
	y.must(len(rows) == 1 && strings.Contains(rows[0][0], "hot") && rows[0][1] == fmt.Sprint(n/10), "the flags and events of a user with %d events in a day: %v", n, rows)
	hot := y.engine.Count(y, "SELECT count() FROM "+database(y.run)+".bad_events WHERE reason = 'hot'")
	y.must(hot == int64(n-n/10), "%d events were beyond the cap", hot)
	y.note("a user with %d events in a day: %v, %d beyond the cap of %d; largest state record %d bytes of the broker's %d", n, rows, hot, n/10, y.stateFits(), y.largestMessage())
}

// stateFits holds the largest record of state, whose size it returns, against what the broker takes.
func (x *trial) stateFits() int {
	largest, most := x.largestState(), x.largestMessage()
	x.must(largest < most, "a state record has %d bytes, the broker takes %d", largest, most)
	return largest
}

// largestMessage is the broker's message.max.bytes.
func (x *trial) largestMessage() int {
	const key = "message.max.bytes"
	res, err := x.kafka.Client.DescribeConfigs(context.Background(), &kafka.DescribeConfigsRequest{
		Resources: []kafka.DescribeConfigRequestResource{{ResourceType: kafka.ResourceTypeBroker, ResourceName: "1", ConfigNames: []string{key}}},
	})
	if err != nil {
		x.Fatal(err)
	}
	for _, r := range res.Resources {
		for _, e := range r.ConfigEntries {
			if n, err := strconv.Atoi(e.ConfigValue); e.ConfigName == key && err == nil {
				return n
			}
		}
	}
	x.Fatalf("the broker does not say its %s: %+v", key, res)
	return 0
}
