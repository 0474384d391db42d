package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"time"

	"profilestream/e2e/harness"
)

const (
	latencyInterval = 200 * time.Millisecond // live_interval and batch_interval
	pollEvery       = 100 * time.Millisecond
	settling        = 5 * time.Second // at the start of the stream, not measured
	patience        = 2 * time.Minute // for the last rows, after the stream has ended
	templates       = 20_000
)

// prepareLatency measures, at a rate of events, the time from an event's Kafka
// timestamp to the moment at which a query reads a row that holds it. The
// customers have a history that is not scored again, and the cache has seen the
// products.
func prepareLatency(s *session, rate int) func() []sample {
	// A day between the history and today: some of its records arrive hours after
	// their event, and the broker takes none from the future.
	today := time.Now().UTC().Truncate(24 * time.Hour)
	in := s.input(shop{name: "recent", users: 2000, days: 30, events: min(s.events, 200_000), start: today.AddDate(0, 0, -31)})
	values, cache := s.templates(in), s.warmed(in, today)
	return func() []sample {
		p := s.pipeline(settings{inputs: in.topics, cacheDir: cache, liveInterval: latencyInterval, batchInterval: latencyInterval})
		defer p.remove()
		p.drain("ingest", "-until", today.Format(time.RFC3339))
		p.skip("scorer", p.topics.Windows, p.topics.Days)
		procs := []*harness.Process{p.start("ingest"), p.start("scorer"), p.start("sink")}
		defer kill(procs...)
		for _, proc := range procs {
			proc.Ready(patientFor)
		}
		l := &listener{s: s, view: p.database() + ".profiles_latest", seen: map[string]int64{}}
		l.run(in.topics[0], rate, values)
		if len(l.seconds) < 10 {
			s.Fatalf("only %d rows were read", len(l.seconds))
		}
		note := fmt.Sprintf("%d events/s for %.0f s of 2,000 users with a history (%s), products in the cache; live_interval and batch_interval 200 ms; from the Kafka timestamp of a row's newest event to the end of a query that reads it, polled every 100 ms; %d rows read, %d users' newest event not read within %.0f s",
			rate, s.duration.Seconds(), in.note, len(l.seconds), l.missing, patience.Seconds())
		name := "latency_" + strconv.Itoa(rate)
		return []sample{
			{name + "_p50", quantile(l.seconds, .50), "s", note},
			{name + "_p99", quantile(l.seconds, .99), "s", note},
		}
	}
}

// warmed is an embedding cache that has seen customers of a history, as a scorer
// that has been at work has: above all the texts of the shop's products. The
// text of a customer with a new event is new all the same.
func (s *session) warmed(in *input, until time.Time) (cacheDir string) {
	cacheDir = s.cacheDir() + "-latency"
	if _, err := os.Stat(cacheDir); err == nil {
		return cacheDir
	}
	from := s.pipeline(settings{inputs: in.topics})
	defer from.remove()
	from.drain("ingest", "-until", until.Format(time.RFC3339))
	to := s.pipeline(settings{cacheDir: cacheDir})
	defer to.remove()
	rows, n := s.takeRows(lateRows, from.topics.Windows, min(2000, int64(s.duration.Seconds()*50)), nil)
	s.giveRows(to.topics.Windows, rows, n)
	s.progress("scoring %d live rows", n)
	to.drain("scorer")
	return cacheDir
}

// templates are events of a history whose ids and times are replaced when sent.
func (s *session) templates(in *input) (out []map[string]json.RawMessage) {
	n, stride := 0, max(1, in.records/templates) // all over the history: each customer's
	s.lines(in.dir, "clickstream", func(_ int64, _, value string) {
		if n++; n%stride != 0 {
			return
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal([]byte(value), &fields); err != nil {
			s.Fatal(err)
		}
		out = append(out, fields)
	})
	return out
}

// listener sends a stream and reads the rows that it makes.
type listener struct {
	s       *session
	view    string
	seen    map[string]int64 // user to the newest event time read
	seconds []float64        // latency of each row read
	missing int              // users whose newest event was not read in the end
}

type sent struct {
	newest map[string]int64 // user to the time of the last event, ms
	err    any
}

func (l *listener) run(topic string, rate int, values []map[string]json.RawMessage) {
	start := time.Now()
	done := make(chan sent, 1)
	go l.send(topic, rate, start.Add(settling+l.s.duration), values, done)
	var all sent
	ended, deadline := false, time.Time{}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for ; ; <-tick.C {
		l.poll(start)
		select {
		case all = <-done:
			if all.err != nil {
				panic(all.err)
			}
			ended, deadline = true, time.Now().Add(patience)
		default:
		}
		if !ended {
			continue
		}
		l.missing = 0
		for user, at := range all.newest {
			if l.seen[user] < at {
				l.missing++
			}
		}
		if l.missing == 0 || time.Now().After(deadline) {
			break
		}
	}
	for user, at := range all.newest {
		if l.seen[user] < at { // waited for so long at least
			l.seconds = append(l.seconds, time.Since(time.UnixMilli(at)).Seconds())
		}
	}
}

// poll reads the rows with an event of the stream; a row that is newer than the
// one read before has just become readable.
func (l *listener) poll(start time.Time) {
	rows := l.s.engine().Rows(l.s, fmt.Sprintf("SELECT user_id, toUnixTimestamp64Milli(last_seen) FROM %s WHERE last_seen >= fromUnixTimestamp64Milli(%d)", l.view, start.UnixMilli()))
	now := time.Now()
	for _, r := range rows {
		at, err := strconv.ParseInt(r[1], 10, 64)
		if err != nil {
			l.s.Fatal(err)
		}
		if at <= l.seen[r[0]] {
			continue
		}
		l.seen[r[0]] = at
		if at >= start.Add(settling).UnixMilli() {
			l.seconds = append(l.seconds, now.Sub(time.UnixMilli(at)).Seconds())
		}
	}
}

// send sends events at a rate until the end, each with its own time as event
// time and Kafka timestamp.
func (l *listener) send(topic string, rate int, end time.Time, values []map[string]json.RawMessage, done chan<- sent) {
	out := sent{newest: map[string]int64{}}
	defer func() {
		out.err = recover()
		done <- out
	}()
	f := l.s.feedTo(topic, inputPartitions["clickstream"])
	random := rand.New(rand.NewPCG(1, 2))
	start, n := time.Now(), 0
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for now := start; now.Before(end); now = <-tick.C {
		for due := int(now.Sub(start).Seconds() * float64(rate)); n < due; n++ {
			at := time.Now()
			fields := values[random.IntN(len(values))]
			fields["ts"] = strconv.AppendInt(nil, at.UnixMilli(), 10)
			fields["event_id"] = strconv.AppendQuote(nil, fmt.Sprintf("%016x%08x", at.UnixNano(), n))
			value, err := json.Marshal(fields)
			if err != nil {
				panic(err)
			}
			var user string
			if err := json.Unmarshal(fields["user_id"], &user); err != nil {
				panic(err)
			}
			out.newest[user] = at.UnixMilli()
			f.add(at.UnixMilli(), []byte(user), value)
		}
		f.flush()
	}
}
