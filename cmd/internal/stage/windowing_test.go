package stage

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"profilestream/cmd/internal/config"
	"profilestream/profile"
	"profilestream/schemas"
	"profilestream/stream"
	"profilestream/stream/kafkatest"
	"profilestream/stream/wire"
)

// seenRow is the newest row of a key: what a table would show.
type seenRow struct {
	version int64
	digest  uint64
}

// rows reads a topic of window rows: the newest row by user and time, and how
// many there were in all.
func (r *rig) rows(topic string) (map[string]seenRow, int) {
	r.t.Helper()
	newest, n := map[string]seenRow{}, 0
	for p := range int32(r.env.Config.Log.Partitions) {
		r.records(topic, p, func(x *wire.Record) {
			m, err := decodeMessage(x, memory.DefaultAllocator)
			r.must(err)
			defer m.rows.Release()
			if m.configVersion != r.env.Config.Version() {
				r.t.Errorf("rows of configuration %q", m.configVersion)
			}
			ids, versions := idsAndVersions(m.rows)
			at := m.rows.Column(schemas.ColAsOf).(*array.Timestamp)
			digests := m.rows.Column(schemas.ColDigest).(*array.Uint64)
			for i, v := range versions {
				n++
				key := fmt.Sprintf("%s %d", ids.Value(i), at.Value(i))
				if old, ok := newest[key]; !ok || v >= old.version {
					newest[key] = seenRow{v, digests.Value(i)}
				}
			}
		})
	}
	return newest, n
}

// owner takes a log partition over.
func (r *rig) owner(p int32) (*windowing, int64) {
	r.t.Helper()
	w, next, err := r.takeOver(p)
	r.must(err)
	return w, next
}

func (r *rig) takeOver(p int32) (*windowing, int64, error) {
	if r.local == nil {
		var err error
		r.local, err = newLocalState(r.ctx(), r.env.Config, r.env.Log, r.c)
		r.must(err)
		r.t.Cleanup(r.local.close)
	}
	return takeOver(r.ctx(), r.env, r.c, p, r.m, r.local)
}

// work has an owner process its log from an offset to the end.
func (r *rig) work(w *windowing, from int64) (next int64) {
	r.t.Helper()
	tp := wire.TopicPartition{Topic: r.env.Config.Topics().Events, Partition: w.partition}
	return r.read(tp, from, func(rs *wire.Records) error { return w.Process(r.ctx(), rs) })
}

// log fills the event log from the shop, in pieces; between them is called after each.
func (r *rig) log(pieces int, between func(piece int)) {
	r.t.Helper()
	a := r.admission(nil)
	a.now = func() time.Time { return day0 }
	for i := range pieces {
		r.shop(i*200, 200)
		if i == pieces-1 { // days closed long ago by now
			r.send(clicks, view("late", "user-1", day0))
		}
		r.admit(a)
		_, err := a.Flush(r.ctx())
		r.must(err)
		between(i)
	}
	_, err := a.Finish(r.ctx(), stream.Drained)
	r.must(err)
	r.must(a.Close())
}

func shortLateness(c *config.Config) { c.Profile.Lateness = 24 * time.Hour }

