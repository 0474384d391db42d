package faults

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"profilestream/e2e/harness"
)

// trial is one round of a row: a run of its own, fed piece by piece while
// things break, then drained and compared.
type trial struct {
	testing.TB
	*line
	rng     *rand.Rand
	events  int // to feed
	run     string
	kafka   *harness.Kafka
	engine  *harness.Engine
	opts    options
	config  string
	topics  []string
	pieces  [][]harness.Message
	begin   time.Time // of the feed; 2026-01-01
	until   time.Time
	fault   string // a mechanism of every process that is broken on purpose; "" none
	patient bool   // feeding goes on while brokers fail
	spoil   func() // the tables, before they are compared
	ps      []*harness.Process
}

// options shape a trial; zero values mean the defaults named with them.
type options struct {
	simulate   []string       // further flags of the feed
	pieces     int            // of the feed: 20
	kafka      *harness.Kafka // another one than the shared
	brokers    string         // the shared one's address
	clickhouse string         // the engine's address
	bundle     string         // the good one
	lateness   time.Duration  // 168h
	cap        int            // max_events_user_day: 100000
	extra      string         // further keys of the section profile; ", idle_after: 0s"
	model      string         // and of the section model
	session    string         // 2s
}

var inputPartitions = map[string]int{"clickstream": 3, "purchases": 2}

const (
	feedDays  = 16
	logParts  = 4
	sourceUSD = "0.79"
	// limit bounds every wait for something that has to happen, and shortLimit
	// those of a row that is expected to fail.
	limit      = 5 * time.Minute
	shortLimit = 45 * time.Second
)

