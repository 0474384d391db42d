package stage

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"

	"profilestream/cmd/internal/config"
	"profilestream/profile"
	"profilestream/schemas"
	"profilestream/stream"
	"profilestream/stream/wire"
)

// shop makes n records of each source from the i-th on; every tenth is poison.
func (r *rig) shop(from, n int) {
	var c, b []input
	for i := from; i < from+n; i++ {
		at := day0.Add(time.Duration(i) * 7 * time.Minute)
		user := fmt.Sprintf("user-%d", i%13)
		if i%10 == 9 {
			c = append(c, input{at, `{"user_id":`})
			b = append(b, input{at, `{"user_id":"anonymous","type":"purchase","ts":1,"total":1}`})
			continue
		}
		c = append(c, view(fmt.Sprint("c", i), user, at))
		b = append(b, purchase(fmt.Sprint("b", i), user, at, i))
	}
	r.send(clicks, c...)
	r.send(buys, b...)
}

// checkLog reads the event log: the source set comes first, an event never
// stands behind a watermark that covers it. It returns how often each position
// is there, and the newest totals told of each source in each log partition.
func (r *rig) checkLog() (positions map[profile.Position]int, totals map[profile.Source][]profile.Watermark) {
	r.t.Helper()
	positions, totals = map[profile.Position]int{}, map[profile.Source][]profile.Watermark{}
	for p := range int32(r.env.Config.Log.Partitions) {
		newest := map[profile.Source]profile.Watermark{}
		var rec profile.Record
		first := true
		r.records(r.env.Config.Topics().Events, p, func(x *wire.Record) {
			r.must(profile.DecodeRecord(x.Value, &rec))
			if first && rec.Kind != profile.KindSourceSet {
				r.t.Errorf("log partition %d begins with a record of kind %d", p, rec.Kind)
			}
			first = false
			switch rec.Kind {
			case profile.KindEvent:
				e := &rec.Event
				if w := newest[e.Source]; e.Offset < w.NextOffset {
					r.t.Errorf("%v@%d stands behind a watermark that covers up to %d", e.Source, e.Offset, w.NextOffset)
				}
				if want := profile.Partition(e.User, int32(r.env.Config.Log.Partitions)); want != p {
					r.t.Errorf("an event of partition %d stands in %d", want, p)
				}
				positions[profile.Position{Source: e.Source, NextOffset: e.Offset}]++
			case profile.KindWatermark:
				newest[rec.Watermark.Source] = rec.Watermark
			}
		})
		for s, w := range newest {
			totals[s] = append(totals[s], w)
		}
	}
	return positions, totals
}

func TestAdmissionResumesWithExactTotals(t *testing.T) {
	r := newRig(t)
	const parts, each = 2, 100
	for i := range parts {
		r.shop(i*each, each)
		r.admitAll()
	}
	positions, totals := r.checkLog()
	if len(positions) != parts*each*2*9/10 {
		t.Errorf("%d events in the log", len(positions))
	}
	for p, n := range positions {
		if n != 1 {
			t.Errorf("%v is in the log %d times", p, n)
		}
	}
	last := day0.Add((parts*each - 2) * 7 * time.Minute).UnixMilli() // the very last is poison
	for _, topic := range []string{clicks.Topic, buys.Topic} {
		want := profile.Watermark{Source: profile.Source{Topic: topic}, WMillis: last, NextOffset: parts * each, Records: parts * each, Rejected: parts * each / 10}
		if d := cmp.Diff([]profile.Watermark{want, want}, totals[want.Source]); d != "" {
			t.Errorf("totals of %s: %s", topic, d)
		}
	}
	r.checkDeadLetters(map[string]int{clicks.Topic + " bad_json ": parts * each / 10, buys.Topic + " bad_id user_id": parts * each / 10})
	commits, err := r.c.CommittedOffsets(r.ctx(), r.env.Config.Group("admission"), []wire.TopicPartition{clicks, buys})
	r.must(err)
	for tp, at := range commits {
		if ok, err := told(tp, at, target{offset: parts * each}); !ok || err != nil {
			t.Errorf("%v is not done at %+v: %v", tp, at, err)
		}
	}
}