// TestWindowingRepeatsTheSameRows: an owner that dies between checkpoints, twice,
// leaves the rows that one owner makes in one go.
func TestWindowingRepeatsTheSameRows(t *testing.T) {
	whole := newRig(t, shortLateness)
	whole.log(4, func(int) {})
	broken := newRig(t, shortLateness)
	for p := range int32(2) {
		w, next := whole.owner(p)
		whole.work(w, next)
		_, err := w.Finish(whole.ctx(), stream.Drained)
		whole.must(err)
	}
	var dead [2]*windowing
	broken.log(4, func(piece int) {
		for p := range int32(2) {
			w, next := broken.owner(p)
			if piece > 0 && next == 0 {
				t.Fatal("the state was not restored")
			}
			if at, ok := w.state.Marker(); ok != (piece > 0) || ok && at.Offset+1 != next {
				t.Fatalf("marker %+v, %v; start %d", at, ok, next)
			}
			broken.work(w, next) // emits rows
			if piece%2 == 0 {
				_, err := w.checkpoint(broken.ctx())
				broken.must(err)
			}
			dead[p] = w // without a last checkpoint where piece is odd
		}
	})
	for p := range int32(2) {
		w, next := broken.owner(p)
		broken.work(w, next)
		commit, err := w.Finish(broken.ctx(), stream.Drained)
		broken.must(err)
		if commit.Offset != w.state.Offset()+1 {
			t.Errorf("committed %d after record %d", commit.Offset, w.state.Offset())
		}
		// The owner before wakes up: its state is fenced.
		dead[p].nextCheckpoint, dead[p].checkpointed = time.Time{}, -1
		if _, err := dead[p].checkpoint(broken.ctx()); !errors.Is(err, wire.ErrFenced) {
			t.Errorf("a zombie's checkpoint: %v", err)
		}
		if d := cmp.Diff(whole.fold(p).Accounting(), w.state.Accounting()); d != "" {
			t.Errorf("accounting: %s", d)
		}
	}
	byDigest := cmp.Comparer(func(a, b seenRow) bool { return a.digest == b.digest })
	days, n := whole.rows(whole.env.Config.Topics().Days)
	if n < 39 {
		t.Fatalf("%d day rows", n)
	}
	again, _ := broken.rows(broken.env.Config.Topics().Days)
	if d := cmp.Diff(days, again, byDigest); d != "" {
		t.Errorf("day rows: %s", d)
	}
	if d := cmp.Diff(whole.lastLive(), broken.lastLive(), byDigest); d != "" {
		t.Errorf("live rows: %s", d)
	}
	for _, r := range []*rig{whole, broken} {
		late := map[string]bool{}
		for p := range int32(2) {
			r.records(r.env.Config.Topics().Late, p, func(x *wire.Record) {
				d, err := DivertedRow(x)
				r.must(err)
				late[fmt.Sprint(d.Reason, d.SourceTopic, d.SourceOffset)] = true
			})
		}
		if d := cmp.Diff(map[string]bool{"lateclickstream800": true}, late); d != "" {
			t.Errorf("late events: %s", d)
		}
	}
}

// lastLive is the newest live row of each user.
func (r *rig) lastLive() map[string]seenRow {
	all, _ := r.rows(r.env.Config.Topics().Windows)
	out := map[string]seenRow{}
	for key, row := range all {
		user, _, _ := strings.Cut(key, " ")
		if old, ok := out[user]; !ok || row.version >= old.version {
			out[user] = row
		}
	}
	return out
}

func TestTakeoverRefusesAnotherConfiguration(t *testing.T) {
	r := newRig(t)
	r.log(1, func(int) {})
	w, next := r.owner(0)
	r.work(w, next)
	_, err := w.checkpoint(r.ctx())
	r.must(err)
	r.env.Config.Profile.Lateness += time.Hour
	var wrong *config.Error
	if _, _, err := r.takeOver(0); !errors.As(err, &wrong) || wrong.Key != "profile" {
		t.Fatalf("state of another configuration: %v", err)
	}
}

func TestTakeoverRefusesAnotherLog(t *testing.T) {
	r := newRig(t)
	r.log(1, func(int) {})
	w, next := r.owner(0)
	r.work(w, next)
	_, err := w.checkpoint(r.ctx())
	r.must(err)
	end := w.state.Offset()
	events := r.env.Config.Topics().Events
	r.must(r.c.DeleteTopics(r.ctx(), events))
	r.must(CreateTopics(r.ctx(), r.env.Config, r.c))
	if _, _, err := r.takeOver(0); err == nil || !strings.Contains(err.Error(), "truncated or recreated") {
		t.Fatalf("an empty log: %v", err)
	}
	b := new(wire.Builder)
	for range end + 10 {
		b.Add(1, nil, []byte("another record"))
	}
	_, err = r.c.NewProducer(events, 0, wire.ProducerConfig{}).Append(r.ctx(), b)
	r.must(err)
	if _, _, err := r.takeOver(0); err == nil || !strings.Contains(err.Error(), "recreated") {
		t.Fatalf("a log of the same length: %v", err)
	}
}

