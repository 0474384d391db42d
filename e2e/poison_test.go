package e2e

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"profilestream/e2e/harness"
	"profilestream/schemas"
)

// deadLetterBytes is what the DLQ keeps of a value at most; larger ones are cut.
const deadLetterBytes = 11 << 20

// badRow is a row of bad_events, its value by length and hash.
type badRow struct {
	Class, Reason, Field, Key string
	Bytes                     int
	SHA256                    string
	Truncated                 bool
	KafkaMillis               int64
}

// tally counts the fates of the records of a source partition.
type tally struct{ Records, Applied, Duplicates, Late, DeadLettered int64 }

// mixture builds what is sent and, beside it, what must become of it.
type mixture struct {
	r     *run
	msgs  []harness.Message
	bad   map[string]badRow // by source position
	tally map[string]tally  // by source partition
	good  map[string]int64  // events by user
	ends  map[string]int64  // next offset of a source partition
	turn  map[string]int
	at    time.Time
}

func newMixture(r *run) *mixture {
	return &mixture{
		r: r, bad: map[string]badRow{}, tally: map[string]tally{}, good: map[string]int64{}, ends: map[string]int64{}, turn: map[string]int{},
		at: time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC),
	}
}

// next is the partition whose turn it is.
func (x *mixture) next(topic string) int {
	x.turn[topic]++
	return x.turn[topic] % inputPartitions[topic]
}

// add sends a record to a partition and returns its source partition and
// position there. Kafka timestamps rise by a minute a record.
func (x *mixture) add(topic string, partition int, key, value []byte) (source, position string) {
	m := harness.Message{Topic: x.r.name + "." + topic, Partition: partition, Key: key, Value: value, Time: x.at}
	x.at = x.at.Add(time.Minute)
	x.msgs = append(x.msgs, m)
	source = fmt.Sprintf("%s:%d", m.Topic, partition)
	position = fmt.Sprintf("%s:%d", source, x.ends[source])
	x.ends[source]++
	return source, position
}

func (x *mixture) count(source string, f func(*tally)) {
	t := x.tally[source]
	t.Records++
	f(&t)
	x.tally[source] = t
}

// poison sends a record that must be dead-lettered.
func (x *mixture) poison(c schemas.PoisonCase, partition int, key []byte) {
	row := badRow{Class: c.Class, Reason: c.Reason, Field: c.Field, Key: string(key), KafkaMillis: x.at.UnixMilli(), Truncated: len(c.Value) > deadLetterBytes}
	kept := c.Value[:min(len(c.Value), deadLetterBytes)]
	row.Bytes, row.SHA256 = len(kept), fmt.Sprintf("%X", sha256.Sum256(kept))
	source, position := x.add(c.Topic, partition, key, c.Value)
	x.bad[position] = row
	x.count(source, func(t *tally) { t.DeadLettered++ })
}

// event makes valid event n, of one of a few users, and says whose turn it is.
func (x *mixture) event(topic string, n int, at time.Time) (partition int, user string, value []byte) {
	user = []string{"poison-user", "ada", "Grace", "王芳"}[n%4] // the first is the one that poison speaks of
	if topic == "purchases" {
		value = fmt.Appendf(nil, `{"event_id":"p%d","user_id":%q,"type":"purchase","ts":%q,"order_id":"o%d","items":[{"product_id":"lamp","name":"desk lamp","category":"home","price":19.99,"quantity":2}]}`,
			n, user, at.Format(time.RFC3339), n)
	} else {
		value = fmt.Appendf(nil, `{"event_id":"c%d","user_id":%q,"type":"product_view","ts":%q,"product":{"id":"lamp","name":"desk lamp","category":"home","price":19.99}}`,
			n, user, at.Format(time.RFC3339))
	}
	return x.next(topic), user, value
}

// firstPhase sends every poison class, each between good events of the same
// source partition, some of which come twice.
func (x *mixture) firstPhase() {
	for i, c := range append(schemas.Poison(), ownPoison()...) {
		partition, user, value := x.event(c.Topic, i, x.at)
		source, _ := x.add(c.Topic, partition, nil, value)
		x.good[user]++
		x.count(source, func(t *tally) { t.Applied++ })
		if i%5 == 0 {
			source, _ = x.add(c.Topic, partition, []byte("again"), value)
			x.count(source, func(t *tally) { t.Duplicates++ })
		}
		var key []byte
		if i%3 == 0 {
			key = fmt.Appendf(nil, "key\x00%d", i)
		}
		x.poison(c, partition, key)
	}
}

// ownPoison is a value that not even the DLQ can hold.
func ownPoison() []schemas.PoisonCase {
	value := append([]byte(`{"user_id":"poison-user","pad":"`), bytes.Repeat([]byte("0123456789abcdef"), 12_000_000/16)...)
	return []schemas.PoisonCase{{Class: "too_large_for_the_dlq", Topic: "clickstream", Reason: "too_large", Value: append(value, `"}`...)}}
}

// secondPhase sends late events, each followed by poison, when their days have closed.
func (x *mixture) secondPhase(past time.Time) {
	for i, c := range schemas.Poison()[3:15] {
		partition, _, value := x.event(c.Topic, 10_000+i, past.Add(time.Duration(i)*time.Hour))
		source, _ := x.add(c.Topic, partition, nil, value)
		x.count(source, func(t *tally) { t.Late++ })
		x.poison(c, partition, nil)
	}
}