// checkDeadLetters counts the DLQ by topic, reason and field; each source position once.
func (r *rig) checkDeadLetters(want map[string]int) {
	r.t.Helper()
	got, seen := map[string]int{}, map[string]bool{}
	for p := range int32(r.env.Config.Log.Partitions) {
		r.records(r.env.Config.Topics().DLQ, p, func(x *wire.Record) {
			h := func(name string) string { v, _ := x.Header(name); return string(v) }
			got[h(schemas.HeaderSourceTopic)+" "+h(schemas.HeaderReason)+" "+h(schemas.HeaderField)]++
			at := h(schemas.HeaderSourceTopic) + h(schemas.HeaderSourcePartition) + "@" + h(schemas.HeaderSourceOffset)
			if seen[at] {
				r.t.Errorf("%s is dead-lettered twice", at)
			}
			seen[at] = true
			if _, err := DivertedRow(x); err != nil {
				r.t.Error(err)
			}
		})
	}
	if d := cmp.Diff(want, got); d != "" {
		r.t.Error(d)
	}
}

// TestAdmissionRepeatsNothingThatCounts: a worker dies after its appends and
// before its commit; the next one appends all of it again.
func TestAdmissionRepeatsNothingThatCounts(t *testing.T) {
	r := newRig(t)
	r.shop(0, 100)
	dead := r.admission(nil)
	r.admit(dead)
	_, err := dead.Flush(r.ctx())
	r.must(err)
	r.must(dead.Close())
	a := r.admission(nil)
	r.admit(a)
	commits, err := a.Finish(r.ctx(), stream.Drained)
	r.must(err)
	r.must(a.Close())
	if commits[clicks].Offset != 100 || commits[buys].Offset != 100 {
		t.Fatalf("commits %v", commits)
	}
	sum := map[string]int64{}
	for p := range int32(2) {
		s := r.fold(p)
		for _, x := range s.Accounting() {
			sum["applied"] += x.Applied
			sum["duplicates"] += x.Duplicates
			sum["lost or late"] += x.Late + x.Hot
			if x.Records != 100 || x.Rejected != 10 {
				t.Errorf("log partition %d was told %d records, %d of them bad", p, x.Records, x.Rejected)
			}
		}
	}
	if d := cmp.Diff(map[string]int64{"applied": 180, "duplicates": 0, "lost or late": 0}, sum); d != "" {
		t.Error(d)
	}
}

// fold applies a log partition to fresh state, without sending rows.
func (r *rig) fold(p int32) *profile.LogPartition {
	r.t.Helper()
	s, err := profile.NewPartition(profile.Config{Partition: p, LatenessMillis: r.env.Config.Profile.Lateness.Milliseconds(), MaxEventsUserDay: 1000})
	r.must(err)
	var rec profile.Record
	r.records(r.env.Config.Topics().Events, p, func(x *wire.Record) {
		r.must(profile.DecodeRecord(x.Value, &rec))
		r.must(s.Apply(x.Offset, &rec))
	})
	return s
}

func TestIdleSourceIsToldOnceASecond(t *testing.T) {
	r := newRig(t, func(c *config.Config) { c.Profile.IdleAfter = time.Second })
	r.send(clicks, view("1", "u", day0))
	a := r.admission(nil)
	clock := day0.Add(time.Hour)
	a.now = func() time.Time { return clock }
	r.admit(a)
	since := clock
	for range 40 { // ten seconds
		clock = clock.Add(250 * time.Millisecond)
		_, err := a.Flush(r.ctx())
		r.must(err)
		for tp := range a.sources {
			r.must(a.Idle(r.ctx(), tp, since, clock))
		}
	}
	_, err := a.Flush(r.ctx())
	r.must(err)
	r.must(a.Close())
	idle, plain := 0, 0
	var rec profile.Record
	r.records(r.env.Config.Topics().Events, 0, func(x *wire.Record) {
		r.must(profile.DecodeRecord(x.Value, &rec))
		if rec.Kind != profile.KindWatermark || rec.Watermark.Source.Topic != clicks.Topic {
			return
		}
		if rec.Watermark.Idle {
			idle++
		} else {
			plain++
		}
	})
	if idle < 9 || idle > 10 || plain != 1 {
		t.Errorf("in ten idle seconds %d watermarks by the clock and %d by events, want about 10 and 1", idle, plain)
	}
}

