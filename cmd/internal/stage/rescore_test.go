package stage

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"profilestream/profile"
	"profilestream/stream"
	"profilestream/stream/wire"
)

// stamped reads the topic windows of a log partition: the users of each row with
// its version and the promotion of its message, less those counted before.
func (r *rig) stamped(partition int32, seen *int) (out []string) {
	r.t.Helper()
	n := 0
	r.records(r.env.Config.Topics().Windows, partition, func(x *wire.Record) {
		m, err := decodeMessage(x, memory.DefaultAllocator)
		r.must(err)
		defer m.rows.Release()
		ids, versions := idsAndVersions(m.rows)
		for i, v := range versions {
			if n++; n > *seen {
				out = append(out, fmt.Sprintf("%s %d promotion %d", ids.Value(i), v, m.promotion))
			}
		}
	})
	*seen = n
	return out
}

// TestRescoreOutlivesItsOwner: an owner that dies after it sent a re-score's rows
// and before its checkpoint has its successor send them again, equal ones; after a
// checkpoint the promotion is remembered, and nobody is scored once more.
func TestRescoreOutlivesItsOwner(t *testing.T) {
	r := newRig(t)
	r.send(clicks, view("a", "ann", day0), view("b", "bob", day0), view("c", "cid", day0), view("d", "dan", day0))
	r.admitAll()
	seen := 0
	w, next := r.owner(0)
	next = r.work(w, next)
	_, err := w.Finish(r.ctx(), stream.Revoked)
	r.must(err)
	first := r.stamped(0, &seen)
	if len(first) == 0 {
		t.Fatal("the log partition has no user")
	}
	b := new(wire.Builder)
	b.Add(day0.UnixMilli(), nil, profile.AppendRescore(nil, &profile.Rescore{Promotion: 5}))
	at, err := r.c.NewProducer(r.env.Config.Topics().Events, 0, wire.ProducerConfig{}).Append(r.ctx(), b)
	r.must(err)

	dead, from := r.owner(0)
	if from != next {
		t.Fatalf("goes on at %d, want %d", from, next)
	}
	r.work(dead, from)
	dead.nextLive = time.Time{}
	r.must(dead.live(r.ctx()))
	sent := r.stamped(0, &seen)
	if len(sent) != len(first) {
		t.Errorf("%d of %d users are scored again", len(sent), len(first))
	}
	for _, row := range sent {
		var user string
		var version, promotion int64
		if _, err := fmt.Sscanf(row, "%s %d promotion %d", &user, &version, &promotion); err != nil || version != at || promotion != 5 {
			t.Errorf("re-score at %d: %s, %v", at, row, err)
		}
	}

	w, from = r.owner(0)
	r.work(w, from)
	_, err = w.Finish(r.ctx(), stream.Revoked)
	r.must(err)
	if d := cmp.Diff(slices.Sorted(slices.Values(sent)), slices.Sorted(slices.Values(r.stamped(0, &seen)))); d != "" {
		t.Errorf("the successor sends other rows: %s", d)
	}
	w, from = r.owner(0)
	r.work(w, from)
	_, err = w.Finish(r.ctx(), stream.Revoked)
	r.must(err)
	if again := r.stamped(0, &seen); len(again) != 0 || w.state.Promotion() != 5 {
		t.Errorf("after the checkpoint: promotion %d, rows %v", w.state.Promotion(), again)
	}
}
