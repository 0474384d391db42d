package faults

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"strings"

	"profilestream/e2e/harness"
	"profilestream/profile"
	"profilestream/stream"
	"profilestream/stream/wire"
)

// stateRecord is a record of the state topic.
type stateRecord struct {
	partition  int32
	key, value []byte
}

// damages are what is done to the newest state of some user.
var damages = []struct {
	name, said string
	harm       func([]byte) []byte
}{
	{"truncated", "corrupt state record", func(b []byte) []byte { return b[:len(b)/2] }},
	{"one bit flipped", "corrupt state record", func(b []byte) []byte { b[len(b)/2] ^= 4; return b }},
	{"of a newer version", "unknown version", func(b []byte) []byte { return versioned(b, profile.StateVersion+1) }},
	{"of a version before the first", "unknown version", func(b []byte) []byte { return versioned(b, 0) }},
}

// versioned is a state record with another version and the checksum that fits.
func versioned(b []byte, version byte) []byte {
	body := append([]byte{version}, b[1:len(b)-4]...)
	return binary.LittleEndian.AppendUint32(body, crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
}

// damagedState is row 12: a record of the state topic is damaged or of another
// version. The worker refuses it and says so. The topic is then thrown away and
// made again from the log.
func damagedState(x *trial) {
	rounds := max(1, x.events/25_000)
	x.setUp(options{pieces: rounds*len(damages)*2 + 1})
	c := x.wire()
	topic := "profile." + x.run + ".state"
	if !x.workOn() {
		return
	}
	for n := range rounds * len(damages) {
		d := damages[n%len(damages)]
		r := x.anyState(c)
		x.append(c, topic, r.partition, r.key, d.harm(r.value))
		x.send()
		x.struck("admission")
		p := x.start("ingest")
		if !x.exits(p, 1) {
			return
		}
		x.must(strings.Contains(p.Log(), "restoring state") && strings.Contains(p.Log(), d.said), "state %s is refused without saying so: %s", d.name, p.Last())
		if err := c.DeleteTopics(context.Background(), topic); err != nil {
			x.Fatal(err)
		}
		if !x.workOn() {
			return
		}
		x.recoveries++
	}
	x.note("%d damages; each time the state was made again from the log", x.kills)
	x.compare()
}

// workOn feeds a piece, lets one worker of each kind work it off and stops them.
func (x *trial) workOn() bool {
	x.send()
	var ps []*harness.Process
	for _, b := range []string{"ingest", "scorer", "sink"} {
		ps = append(ps, x.start(b))
	}
	if !x.caughtUp(ps...) {
		return false
	}
	x.stop(ps...)
	return true
}

func (x *trial) wire() *wire.Client {
	c, err := wire.NewClient(wire.Config{Brokers: x.kafka.Addrs})
	if err != nil {
		x.Fatal(err)
	}
	x.Cleanup(c.Close)
	return c
}

// anyState is the newest record of some user's state.
func (x *trial) anyState(c *wire.Client) stateRecord {
	newest := map[string]stateRecord{}
	var keys []string
	x.readState(c, func(p int32, r *wire.Record) {
		if _, seen := newest[string(r.Key)]; !seen {
			keys = append(keys, string(r.Key))
		}
		newest[string(r.Key)] = stateRecord{p, append([]byte(nil), r.Key...), append([]byte(nil), r.Value...)}
	})
	for range 1000 {
		if r := newest[keys[x.rng.IntN(len(keys))]]; len(r.value) > 40 && len(r.key) > 4 {
			return r
		}
	}
	x.Fatalf("the state topic of %s holds no state of a user", x.run)
	return stateRecord{}
}

// readState calls fn with every committed record of the state topic.
func (x *trial) readState(c *wire.Client, fn func(partition int32, r *wire.Record)) {
	for p := range int32(logParts) {
		_, err := stream.Read(context.Background(), c, stream.ReadConfig{
			TopicPartition: wire.TopicPartition{Topic: "profile." + x.run + ".state", Partition: p}, From: wire.Earliest, Committed: true,
		}, func(r *wire.Record) error {
			fn(p, r)
			return nil
		})
		if err != nil {
			x.Fatal(err)
		}
	}
}

// largestState is the size of the largest record of state, in bytes.
func (x *trial) largestState() int {
	n := 0
	x.readState(x.wire(), func(_ int32, r *wire.Record) { n = max(n, len(r.Key)+len(r.Value)) })
	return n
}

func (x *trial) append(c *wire.Client, topic string, partition int32, key, value []byte) {
	b := new(wire.Builder)
	b.Add(1, key, value)
	if _, err := c.NewProducer(topic, partition, wire.ProducerConfig{}).Append(context.Background(), b); err != nil {
		x.Fatal(err)
	}
}
