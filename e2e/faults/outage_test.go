package faults

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"profilestream/e2e/harness"
)

// The load of a long outage, and how long it lasts before it.
const (
	outageRate  = 2_000 // events a second
	outageUsers = 500
	outageWarm  = time.Minute
	// fullQueueAfter is an outage in whose first two fifths the sink's queue has
	// filled, so that its memory can be held against a line.
	fullQueueAfter = 3 * time.Minute
)

// TestLongOutage: ClickHouse is stopped, and then the encoder hangs, under a
// live load for as long as OUTAGE says. The memory of every process is flat, lag
// returns to what it was while the load goes on and to 0 at its end, and every
// table is equal to the oracle's.
func TestLongOutage(t *testing.T) {
	text := os.Getenv("OUTAGE")
	if text == "" {
		t.Skip("SKIPPED: takes two long outages: make outage, or OUTAGE=5m")
	}
	outage, err := time.ParseDuration(text)
	if err != nil || outage < 10*time.Second {
		t.Fatalf("OUTAGE: %q is not a duration of at least 10s", text)
	}
	for i, c := range []struct {
		name, stage string
	}{{"ClickHouse stopped", "sink"}, {"encoder hung", "scorer"}} {
		t.Run(c.name, func(t *testing.T) {
			began := time.Now()
			runs++
			l := &line{row: 20 + i, name: c.name + " for " + outage.String(), seed: 1, rounds: 1, leastLag: -1, points: map[string]int{}}
			x := &trial{TB: t, line: l, rng: rand.New(rand.NewPCG(l.seed, 0)), events: quickEvents, run: fmt.Sprintf("outage_%d", runs)}
			x.longOutage(outage, c.stage)
			l.seconds = time.Since(began).Seconds()
			printHead(os.Stdout)
			l.print(os.Stdout)
			l.details(os.Stdout)
			if l.red() {
				t.Error(strings.Join(l.why, "\n"))
			}
		})
	}
}

// load sends live events of the users at outageRate and watches the processes.
type load struct {
	x       *trial
	ps      []*harness.Process
	sent    int
	began   time.Time
	samples map[*harness.Process][]sample
}

// sample is a process's memory, in MiB, at a time since the load began.
type sample struct{ seconds, mib float64 }

func (x *trial) longOutage(outage time.Duration, stage string) {
	x.begin = time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -feedDays)
	x.setUp(options{pieces: 1, simulate: []string{"--start", x.begin.Format(time.DateOnly)}, model: ", timeout: 1s, cache_mib: 0"}) // every text is encoded
	ps := []*harness.Process{x.start("ingest"), x.start("ingest"), x.start("sink")}
	for x.send() {
	}
	scorer := x.start("scorer")
	if !x.caughtUp(append(ps, scorer)...) {
		return
	}
	if stage == "scorer" { // its age tells it when to hang
		x.stop(scorer)
		scorer = x.start("scorer", x.faults(fmt.Sprintf("encoder.hang@%s-%s", outageWarm, outageWarm+outage))...)
	}
	ps = append(ps, scorer)
	l := &load{x: x, ps: ps, began: time.Now(), samples: map[*harness.Process][]sample{}}
	usual := l.run(outageWarm, stage, nil)
	if stage == "sink" {
		x.engine.Kill()
	}
	x.kills++
	during := l.run(outage, stage, nil)
	x.must(during > 10*usual, "%s was %d behind at most before the outage, and %d in it: it did not stand still", stage, usual, during)
	if outage >= fullQueueAfter {
		for _, p := range ps {
			l.flat(p, (outageWarm + outage*2/5).Seconds())
		}
	}
	if stage == "sink" {
		x.engine.Restart(x)
	}
	x.lagged(during, stage)
	ended := time.Now()
	after := l.run(limit, stage, func(lag int64) bool { return lag <= usual })
	x.must(after <= usual, "%s is still %d behind %s after the outage, under load; before it %d", stage, after, time.Since(ended).Round(time.Second), usual)
	x.note("%s: at most %d behind before the outage, %d at its end, %d again %.0f s after it, under load", stage, usual, during, after, time.Since(ended).Seconds())
	if !x.caughtUp(ps...) {
		return
	}
	x.note("nothing behind %.0f s after it", time.Since(ended).Seconds())
	x.recoveries++
	x.stop(ps...)
	for _, p := range ps {
		x.note("%s: peak memory %d MiB", p.Name, p.PeakBytes()>>20)
	}
	x.compare()
}

