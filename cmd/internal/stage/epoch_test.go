package stage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/process"
	"profilestream/profile"
	"profilestream/stream"
	"profilestream/stream/kafkatest"
	"profilestream/stream/wire"
)

func newEpochs(c *config.Config) { c.Input.OnGap = config.OnGapNewEpoch }

// remake deletes an input topic and makes it anew.
func (r *rig) remake(topic string) {
	r.t.Helper()
	r.must(r.c.DeleteTopics(r.ctx(), topic))
	r.must(r.c.CreateTopics(r.ctx(), wire.Topic{Name: topic, Partitions: 1, Replication: 1, Settings: map[string]string{"retention.ms": "-1"}}))
}

// pour appends n clicks from the i-th on, every tenth of them poison.
func (r *rig) pour(prefix string, i, n int) {
	r.t.Helper()
	var in []input
	for ; n > 0; i, n = i+1, n-1 {
		at := day0.Add(time.Duration(i) * time.Minute)
		if i%10 == 9 {
			in = append(in, input{at, "{"})
			continue
		}
		in = append(in, view(fmt.Sprint(prefix, i), fmt.Sprintf("user-%d", i%13), at))
	}
	r.send(clicks, in...)
}

// TestGapOfASource: whatever has become of a topic since its place was committed,
// admission stops and says what, or where it is told to, goes on in a new epoch
// in which every record that is there counts once.
func TestGapOfASource(t *testing.T) {
	for name, c := range map[string]struct {
		since func(r *rig) // what happens to the clicks after 100 were admitted
		says  string
		reads int64 // records of the new epoch
		lost  int64
	}{
		"recreated, shorter": {func(r *rig) { r.remake(clicks.Topic); r.pour("n", 0, 40) }, "deleted and made anew", 40, 0},
		"recreated, longer":  {func(r *rig) { r.remake(clicks.Topic); r.pour("n", 0, 150) }, "deleted and made anew", 150, 0},
		"recreated, empty":   {func(r *rig) { r.remake(clicks.Topic) }, "deleted and made anew", 0, 0},
		"overrun": {func(r *rig) {
			r.pour("n", 100, 60)
			kafkatest.DeleteRecords(r.t, r.env.Config.Kafka.Brokers[0], clicks.Topic, 0, 130)
		}, "below the start", 30, 30},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.pour("o", 0, 100)
			r.admitAll()
			c.since(r)
			before, _ := r.checkLog()
			err := r.tryAdmit()
			if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "input.on_gap") {
				t.Fatalf("by default: %v", err)
			}
			if after, _ := r.checkLog(); len(after) != len(before) {
				t.Error("a refused source has got into the log")
			}
			newEpochs(r.env.Config)
			r.admitAll()
			r.admitAll() // the place is that of the new epoch now
			positions, totals := r.checkLog()
			for p, n := range positions {
				if n != 1 {
					t.Errorf("%+v is in the log %d times", p, n)
				}
			}
			if want := 90 + int(c.reads*9/10); len(positions) != want {
				t.Errorf("%d events in the log, want %d", len(positions), want)
			}
			if w := totals[profile.Source{Topic: clicks.Topic}]; len(w) != 2 || w[0].Records != 100 || w[1].Records != 100 {
				t.Errorf("the epoch that ended has the totals %+v", w)
			}
			for _, w := range totals[profile.Source{Topic: clicks.Topic, Epoch: 1}] {
				if w.Records != c.reads || w.Rejected != c.reads/10 {
					t.Errorf("the new epoch has the totals %+v", w)
				}
			}
			r.checkAccounting(100+c.reads, 10+c.reads/10)
		})
	}
}

// tryAdmit is admitAll, which may fail.
func (r *rig) tryAdmit() error {
	drain := make(chan struct{})
	close(drain)
	env := *r.env
	env.Metrics = process.NewRegistry()
	g, err := inputGroup(r.ctx(), &env, r.c, drain)
	r.must(err)
	_, err = g.RunMerge(r.ctx(), func(context.Context) (stream.MergeProcessor, error) { return newAdmission(&env, r.c, r.m) })
	return err
}

// checkAccounting folds the log: of the clicks, over all epochs, every record is
// applied or dead-lettered.
func (r *rig) checkAccounting(records, rejected int64) {
	r.t.Helper()
	var applied, other int64
	for p := range int32(2) {
		var known, bad int64
		for _, a := range r.fold(p).Accounting() {
			if a.Source.Topic != clicks.Topic {
				continue
			}
			known, bad = known+a.Records, bad+a.Rejected
			applied += a.Applied
			other += a.Duplicates + a.Late + a.Hot
		}
		if known != records || bad != rejected {
			r.t.Errorf("log partition %d knows of %d records, %d of them bad; want %d and %d", p, known, bad, records, rejected)
		}
	}
	if applied != records-rejected || other != 0 {
		r.t.Errorf("%d events applied, %d not; want %d and none", applied, other, records-rejected)
	}
}