// setUp makes the run's topics, its configuration and its feed.
func (x *trial) setUp(o options) {
	x.Helper()
	start(x)
	x.opts, x.kafka, x.engine = o, parts.kafka, parts.engine
	if o.kafka != nil {
		x.kafka = o.kafka
	}
	fill := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	fill(&x.opts.brokers, strings.Join(x.kafka.Addrs, `", "`))
	fill(&x.opts.clickhouse, x.engine.Addr())
	fill(&x.opts.bundle, parts.bundle)
	fill(&x.opts.session, "2s")
	if o.lateness == 0 {
		x.opts.lateness = 168 * time.Hour
	}
	if o.cap == 0 {
		x.opts.cap = 100_000
	}
	fill(&x.opts.extra, ", idle_after: 0s")
	if o.pieces == 0 {
		x.opts.pieces = 20
	}
	x.topics = []string{x.run + ".clickstream", x.run + ".purchases"}
	for _, topic := range x.topics {
		x.kafka.CreateTopic(topic, inputPartitions[topic[len(x.run)+1:]])
	}
	x.config = x.configure(x.run, x.opts)
	if x.begin.IsZero() {
		x.begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	x.feed(o.simulate)
	x.until = x.begin.AddDate(0, 0, feedDays+3)
}

// configure writes a configuration of this trial's inputs.
func (x *trial) configure(run string, o options) string {
	return harness.WriteFile(x, run+".yaml", fmt.Sprintf(`
run: %s
kafka: {brokers: ["%s"], session_timeout: %s}
input: {topics: [%s]}
log: {partitions: %d, replication: %d}
profile: {checkpoint_interval: 500ms, live_interval: 250ms, lateness: %s, max_events_user_day: %d, rates: {USD: %s}%s}
model: {dir: "%s", threads: 1, precision: f32%s}
clickhouse: {addr: ["%s"], database: faults, batch_interval: 250ms}
admin: {drain_deadline: 2m}
`, run, o.brokers, o.session, strings.Join(x.topics, ", "), logParts, len(x.kafka.Addrs), o.lateness, o.cap, sourceUSD, o.extra, o.bundle, o.model, o.clickhouse))
}

// feed simulates the shop of this round, in the order of arrival, in pieces.
func (x *trial) feed(flags []string) {
	dir := filepath.Join(x.TempDir(), "shop")
	args := []string{"simulate", "--quiet", "--out", dir, "--seed", fmt.Sprint(x.seed), "--users", fmt.Sprint(max(40, x.events/125)), "--days", fmt.Sprint(feedDays),
		"--events", fmt.Sprint(x.events + x.events/5), "--late", "0", "--duplicates", "0.01", "--foreign", "0.05", "--poison", "0.001"}
	profilectl(x, append(args, flags...)...)
	f := harness.LoadFeed(x, dir, inputPartitions)
	all := slices.Concat(f.Clickstream, f.Purchases)
	slices.SortStableFunc(all, func(a, b harness.Message) int { return a.Time.Compare(b.Time) })
	for i := range all {
		all[i].Topic = x.run + "." + all[i].Topic
	}
	x.line.events += len(all)
	n := x.opts.pieces
	for i := range n {
		x.pieces = append(x.pieces, all[i*len(all)/n:(i+1)*len(all)/n])
	}
}

// send feeds the next piece, if there is one.
func (x *trial) send() bool {
	if len(x.pieces) == 0 {
		return false
	}
	if x.patient {
		x.kafka.SendThrough(limit, x.pieces[0])
	} else {
		x.kafka.Send(x.pieces[0])
	}
	x.pieces = x.pieces[1:]
	return true
}

// more feeds the next piece once a stage and those before it have worked off what
// there was: a slow one must not see the feed run out before its turn.
func (x *trial) more(stage string) {
	x.Helper()
	for _, s := range stages[:slices.Index(stages, stage)+1] {
		if x.lag(s) > 0 {
			return
		}
	}
	x.send()
}

// start starts a binary of the run.
func (x *trial) start(binary string, env ...string) *harness.Process {
	x.Helper()
	return x.startWith(binary, x.config, env)
}

func (x *trial) startWith(binary, config string, env []string, args ...string) *harness.Process {
	x.Helper()
	if x.fault != "" {
		own := ""
		for i, v := range env {
			if name, ok := strings.CutPrefix(v, faultVariable); ok {
				env, own = slices.Delete(slices.Clone(env), i, i+1), name+","
				break
			}
		}
		env = append(env, faultVariable+own+x.fault)
	}
	p := harness.Start(x, binary, config, env, args...)
	x.ps = append(x.ps, p)
	return p
}

const faultVariable = "PROFILESTREAM_FAULT="

// stages are the consumer groups and what each reads.
var stages = []string{"admission", "windowing", "scorer", "sink"}

func (x *trial) inputs(stage string) []string {
	own := "profile." + x.run + "."
	return map[string][]string{
		"admission": x.topics, "windowing": {own + "events"}, "scorer": {own + "windows", own + "days"}, "sink": {own + "scored", own + "dlq", own + "late"},
	}[stage]
}

// lag is how many records a stage has not committed.
func (x *trial) lag(stage string) int64 {
	x.Helper()
	return x.behind(stage, x.ends(stage))
}

// ends are the ends of a stage's inputs.
func (x *trial) ends(stage string) map[string][]int64 {
	x.Helper()
	out := map[string][]int64{}
	for _, topic := range x.inputs(stage) {
		out[topic] = x.kafka.Ends(topic)
	}
	return out
}

// behind is how many records below some ends of its inputs a stage has not
// committed.
func (x *trial) behind(stage string, ends map[string][]int64) (n int64) {
	x.Helper()
	for topic, ends := range ends {
		committed := x.kafka.Committed("profilestream."+x.run+"."+stage, topic)
		for p, end := range ends {
			n += max(0, end-max(0, committed[p]))
		}
	}
	return n
}

func (x *trial) limit() time.Duration {
	if x.fault != "" {
		return shortLimit
	}
	return limit
}

// eventually waits until a condition holds, or counts it as wrong.
func (x *trial) eventually(what string, holds func() bool) bool {
	x.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(x.limit()); !holds(); <-tick.C {
		if time.Now().After(end) {
			x.must(false, "not within %s: %s", x.limit(), what)
			return false
		}
	}
	return true
}

// caughtUp waits until every stage in turn has committed all that there is when
// its turn comes: time and totals go on moving. A process that ends by itself
// meanwhile is wrong.
func (x *trial) caughtUp(ps ...*harness.Process) bool {
	x.Helper()
	for _, stage := range stages {
		ended, ends := false, x.ends(stage)
		done := x.eventually(stage+" has caught up", func() bool {
			for _, p := range ps {
				ended = ended || p.Exited()
			}
			return ended || x.behind(stage, ends) == 0
		})
		for _, p := range ps {
			done = x.must(!p.Exited(), "%s ended: %s", p.Name, p.Last()) && done
		}
		if !done {
			return false
		}
	}
	return true
}

// must counts what does not hold as wrong.
func (x *trial) must(ok bool, format string, args ...any) bool {
	if !ok {
		x.wrong++
		x.why = append(x.why, fmt.Sprintf(format, args...))
	}
	return ok
}

func (x *trial) note(format string, args ...any) {
	x.notes = append(x.notes, fmt.Sprintf(format, args...))
}

// struck records a fault of a stage, with its lag at that moment.
func (x *trial) struck(stage string) {
	x.kills++
	x.lagged(x.lag(stage), stage)
}

func (x *trial) lagged(lag int64, stage string) {
	x.must(lag > 0 || x.fault != "", "%s was not behind when it was struck", stage)
	if x.leastLag < 0 || lag < x.leastLag {
		x.leastLag = lag
	}
}

// exits waits for an exit code.
func (x *trial) exits(p *harness.Process, code int) bool {
	x.Helper()
	if !x.eventually(p.Name+" ends", p.Exited) {
		return false
	}
	got := p.Wait(limit)
	return x.must(got == code, "%s ended with exit code %d, want %d: %s", p.Name, got, code, p.Last())
}

// stop asks processes to drain and waits for it.
func (x *trial) stop(ps ...*harness.Process) {
	x.Helper()
	for _, p := range ps {
		if x.must(!p.Exited(), "%s has ended by itself: %s", p.Name, p.Last()) {
			_ = p.Terminate()
		}
	}
	for _, p := range ps {
		if p.Exited() && p.Wait(limit) != 0 {
			continue // counted above
		}
		x.exits(p, 0)
	}
}