// TestStateIsMadeAgainFromTheLog: the state topic was made anew. While the log
// holds everything, its rows come again; once it does not, the run ends.
func TestStateIsMadeAgainFromTheLog(t *testing.T) {
	r := newRig(t, shortLateness)
	r.log(2, func(int) {})
	topics := r.env.Config.Topics()
	finish := func() *windowing {
		t.Helper()
		w, next := r.owner(0)
		r.work(w, next)
		_, err := w.Finish(r.ctx(), stream.Drained)
		r.must(err)
		r.must(w.Close())
		return w
	}
	first := finish()
	days, _ := r.rows(topics.Days)
	r.must(r.c.DeleteTopics(r.ctx(), topics.State))
	r.must(CreateTopics(r.ctx(), r.env.Config, r.c))
	again := finish()
	if again.came.records != 0 || again.state.Users() != first.state.Users() {
		t.Errorf("%d records of state gave %d users, of %d", again.came.records, again.state.Users(), first.state.Users())
	}
	if d := cmp.Diff(first.state.Accounting(), again.state.Accounting()); d != "" {
		t.Errorf("accounting: %s", d)
	}
	after, _ := r.rows(topics.Days)
	if d := cmp.Diff(days, after, cmp.AllowUnexported(seenRow{})); d != "" {
		t.Errorf("day rows: %s", d)
	}
	r.must(r.c.DeleteTopics(r.ctx(), topics.State))
	r.must(CreateTopics(r.ctx(), r.env.Config, r.c))
	kafkatest.DeleteRecords(t, r.env.Config.Kafka.Brokers[0], topics.Events, 0, 10)
	if _, _, err := r.takeOver(0); err == nil || !strings.Contains(err.Error(), "begins at offset 10") {
		t.Fatalf("a log without its beginning, and no state: %v", err)
	}
}

func TestTakeoverRefusesMorePartitions(t *testing.T) {
	r := newRig(t)
	var wrong *config.Error
	if _, _, err := r.takeOver(2); !errors.As(err, &wrong) || wrong.Key != "log.partitions" {
		t.Fatalf("a third log partition of two: %v", err)
	}
}

// TestLiveRowsComeWithoutNewRecords: what was touched within a live_interval
// gets its row at its end, though nothing follows.
func TestLiveRowsComeWithoutNewRecords(t *testing.T) {
	r := newRig(t)
	a := r.admission(nil)
	feed := func(in ...input) {
		r.send(clicks, in...)
		r.admit(a)
		done, err := a.Flush(r.ctx())
		r.must(err)
		r.must(r.c.Commit(r.ctx(), wire.Member{Group: r.env.Config.Group("admission"), Generation: -1}, done))
	}
	const user = "ann"
	clock := day0
	w, next := r.owner(profile.Partition([]byte(user), 2))
	w.now = func() time.Time { return clock }
	w.nextCheckpoint = clock.Add(time.Hour)
	feed(view("1", user, day0))
	next = r.work(w, next)
	_, n := r.rows(r.env.Config.Topics().Windows)
	if n != 1 {
		t.Fatalf("%d rows of the first event, want 1", n)
	}
	feed(view("2", user, day0.Add(time.Minute)))
	r.work(w, next)
	if _, n = r.rows(r.env.Config.Topics().Windows); n != 1 {
		t.Fatalf("%d rows within the interval, want 1", n)
	}
	clock = clock.Add(r.env.Config.Profile.LiveInterval)
	commit, err := w.Flush(r.ctx())
	r.must(err)
	if commit.Offset != -1 {
		t.Errorf("offset %d is committed without a checkpoint", commit.Offset)
	}
	rows, n := r.rows(r.env.Config.Topics().Windows)
	if n != 2 || len(rows) != 2 {
		t.Fatalf("%d rows after the interval, want 2", n)
	}
	r.must(a.Close())
}

// TestLostPartitionLeavesNoMetrics: the next owner reports the partition; a
// value left behind would look like time that stands still.
func TestLostPartitionLeavesNoMetrics(t *testing.T) {
	r := newRig(t, shortLateness)
	r.log(1, func(int) {})
	series := func() map[string]int {
		families, err := r.env.Metrics.Gather()
		r.must(err)
		out := map[string]int{}
		for _, f := range families {
			if strings.HasPrefix(f.GetName(), "profilestream_ingest_") && f.GetType().String() == "GAUGE" {
				out[f.GetName()] = len(f.GetMetric())
			}
		}
		return out
	}
	var owners []*windowing
	for p := range int32(2) {
		w, next := r.owner(p)
		r.work(w, next)
		_, err := w.checkpoint(r.ctx())
		r.must(err)
		owners = append(owners, w)
	}
	both := series()
	if both["profilestream_ingest_watermark_seconds"] != 2 || len(both) != 4 {
		t.Fatalf("gauges %v", both)
	}
	r.must(owners[0].Close())
	half := maps.Clone(both)
	for name := range half {
		half[name] /= 2
	}
	if d := cmp.Diff(half, series(), cmpopts.EquateEmpty()); d != "" {
		t.Error(d)
	}
}
