package stage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/privacy"
	"profilestream/cmd/internal/process"
	"profilestream/profile"
	"profilestream/schemas"
	"profilestream/stream"
	"profilestream/stream/kafkatest"
	"profilestream/stream/wire"
)

const erasedUser = "user-7"

func withErasureKey(c *config.Config) { c.Privacy.ErasureKey = "0123456789abcdef" }

// erase announces the erasure of a user to all runs.
func (r *rig) erase(user string, again bool) {
	r.t.Helper()
	e, err := privacy.NewEraser(r.env.Config, r.c, nil, user, func(string) {})
	r.must(err)
	e.Epochs = SourceEpochs
	r.must(e.Announce(r.ctx(), again))
}

// other is another run over the same inputs.
func (r *rig) other(run string) *rig {
	r.t.Helper()
	cfg := *r.env.Config
	cfg.Run = run
	env := *r.env
	env.Config, env.Metrics = &cfg, process.NewRegistry()
	o := &rig{t: r.t, env: &env, c: r.c, m: newIngestMetrics(env.Metrics)}
	r.must(CreateTopics(r.ctx(), &cfg, r.c))
	return o
}

// erasures are what a process of the run would load.
func (r *rig) erasures() *privacy.Set {
	r.t.Helper()
	e, err := loadErasures(r.ctx(), r.env, r.c)
	r.must(err)
	return e.set
}

// admitted has one worker admit both inputs to their ends.
func (r *rig) admitted(erased *privacy.Set) {
	r.t.Helper()
	a := r.admission(nil)
	a.erased = erased
	r.admit(a)
	_, err := a.Finish(r.ctx(), stream.Drained)
	r.must(err)
	r.must(a.Close())
}

// bad makes dead letters, two of which name the erased user.
func (r *rig) bad() {
	at := day0.Add(time.Hour)
	r.send(clicks,
		input{at, `{"user_id":"` + erasedUser + `","type":"page_view","ts":"soon"}`},
		input{at, `{"user_id":"` + erasedUser + `","type":"page_view"`},
		input{at, `{"user_id":"somebody","type":"page_view","ts":"soon"}`})
}

// holding counts the records of a run's topics whose bytes hold a text.
func (r *rig) holding(text string) map[string]int {
	r.t.Helper()
	out := map[string]int{}
	topics := r.env.Config.Topics()
	for _, topic := range []string{topics.Events, topics.DLQ, topics.Late, topics.Windows, topics.Days, topics.State} {
		for p := range int32(r.env.Config.Log.Partitions) {
			r.records(topic, p, func(x *wire.Record) {
				if bytes.Contains(x.Key, []byte(text)) || bytes.Contains(x.Value, []byte(text)) {
					out[topic]++
				}
			})
		}
	}
	return out
}

// windowed folds every log partition to the end, by real owners, and sums what
// became of each topic's records.
func (r *rig) windowed(erased *privacy.Set) map[string]string {
	r.t.Helper()
	sums := map[string]*profile.SourceAccount{}
	for p := range int32(r.env.Config.Log.Partitions) {
		if r.local == nil {
			var err error
			r.local, err = newLocalState(r.ctx(), r.env.Config, r.env.Log, r.c)
			r.must(err)
			r.t.Cleanup(r.local.close)
			r.local.erased = erased
		}
		w, next := r.owner(p)
		r.work(w, next)
		_, err := w.Finish(r.ctx(), stream.Drained)
		r.must(err)
		for _, a := range w.state.Accounting() {
			s := sums[a.Source.Topic]
			if s == nil {
				s = &profile.SourceAccount{Records: a.Records, Rejected: a.Rejected}
				sums[a.Source.Topic] = s
			}
			s.Applied, s.Duplicates, s.Late, s.Hot = s.Applied+a.Applied, s.Duplicates+a.Duplicates, s.Late+a.Late, s.Hot+a.Hot
		}
		r.must(w.Close())
	}
	out := map[string]string{}
	for topic, s := range sums {
		if s.Records != s.Applied+s.Duplicates+s.Late+s.Rejected+s.Hot {
			r.t.Errorf("%s does not add up: %+v", topic, s)
		}
		out[topic] = fmt.Sprintf("%d records, %d rejected, %d late", s.Records, s.Rejected, s.Late)
	}
	return out
}

