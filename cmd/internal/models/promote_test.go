package models

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"profilestream/profile"
	"profilestream/schemas"
	"profilestream/stream"
	"profilestream/stream/kafkatest"
	"profilestream/stream/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const partitions = 3

func newPromoter(t *testing.T) *Promoter {
	t.Helper()
	c, err := wire.NewClient(wire.Config{Brokers: kafkatest.Fake(t).Addrs, MetadataTTL: 200 * time.Millisecond, MaxBackoff: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := stream.CreateTopics(t.Context(), c, stream.TopicsConfig{Run: "live", Partitions: partitions, Replication: 1}); err != nil {
		t.Fatal(err)
	}
	return &Promoter{Client: c, Run: "live", Step: func(string) {}, Now: time.Now}
}

// rescores reads the event log: the numbers of the re-scores in each partition.
func (p *Promoter) rescores(t *testing.T) (out [][]int64) {
	t.Helper()
	for i := range int32(partitions) {
		var numbers []int64
		tp := wire.TopicPartition{Topic: schemas.RunTopics(p.Run).Events, Partition: i}
		_, err := stream.Read(t.Context(), p.Client, stream.ReadConfig{TopicPartition: tp, From: wire.Earliest}, func(x *wire.Record) error {
			var r profile.Record
			if err := profile.DecodeRecord(x.Value, &r); err != nil {
				return err
			}
			if r.Kind != profile.KindRescore {
				return fmt.Errorf("a record of kind %d", r.Kind)
			}
			numbers = append(numbers, r.Rescore.Promotion)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, numbers)
	}
	return out
}

func (p *Promoter) newest(t *testing.T) (Record, string) {
	t.Helper()
	r, _, err := Newest(t.Context(), p.Client, p.Run)
	if err != nil {
		t.Fatal(err)
	}
	c := r.Current()
	return r, fmt.Sprintf("%d %.1s rescored=%v", c.Number, c.Bundle, r.Rescored)
}

func everywhere(numbers ...int64) (out [][]int64) {
	for range partitions {
		out = append(out, numbers)
	}
	return out
}

func TestPromoteThenRollBack(t *testing.T) {
	p, ctx := newPromoter(t), t.Context()
	if r, _ := p.newest(t); r.Current().Number != 0 {
		t.Fatalf("a new run has %v", r)
	}
	step := func(what string, want int64, wantAgain bool, f func() (Promotion, bool, error)) {
		t.Helper()
		done, again, err := f()
		if err != nil || done.Number != want || again != wantAgain {
			t.Fatalf("%s: promotion %d, again %v, %v", what, done.Number, again, err)
		}
	}
	step("first", 1, false, func() (Promotion, bool, error) { return p.Promote(ctx, idA, sumA, false) })
	step("again", 1, true, func() (Promotion, bool, error) { return p.Promote(ctx, idA, sumA, false) })
	step("second", 2, false, func() (Promotion, bool, error) { return p.Promote(ctx, idB, sumB, true) })
	step("back", 3, false, func() (Promotion, bool, error) { return p.Rollback(ctx, 1) })
	if d := cmp.Diff(everywhere(1, 2, 3), p.rescores(t)); d != "" {
		t.Error(d)
	}
	r, at := p.newest(t)
	if at != "3 a rescored=true" || r.Current().Repeats != 1 || len(r.Promotions) != 3 || !r.Promotions[1].Forced {
		t.Errorf("%s: %+v", at, r)
	}
	if _, _, err := p.Rollback(ctx, 9); !errors.Is(err, ErrNothingEarlier) {
		t.Errorf("rolled back to a promotion that never was: %v", err)
	}
}

// TestPromotionThatIsCutOff: between announcement and re-score the same bundle
// goes on under its number, another one takes the next.
func TestPromotionThatIsCutOff(t *testing.T) {
	for _, c := range []struct {
		bundle, manifest, want string
		rescores               [][]int64
	}{
		{idA, sumA, "1 a rescored=true", everywhere(1)},
		{idB, sumB, "2 b rescored=true", everywhere(2)},
	} {
		p := newPromoter(t)
		cut, cancel := context.WithCancel(t.Context())
		p.Lead = time.Hour
		p.Step = func(what string) {
			if what == "giving the scorers 1h0m0s to load it" {
				cancel()
			}
		}
		if _, _, err := p.Promote(cut, idA, sumA, false); !errors.Is(err, context.Canceled) {
			t.Fatalf("the promotion went on: %v", err)
		}
		if _, at := p.newest(t); at != "1 a rescored=false" {
			t.Fatalf("after the cut: %s", at)
		}
		p.Lead, p.Step = 0, func(string) {}
		if _, again, err := p.Promote(t.Context(), c.bundle, c.manifest, false); again || err != nil {
			t.Fatalf("again %v, %v", again, err)
		}
		if _, at := p.newest(t); at != c.want {
			t.Errorf("%s, want %s", at, c.want)
		}
		if d := cmp.Diff(c.rescores, p.rescores(t)); d != "" {
			t.Error(d)
		}
	}
}

// TestTwoPromotersNeverShareANumber: the newer one takes over, the older one says
// that it lost.
func TestTwoPromotersNeverShareANumber(t *testing.T) {
	p := newPromoter(t)
	other := *p
	other.Lead = 0
	taken := false
	p.Step = func(string) {
		if taken {
			return
		}
		taken = true // the older one has chosen its number and not written it yet
		if done, _, err := other.Promote(t.Context(), idB, sumB, false); err != nil || done.Number != 1 {
			t.Errorf("promotion %d, %v", done.Number, err)
		}
	}
	if _, _, err := p.Promote(t.Context(), idA, sumA, false); !errors.Is(err, wire.ErrFenced) {
		t.Errorf("two bundles have one number: %v", err)
	}
	if _, at := p.newest(t); at != "1 b rescored=true" {
		t.Errorf("at work: %s", at)
	}
}

func TestFollowTellsEachPromotion(t *testing.T) {
	p := newPromoter(t)
	other := *p
	other.Run = "backfill"
	if err := stream.CreateTopics(t.Context(), p.Client, stream.TopicsConfig{Run: other.Run, Partitions: 1, Replication: 1}); err != nil {
		t.Fatal(err)
	}
	_, from, err := Newest(t.Context(), p.Client, "live")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	told, done := make(chan Record, 10), make(chan error)
	go func() {
		done <- Follow(ctx, p.Client, "live", from, func(r Record, err error) {
			if err != nil {
				t.Error(err)
			}
			told <- r
		})
	}()
	if _, _, err := other.Promote(t.Context(), idB, sumB, false); err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.Promote(t.Context(), idA, sumA, false); err != nil {
		t.Fatal(err)
	}
	for _, rescored := range []bool{false, true} {
		if r := <-told; r.Run != "live" || r.Current().Bundle != idA || r.Rescored != rescored {
			t.Errorf("told %+v", r)
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if all, err := All(t.Context(), p.Client); err != nil || len(all) != 2 {
		t.Errorf("%d runs, %v", len(all), err)
	}
}