// TestEpochBeginsOnceOverACrash: an owner dies after it told the log of the new
// epoch and before that was committed. The next one begins the same epoch.
func TestEpochBeginsOnceOverACrash(t *testing.T) {
	r := newRig(t, newEpochs)
	r.pour("o", 0, 100)
	r.admitAll()
	r.remake(clicks.Topic)
	r.pour("n", 0, 40)
	at, err := r.c.CommittedOffsets(r.ctx(), r.env.Config.Group("admission"), []wire.TopicPartition{clicks, buys})
	r.must(err)
	id, err := r.c.TopicID(r.ctx(), clicks.Topic, 0)
	r.must(err)
	a, err := newAdmission(r.env, r.c, r.m)
	r.must(err)
	moved, err := a.Assigned(r.ctx(), []stream.Assignment{{Topic: clicks.Topic, Committed: at[clicks].Offset, Metadata: at[clicks].Metadata, TopicID: id}})
	r.must(err)
	if to := moved[clicks]; to.Offset != 0 || !strings.Contains(to.Metadata, "epoch=1 records=0") || !strings.Contains(to.Metadata, "topic="+id) {
		t.Errorf("the new epoch begins at %+v", to)
	}
	r.must(a.Close())
	r.admitAll()
	if positions, _ := r.checkLog(); len(positions) != 90+36 {
		t.Errorf("%d events in the log", len(positions))
	}
	r.checkAccounting(140, 14)
}

// TestRunningWorkerNoticesARecreatedTopic: the topic is made anew and longer than
// before while a worker reads it.
func TestRunningWorkerNoticesARecreatedTopic(t *testing.T) {
	for _, edit := range []func(*config.Config){newEpochs, func(*config.Config) {}} {
		r := newRig(t, edit)
		goesOn := r.env.Config.Input.OnGap == config.OnGapNewEpoch
		t.Run(fmt.Sprint("goes on: ", goesOn), func(t *testing.T) {
			r.pour("o", 0, 100)
			ctx, stop := context.WithCancel(r.ctx())
			defer stop()
			done := make(chan error, 1)
			g, err := inputGroup(r.ctx(), r.env, r.c, nil)
			r.must(err)
			go func() {
				_, err := g.RunMerge(ctx, func(context.Context) (stream.MergeProcessor, error) { return newAdmission(r.env, r.c, r.m) })
				done <- err
			}()
			committed := func() stream.Commit {
				at, err := r.c.CommittedOffsets(r.ctx(), r.env.Config.Group("admission"), []wire.TopicPartition{clicks})
				r.must(err)
				return at[clicks]
			}
			r.until(func() bool { return committed().Offset == 100 })
			r.remake(clicks.Topic)
			r.pour("n", 0, 150)
			if !goesOn {
				if err := <-done; !errors.Is(err, wire.ErrRecreated) && !errors.Is(err, wire.ErrOffsetOutOfRange) {
					t.Fatalf("it ends with %v", err)
				}
				if positions, _ := r.checkLog(); len(positions) != 90 {
					t.Errorf("%d events in the log", len(positions))
				}
				return
			}
			r.until(func() bool { return committed().Offset == 150 })
			stop()
			r.must(<-done)
			positions, _ := r.checkLog()
			got := map[int32]int{}
			for p := range positions {
				got[p.Source.Epoch]++
			}
			if d := cmp.Diff(map[int32]int{0: 90, 1: 135}, got); d != "" {
				t.Errorf("events by epoch: %s", d)
			}
			r.checkAccounting(250, 25)
		})
	}
}

// TestTotalsOfAnEpochWhoseLastSecondIsLost: a worker dies between its appends and
// their commit, and then its topic goes, so that nobody reads on where it had
// committed. What it had appended and not yet told the totals of counts as applied
// and not as records, and nothing else does: docs/operations.md says so.
func TestTotalsOfAnEpochWhoseLastSecondIsLost(t *testing.T) {
	r := newRig(t, newEpochs)
	r.pour("o", 0, 100)
	r.admitAll()
	r.pour("o", 100, 40)
	at, err := r.c.CommittedOffsets(r.ctx(), r.env.Config.Group("admission"), []wire.TopicPartition{clicks, buys})
	r.must(err)
	a := r.admission(at)
	r.admit(a)
	_, err = a.Flush(r.ctx()) // what it returns is never committed
	r.must(err)
	r.must(a.Close())
	r.remake(clicks.Topic)
	r.pour("n", 0, 20)
	r.admitAll()
	var records, rejected, applied int64
	for p := range int32(2) {
		records, rejected = 0, 0
		for _, a := range r.fold(p).Accounting() {
			if a.Source.Topic == clicks.Topic {
				records, rejected, applied = records+a.Records, rejected+a.Rejected, applied+a.Applied
			}
		}
	}
	if lost := applied - (records - rejected); applied != 90+36+18 || lost < 1 || lost > 36 {
		t.Errorf("%d applied of %d records, %d of them rejected", applied, records, rejected)
	}
}