// TestErasedUserIsNotInARunBegunLater: with the rule the new run's topics never
// hold the id, and its totals are those of inputs without the user; without the
// rule they do.
func TestErasedUserIsNotInARunBegunLater(t *testing.T) {
	r := newRig(t, withErasureKey, shortLateness)
	r.shop(0, 400)
	r.bad()
	r.admitted(nil)
	r.erase(erasedUser, false)
	r.send(clicks, view("new", "user-1", day0.Add(47*time.Hour)))

	off := r.other("off")
	off.admitted(nil)
	if got := off.holding(erasedUser); got["profile.off.events"] == 0 || got["profile.off.dlq"] != 2 {
		t.Fatalf("without the rule the search finds %v", got)
	}
	on := r.other("on")
	set := on.erasures()
	on.admitted(set)
	totals := on.windowed(set)
	if got := on.holding(erasedUser); len(got) > 0 {
		t.Errorf("the id is in %v", got)
	}
	// user-7 has every 13th record of each source, from the 8th on; every tenth is poison.
	events := 0
	for i := 7; i < 400; i += 13 {
		if i%10 != 9 {
			events++
		}
	}
	want := map[string]string{
		"clickstream": fmt.Sprintf("%d records, 41 rejected, 0 late", 400+1+1-events),
		"purchases":   fmt.Sprintf("%d records, 40 rejected, 0 late", 400-events),
	}
	if d := cmp.Diff(want, totals); d != "" {
		t.Error(d)
	}
	r.erase(erasedUser, false) // again: a run begun later never hears the id
	if got := on.holding(erasedUser); len(got) > 0 {
		t.Errorf("after a repeated erasure the id is in %v", got)
	}
}

// TestErasedUserLeavesARunAtWork: a run that the erasure lists reads on, with
// events of the user from before it that it had not admitted yet, in whatever
// order it hears of it; what the user does later counts.
func TestErasedUserLeavesARunAtWork(t *testing.T) {
	for _, follows := range []bool{true, false} {
		t.Run(fmt.Sprintf("the topic is read first %v", follows), func(t *testing.T) {
			r := newRig(t, withErasureKey, shortLateness)
			r.shop(0, 200)
			a := r.admission(nil)
			r.admit(a)
			_, err := a.Flush(r.ctx())
			r.must(err)
			r.shop(200, 200)
			r.bad()
			before := r.erasures()
			r.erase(erasedUser, false)
			r.send(clicks, view("back", erasedUser, day0.Add(47*time.Hour)))
			a.erased = r.erasures()
			r.admit(a)
			_, err = a.Finish(r.ctx(), stream.Drained)
			r.must(err)
			r.must(a.Close())
			set := before
			if follows {
				set = a.erased
			}
			totals := r.windowed(set)
			want := map[string]string{"clickstream": "402 records, 41 rejected, 0 late", "purchases": "400 records, 40 rejected, 0 late"}
			if d := cmp.Diff(want, totals); d != "" {
				t.Error(d)
			}
			if got := r.holding(erasedUser); got["profile.live.dlq"] != 0 {
				t.Errorf("the DLQ holds the id %d times", got["profile.live.dlq"])
			}
			r.onlyTheNewEvent()
		})
	}
}

// onlyTheNewEvent looks at the newest live row of the user who came back.
func (r *rig) onlyTheNewEvent() {
	r.t.Helper()
	events := int64(-1)
	p := profile.Partition([]byte(erasedUser), int32(r.env.Config.Log.Partitions))
	r.records(r.env.Config.Topics().Windows, p, func(x *wire.Record) {
		m, err := decodeMessage(x, memory.DefaultAllocator)
		r.must(err)
		defer m.rows.Release()
		users := m.rows.Column(schemas.ColUserID).(*array.String)
		at := schemas.ColFeatures + featureIndex(r.t, "events_total")
		for i := range users.Len() {
			if users.Value(i) == erasedUser {
				events = m.rows.Column(at).(*array.Int64).Value(i)
			}
		}
	})
	if events != 1 {
		r.t.Errorf("the newest row of the erased user counts %d events, want the one after the erasure", events)
	}
}

func featureIndex(t *testing.T, name string) int {
	t.Helper()
	for i, f := range schemas.Features {
		if f.Name == name {
			return i
		}
	}
	t.Fatalf("no feature %s", name)
	return 0
}