// run loads for a while, or until enough is said of the stage's lag. It returns
// the largest lag of the last half without enough, else the last one.
func (l *load) run(d time.Duration, stage string, enough func(lag int64) bool) (lag int64) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	begin, looked := time.Now(), time.Now()
	for end := begin.Add(d); time.Now().Before(end); <-tick.C {
		l.send(int(time.Since(l.began).Seconds()*outageRate) - l.sent)
		if time.Since(looked) < time.Second {
			continue
		}
		looked = time.Now()
		for _, p := range l.ps {
			l.samples[p] = append(l.samples[p], sample{time.Since(l.began).Seconds(), float64(p.ResidentBytes()) / (1 << 20)})
		}
		now := l.x.lag(stage)
		if enough != nil {
			if lag = now; enough(now) {
				return lag
			}
		} else if time.Since(begin) > d/2 {
			lag = max(lag, now)
		}
	}
	return lag
}

// send sends n events that are stamped now: views, searches, purchases.
func (l *load) send(n int) {
	x := l.x
	msgs := make([]harness.Message, 0, n)
	for range n {
		l.sent++
		i, now := l.sent, time.Now()
		user := x.rng.IntN(outageUsers)
		m := harness.Message{Topic: x.topics[0], Partition: i % inputPartitions["clickstream"], Time: now}
		switch {
		case i%20 == 0:
			m.Topic, m.Partition = x.topics[1], i%inputPartitions["purchases"]
			m.Value = fmt.Appendf(nil, `{"event_id":"o%d","user_id":"live %d","type":"purchase","ts":%d,"total":%d.25}`, i, user, now.UnixMilli(), 1+i%90)
		case i%10 == 1:
			m.Value = fmt.Appendf(nil, `{"event_id":"o%d","user_id":"live %d","type":"search","ts":%d,"query":"lamp %d"}`, i, user, now.UnixMilli(), i%50)
		default:
			m.Value = fmt.Appendf(nil, `{"event_id":"o%d","user_id":"live %d","type":"product_view","ts":%d,"product":{"id":"p%d","name":"desk lamp %d","category":"c%d"}}`, i, user, now.UnixMilli(), i%700, i%700, i%12)
		}
		msgs = append(msgs, m)
	}
	x.line.events += n
	x.kafka.Send(msgs)
}

// flat holds the memory of a process since a second of the load against a line:
// what it grows by until now must be small.
func (l *load) flat(p *harness.Process, since float64) {
	s := l.samples[p]
	s = s[slices.IndexFunc(s, func(s sample) bool { return s.seconds >= since }):]
	var n, sx, sy, sxx, sxy float64
	least, most := s[0].mib, s[0].mib
	for _, v := range s {
		n, sx, sy, sxx, sxy = n+1, sx+v.seconds, sy+v.mib, sxx+v.seconds*v.seconds, sxy+v.seconds*v.mib
		least, most = min(least, v.mib), max(most, v.mib)
	}
	slope := (n*sxy - sx*sy) / (n*sxx - sx*sx)
	grown, mean := slope*(s[len(s)-1].seconds-s[0].seconds), sy/n
	l.x.note("%s: %.0f to %.0f MiB over the last %.0f s of the outage, %+.1f MiB a minute", p.Name, least, most, s[len(s)-1].seconds-s[0].seconds, slope*60)
	l.x.must(grown < 16+mean*15/100, "%s grows by %.0f MiB from %.0f", p.Name, grown, mean)
}