func (x *mixture) send() {
	x.r.kafka.Send(x.msgs)
	x.msgs = nil
}

// TestPoison sends every way of being no event among good events: each is in
// bad_events once, as it was, with its reason, field and source position; the
// good ones are applied; and every source partition's records add up.
func TestPoison(t *testing.T) {
	if n := len(schemas.Poison()); n < 24 {
		t.Fatalf("%d poison classes, want at least 24", n)
	}
	r := newRun(t, "poison")
	x := newMixture(r)
	x.firstPhase()
	for source, c := range x.tally {
		if c.Applied == 0 || c.DeadLettered == 0 || c.Duplicates == 0 {
			t.Fatalf("%s does not get a mixture: %+v", source, c)
		}
	}
	x.send()
	r.drain(x.at.AddDate(0, 0, 30))
	x.at = x.at.AddDate(0, 0, 31)
	x.secondPhase(x.at.AddDate(0, 0, -31))
	x.send()
	r.drain(x.at.AddDate(0, 0, 1))

	if d := cmp.Diff(x.bad, readBad(t, x)); d != "" {
		t.Errorf("bad_events (-want +got):\n%s", d)
	}
	if d := cmp.Diff(x.tally, readAccounting(t, r)); d != "" {
		t.Errorf("accounting (-want +got):\n%s", d)
	}
	good := map[string]int64{}
	for _, row := range r.engine.Rows(t, "SELECT user_id, events_total FROM "+r.database()+".profiles_latest") {
		good[row[0]] = number(t, row[1])
	}
	if d := cmp.Diff(x.good, good); d != "" {
		t.Errorf("events applied by user (-want +got):\n%s", d)
	}
	r.equalsOracle()
	r.restored()
	r.equalsOracle()
	if d := cmp.Diff(x.bad, readBad(t, x)); d != "" {
		t.Errorf("bad_events after a restored backup (-want +got):\n%s", d)
	}
	t.Logf("%d poison records of %d classes", len(x.bad), len(schemas.Poison())+len(ownPoison()))
}

// restored empties the tables, as an old backup would, and lets the sink write
// everything again. A sink at work is not rewound.
func (r *run) restored() {
	r.t.Helper()
	for _, table := range []string{"profiles", "profile_history", "bad_event_rows", "late_event_rows", "accounting_rows"} {
		r.engine.Do(r.t, "TRUNCATE TABLE "+r.database()+"."+table)
	}
	if n := r.engine.Count(r.t, "SELECT count() FROM "+r.database()+".profile_days"); n > 0 {
		r.t.Fatalf("%d day rows are left", n)
	}
	sink := r.start("sink")
	sink.Ready(limit)
	cmd := exec.Command(harness.Binary(r.t, "profilectl"), "run", "resink", "--from", "earliest", "-c", r.config)
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "still at work") {
		r.t.Fatalf("rewinding a sink at work: %v\n%s", err, out)
	}
	sink.Signal(syscall.SIGTERM)
	sink.MustExit(0, limit)
	r.t.Log(profilectl(r.t, "run", "resink", "--from", "earliest", "-c", r.config))
	harness.Start(r.t, "sink", r.config, nil, "-drain").MustExit(0, limit)
}

// readBad reads bad_events by source position. Classes are not in the table:
// they are taken from what was expected at the position.
func readBad(t *testing.T, x *mixture) map[string]badRow {
	t.Helper()
	out := map[string]badRow{}
	for _, f := range x.r.engine.Rows(t, `SELECT source_topic, source_partition, source_offset, reason, field, hex(key), length(value), hex(SHA256(value)),
		toUInt8(truncated), toUnixTimestamp64Milli(kafka_timestamp) FROM `+x.r.database()+".bad_events") {
		position := strings.Join(f[:3], ":")
		if _, twice := out[position]; twice {
			t.Errorf("bad_events has %s twice", position)
		}
		out[position] = badRow{
			Class: x.bad[position].Class, Reason: f[3], Field: f[4], Key: unhex(t, f[5]), Bytes: int(number(t, f[6])), SHA256: f[7],
			Truncated: f[8] == "1", KafkaMillis: number(t, f[9]),
		}
	}
	return out
}

// readAccounting reads the totals by source partition, and fails the test where
// they do not add up.
func readAccounting(t *testing.T, r *run) map[string]tally {
	t.Helper()
	out := map[string]tally{}
	for _, f := range r.engine.Rows(t, "SELECT source_topic, source_partition, records, applied, duplicates, late, dead_lettered FROM "+r.database()+".accounting") {
		a := tally{number(t, f[2]), number(t, f[3]), number(t, f[4]), number(t, f[5]), number(t, f[6])}
		if a.Records != a.Applied+a.Duplicates+a.Late+a.DeadLettered {
			t.Errorf("%s:%s does not add up: %+v", f[0], f[1], a)
		}
		out[f[0]+":"+f[1]] = a
	}
	return out
}

func unhex(t *testing.T, s string) string {
	t.Helper()
	var b []byte
	if _, err := fmt.Sscanf(s, "%X", &b); err != nil && s != "" {
		t.Fatalf("%q is not hexadecimal: %v", s, err)
	}
	return string(b)
}

func number(t *testing.T, s string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