// TestDrainWaitsForTheLastWatermark: that the records are committed is not
// enough, the log must know it.
func TestDrainWaitsForTheLastWatermark(t *testing.T) {
	for _, c := range []struct {
		name string
		at   stream.Commit
		want bool
	}{
		{"nobody has begun", stream.Commit{Offset: 10}, false},
		{"behind", stream.Commit{Offset: 9, Metadata: "v1 epoch=0 records=9 rejected=0 w=5 told=9"}, false},
		{"admitted, not told", stream.Commit{Offset: 10, Metadata: "v1 epoch=0 records=10 rejected=0 w=5 told=9"}, false},
		{"told", stream.Commit{Offset: 10, Metadata: "v1 epoch=0 records=10 rejected=0 w=5 told=10"}, true},
		{"told, in this topic", stream.Commit{Offset: 10, Metadata: "v1 epoch=0 records=10 rejected=0 w=5 told=10 topic=a"}, true},
		{"told, before the topic was made anew", stream.Commit{Offset: 10, Metadata: "v1 epoch=0 records=10 rejected=0 w=5 told=10 topic=b"}, false},
		{"nothing to tell", stream.Commit{Offset: 10, Metadata: "v1 epoch=0 records=0 rejected=0 w=0 told=-1"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := told(clicks, c.at, target{10, "a"}); got != c.want || err != nil {
				t.Fatalf("%v, %v", got, err)
			}
		})
	}
	if _, err := told(clicks, stream.Commit{Offset: 10, Metadata: "somebody else's"}, target{offset: 10}); err == nil {
		t.Error("foreign metadata is taken")
	}
}

// TestNoRecordIsTooLarge: whatever size the input topic allows, neither key nor
// value stops the stream.
func TestNoRecordIsTooLarge(t *testing.T) {
	r := newRig(t)
	large := bytes.Repeat([]byte("k"), 15<<20)
	b := new(wire.Builder)
	p := r.c.NewProducer(clicks.Topic, 0, wire.ProducerConfig{Codec: wire.LZ4})
	b.Add(day0.UnixMilli(), large, []byte(view("1", "ann", day0).value))
	b.Add(day0.UnixMilli(), large, []byte("{"))
	b.Add(day0.UnixMilli(), large, large)
	_, err := p.Append(r.ctx(), b)
	r.must(err)
	a := r.admission(nil)
	r.admit(a)
	commits, err := a.Flush(r.ctx())
	r.must(err)
	r.must(a.Close())
	if commits[clicks].Offset != 3 {
		t.Errorf("commits %v", commits)
	}
	if positions, _ := r.checkLog(); len(positions) != 1 {
		t.Errorf("%d events in the log", len(positions))
	}
	r.checkDeadLetters(map[string]int{"clickstream bad_json ": 1, "clickstream too_large ": 1})
	r.records(r.env.Config.Topics().DLQ, 0, func(x *wire.Record) {
		d, err := DivertedRow(x)
		if err != nil || d.Truncated != (d.Reason == "too_large") || len(d.Key) != maxKeyBytes {
			t.Errorf("%s: truncated %v, a key of %d bytes, %v", d.Reason, d.Truncated, len(d.Key), err)
		}
	})
}

// TestSourceSetHoldsWhatIsAssigned: a partition that the client's metadata does
// not show yet is listed before its first record.
func TestSourceSetHoldsWhatIsAssigned(t *testing.T) {
	r := newRig(t)
	a, err := newAdmission(r.env, r.c, r.m)
	r.must(err)
	_, err = a.Assigned(r.ctx(), []stream.Assignment{{Topic: clicks.Topic, Partition: 7}})
	r.must(err)
	r.must(a.Close())
	var rec profile.Record
	r.records(r.env.Config.Topics().Events, 1, func(x *wire.Record) { r.must(profile.DecodeRecord(x.Value, &rec)) })
	want := []profile.Source{{Topic: "clickstream"}, {Topic: "purchases"}, {Topic: "clickstream", Partition: 7}}
	if d := cmp.Diff(want, rec.SourceSet.Sources); d != "" {
		t.Error(d)
	}
}

func TestAdmissionEndsWithItsContext(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithCancel(r.ctx())
	g, err := inputGroup(r.ctx(), r.env, r.c, nil)
	r.must(err)
	done := make(chan error, 1)
	joined := make(chan struct{})
	go func() {
		_, err := g.RunMerge(ctx, func(context.Context) (stream.MergeProcessor, error) {
			close(joined)
			return newAdmission(r.env, r.c, r.m)
		})
		done <- err
	}()
	<-joined
	cancel()
	r.must(<-done)
}