// TestSinkHidesRowsFromBeforeAnErasure: rows on their way when a user is erased.
func TestSinkHidesRowsFromBeforeAnErasure(t *testing.T) {
	const at = 100
	set := privacy.NewSet(testKey(t), "log")
	set.Record(&profile.Erase{User: []byte("ann"), Positions: []profile.Position{{Source: clicksID, NextOffset: 50}}}, 0, at)
	for name, c := range map[string]struct {
		users    string
		versions []int64
		kept     string
	}{
		"nobody":      {"bob eve", []int64{1, 2}, "bob eve"},
		"in between":  {"bob ann eve", []int64{1, 2, 3}, "bob eve"},
		"at the ends": {"ann bob ann", []int64{1, 2, 3}, "bob"},
		"only":        {"ann", []int64{99}, ""},
		"came back":   {"bob ann", []int64{2, at + 1}, "bob ann"},
	} {
		t.Run(name, func(t *testing.T) {
			rows := versioned(t, strings.Fields(c.users), c.versions)
			defer rows.Release()
			var got []string
			ended := 0
			if err := keptRows(set, rows, func(piece arrow.Record, last bool) error {
				for i := range int(piece.NumRows()) {
					got = append(got, piece.Column(schemas.ColUserID).(*array.String).Value(i))
				}
				if last {
					ended++
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(strings.Fields(c.kept), got, cmpopts.EquateEmpty()); d != "" || ended != 1 {
				t.Errorf("%d ends; %s", ended, d)
			}
		})
	}
}

func testKey(t *testing.T) *privacy.Key {
	t.Helper()
	k, err := privacy.ErasureKey(&config.Privacy{ErasureKey: "0123456789abcdef"})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestWithoutItsKeyNothingStarts: a process that cannot know whom to forget.
func TestWithoutItsKeyNothingStarts(t *testing.T) {
	r := newRig(t, withErasureKey)
	r.send(clicks, view("1", erasedUser, day0))
	r.erase(erasedUser, false)
	for name, key := range map[string]config.Secret{"none": "", "another": "fedcba9876543210"} {
		t.Run(name, func(t *testing.T) {
			o := r.other("keyless_" + name)
			o.env.Config.Privacy.ErasureKey = key
			_, err := loadErasures(o.ctx(), o.env, o.c)
			var wrong *config.Error
			if !errors.As(err, &wrong) || wrong.Key != "privacy.erasure_key_file" {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestErasuresAreFollowed: a process at work hears of an erasure, and one that
// cannot obey stops.
func TestErasuresAreFollowed(t *testing.T) {
	r := newRig(t, withErasureKey)
	r.send(clicks, view("1", erasedUser, day0))
	e, err := loadErasures(r.ctx(), r.env, r.c)
	r.must(err)
	keyless := r.other("keyless")
	keyless.env.Config.Privacy = config.Privacy{}
	blind, err := loadErasures(r.ctx(), keyless.env, r.c)
	r.must(err)
	ctx, cancel := context.WithCancel(r.ctx())
	defer cancel()
	stopped := make(chan error, 1)
	go func() {
		stopped <- blind.during(ctx, func(ctx context.Context) error { <-ctx.Done(); return nil })
	}()
	r.must(e.during(ctx, func(ctx context.Context) error {
		r.erase(erasedUser, false)
		for tick := time.NewTicker(time.Millisecond); ; {
			if covers, listed := e.set.Covers([]byte(erasedUser), &profile.Source{Topic: clicks.Topic}, 0); covers && listed {
				return nil
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}))
	var wrong *config.Error
	if err := <-stopped; !errors.As(err, &wrong) {
		t.Errorf("a process without the key goes on: %v", err)
	}
}

// TestErasureBeforeAGap: a run that lags loses its place to the input's retention
// after a user was erased, and goes on in a new epoch, of which the erasure says
// nothing. What is left of the user there comes back, until it is erased again:
// docs/privacy.md says so.
func TestErasureBeforeAGap(t *testing.T) {
	r := newRig(t, withErasureKey, shortLateness, newEpochs)
	r.pour("o", 0, 100)
	r.admitAll()
	r.pour("n", 100, 60)
	r.erase(erasedUser, false)
	kafkatest.DeleteRecords(t, r.env.Config.Kafka.Brokers[0], clicks.Topic, 0, 130)
	r.admitAll()
	covered := func() bool {
		covers, _ := r.erasures().Covers([]byte(erasedUser), &profile.Source{Topic: clicks.Topic, Epoch: 1}, 130)
		return covers
	}
	if covered() {
		t.Error("the new epoch is covered: mend docs/privacy.md")
	}
	r.erase(erasedUser, true)
	if !covered() {
		t.Error("erased again, and what the new epoch holds is not covered")
	}
}
