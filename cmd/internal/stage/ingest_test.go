package stage

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"profilestream/cmd/internal/admin"
	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/process"
	"profilestream/schemas"
	"profilestream/stream/wire"
)

// process is one worker's environment.
func (r *rig) process(drain bool, until time.Time) *process.Env {
	env := *r.env
	env.Metrics, env.Health, env.Drain, env.Until = process.NewRegistry(), &admin.Health{}, drain, until
	return &env
}

// totals are the newest accounting rows: "log partition, topic, column".
func (r *rig) totals() map[string]int64 {
	r.t.Helper()
	out := map[string]int64{}
	for p := range int32(r.env.Config.Log.Partitions) {
		last := map[string]int64{}
		r.records(r.env.Config.Topics().Scored, p, func(x *wire.Record) {
			m, err := decodeMessage(x, memory.DefaultAllocator)
			r.must(err)
			defer m.rows.Release()
			topics := m.rows.Column(schemas.AccSourceTopic).(*array.String)
			for col := schemas.AccRecords; col <= schemas.AccHot; col++ {
				values := m.rows.Column(col).(*array.Int64)
				for i := range int(m.rows.NumRows()) {
					last[topics.Value(i)+" "+schemas.AccountingRows.Field(col).Name] = values.Value(i)
				}
			}
			w := m.rows.Column(schemas.AccWatermark).(*array.Timestamp)
			for i := range int(m.rows.NumRows()) {
				last[fmt.Sprint("w of ", topics.Value(i))] = int64(w.Value(i))
			}
		})
		for what, n := range last {
			out[fmt.Sprint(p, " ", what)] = n
		}
	}
	return out
}

func TestTwoWorkersDrainTogether(t *testing.T) {
	quick := func(c *config.Config) {
		c.Log.Partitions = 4
		c.Profile.LiveInterval, c.Profile.CheckpointInterval = 20*time.Millisecond, 100*time.Millisecond
		c.Profile.Lateness = 24 * time.Hour
	}
	r := newRig(t, quick)
	r.shop(0, 400)
	until := day0.AddDate(0, 0, 5)
	run := func() {
		t.Helper()
		var workers errgroup.Group
		for range 2 {
			workers.Go(func() error { return Ingest(r.ctx(), r.process(true, until)) })
		}
		r.must(workers.Wait())
	}
	run()
	r.checkDrained(until, 400)
	before, _ := r.rows(r.env.Config.Topics().Windows)
	run() // nothing is left to do
	r.checkDrained(until, 400)
	after, _ := r.rows(r.env.Config.Topics().Windows)
	if d := cmp.Diff(before, after, cmp.AllowUnexported(seenRow{})); d != "" {
		t.Errorf("a second drain changes rows: %s", d)
	}
}

// checkDrained holds the totals that the sink would write against the inputs:
// all records of both sources, a tenth of them bad, and time moved everywhere.
func (r *rig) checkDrained(until time.Time, records int64) {
	r.t.Helper()
	n := int32(r.env.Config.Log.Partitions)
	got := r.totals()
	for _, topic := range []string{clicks.Topic, buys.Topic} {
		var applied int64
		for p := range n {
			at := func(what string) int64 { return got[fmt.Sprintf("%d %s %s", p, topic, what)] }
			applied += at("applied") + at("late") + at("duplicates") + at("hot")
			if at("records") != records || at("rejected") != records/10 {
				r.t.Errorf("log partition %d knows of %d records of %s, %d of them bad", p, at("records"), topic, at("rejected"))
			}
			if w := got[fmt.Sprintf("%d w of %s", p, topic)]; w != until.UnixMilli() {
				r.t.Errorf("time of %s in log partition %d is %v", topic, p, time.UnixMilli(w).UTC())
			}
		}
		if applied != records-records/10 {
			r.t.Errorf("%d good records of %s", applied, topic)
		}
	}
	for stage, topics := range map[string][]string{"admission": r.env.Config.Input.Topics, "windowing": {r.env.Config.Topics().Events}} {
		lags, err := r.c.GroupLag(r.ctx(), r.env.Config.Group(stage), topics...)
		r.must(err)
		for tp, lag := range lags {
			if lag.Records() != 0 {
				r.t.Errorf("%s is %d behind in %v", stage, lag.Records(), tp)
			}
		}
	}
	days, _ := r.rows(r.env.Config.Topics().Days)
	if len(days) < 13*4 { // 13 users, events or silence on each of the five days
		r.t.Errorf("%d day rows", len(days))
	}
}

// TestIngestStopsAndGoesOn: a worker is told to stop in the middle, again and
// again; what it left is worked off by the next, once.
func TestIngestStopsAndGoesOn(t *testing.T) {
	r := newRig(t, func(c *config.Config) {
		c.Profile.LiveInterval, c.Profile.CheckpointInterval = 20*time.Millisecond, 100*time.Millisecond
	})
	for i := range 3 {
		r.shop(i*100, 100)
		ctx, stop := context.WithCancel(r.ctx())
		done := make(chan error, 1)
		go func() { done <- Ingest(ctx, r.process(false, time.Time{})) }()
		r.until(func() bool { // it is at work
			at, err := r.c.CommittedOffsets(r.ctx(), r.env.Config.Group("admission"), []wire.TopicPartition{clicks})
			return err == nil && at[clicks].Offset > int64(i*100)
		})
		stop()
		r.must(<-done)
	}
	until := day0.AddDate(0, 0, 5)
	r.must(Ingest(r.ctx(), r.process(true, until)))
	r.checkDrained(until, 300)
}

// until waits for a condition that another process brings about.
func (r *rig) until(ok func() bool) {
	r.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	ctx := r.ctx()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			r.t.Fatal("it does not happen")
		}
	}
}