// TestAdmissionDeadLettersADamagedBatch: a batch whose compressed records are no
// such thing is dead-lettered record by record, between good ones.
func TestAdmissionDeadLettersADamagedBatch(t *testing.T) {
	for name, batches := range map[string][]int{"between good ones": {0, 7, 0}, "first": {7, 0}, "last": {0, 7}, "alone": {7}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			good, bad := 0, 0
			for i, damaged := range batches {
				if damaged > 0 {
					r.produceDamaged(clicks, damaged)
					bad += damaged
					continue
				}
				r.send(clicks, view(fmt.Sprint("a", i), "ann", day0), view(fmt.Sprint("b", i), "bob", day0))
				good += 2
			}
			r.admitAll()
			positions, totals := r.checkLog()
			if len(positions) != good {
				t.Errorf("%d events in the log, want %d", len(positions), good)
			}
			r.checkDeadLetters(map[string]int{clicks.Topic + " bad_json ": bad})
			for _, w := range totals[profile.Source{Topic: clicks.Topic}] {
				if w.Records != int64(good+bad) || w.Rejected != int64(bad) || w.NextOffset != int64(good+bad) {
					t.Errorf("totals %+v", w)
				}
			}
		})
	}
}

// produceDamaged appends a batch of n records whose checksum holds and whose
// compressed bytes do not.
func (r *rig) produceDamaged(tp wire.TopicPartition, n int) {
	r.t.Helper()
	records := []byte("this is no LZ4 frame, whatever the attributes say")
	be := binary.BigEndian
	body := be.AppendUint16(nil, 3)                                  // attributes: LZ4
	body = be.AppendUint32(body, uint32(n-1))                        // last offset delta
	body = be.AppendUint64(body, uint64(day0.UnixMilli()))           // first timestamp
	body = be.AppendUint64(body, uint64(day0.UnixMilli()))           // largest timestamp
	body = append(body, bytes.Repeat([]byte{0xff}, 8+2+4)...)        // no producer
	body = append(be.AppendUint32(body, uint32(n)), records...)      // count
	batch := be.AppendUint64(nil, 0)                                 // base offset
	batch = be.AppendUint32(batch, uint32(4+1+4+len(body)))          // length of what follows
	batch = append(be.AppendUint32(batch, 0), 2)                     // leader epoch, magic
	batch = be.AppendUint32(batch, crc32.Checksum(body, castagnoli)) // CRC-32C
	req := kmsg.NewPtrProduceRequest()
	req.SetVersion(8)
	req.Acks, req.TimeoutMillis = -1, 10_000
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: tp.Topic, Partitions: []kmsg.ProduceRequestTopicPartition{{Partition: tp.Partition, Records: append(batch, body...)}}}}
	conn, err := net.Dial("tcp", r.env.Config.Kafka.Brokers[0])
	r.must(err)
	defer conn.Close()
	_, err = conn.Write(kmsg.NewRequestFormatter().AppendRequest(nil, req, 1))
	r.must(err)
	var size [4]byte
	_, err = io.ReadFull(conn, size[:])
	r.must(err)
	answer := make([]byte, be.Uint32(size[:]))
	_, err = io.ReadFull(conn, answer)
	r.must(err)
	res := kmsg.NewPtrProduceResponse()
	res.SetVersion(8)
	r.must(res.ReadFrom(answer[4:]))
	if code := res.Topics[0].Partitions[0].ErrorCode; code != 0 {
		r.t.Fatalf("the broker refuses the batch with code %d", code)
	}
}

// TestAdmissionRefusesALostPlace: a committed offset that the source's log does
// not hold ends admission, and leaves nothing in our log that speaks of it.
func TestAdmissionRefusesALostPlace(t *testing.T) {
	r := newRig(t)
	r.shop(0, 100)
	r.admitAll()
	before, totals := r.checkLog()
	a := r.admission(nil)
	_, err := a.Assigned(r.ctx(), []stream.Assignment{{Topic: clicks.Topic, Committed: 1000, Metadata: "v1 epoch=0 records=1000 rejected=0 w=1 told=1000"}})
	var lost *wire.OffsetOutOfRangeError
	if !errors.As(err, &lost) || lost.Offset != 1000 || lost.End != 100 {
		t.Errorf("a place beyond the end: %v", err)
	}
	r.must(a.Close())
	after, told := r.checkLog()
	if d := cmp.Diff(before, after) + cmp.Diff(totals, told); d != "" {
		t.Errorf("the refused place is in the log: %s", d)
	}
}
