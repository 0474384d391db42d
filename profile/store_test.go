package profile_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"profilestream/profile"
)

// mapStore is a store of a few users.
type mapStore struct {
	pairs  map[string][]byte
	broken error
}

func newMapStore() *mapStore { return &mapStore{pairs: map[string][]byte{}} }

func (s *mapStore) Set(key, value []byte) error {
	s.pairs[string(key)] = append([]byte{}, value...)
	return nil
}

func (s *mapStore) Delete(key []byte) error {
	delete(s.pairs, string(key))
	return nil
}

func (s *mapStore) Prefix(prefix []byte, fn func(key, value []byte) error) error {
	return s.Scan(prefix, append(bytes.Clone(prefix[:len(prefix)-1]), 1), func(k, v []byte) (bool, error) { return true, fn(k, v) })
}

func (s *mapStore) Ascend(prefix []byte, fn func(key, value []byte) error) error {
	return s.Prefix(prefix, fn)
}

func (s *mapStore) Scan(from, to []byte, fn func(key, value []byte) (bool, error)) error {
	for _, k := range slices.Sorted(maps.Keys(s.pairs)) {
		if k < string(from) || k >= string(to) {
			continue
		}
		if s.broken != nil {
			return s.broken
		}
		if more, err := fn([]byte(k), s.pairs[k]); err != nil || !more {
			return err
		}
	}
	return nil
}

// mirrored is the store that a state topic gives.
func (r *runner) mirrored() *mapStore {
	s := newMapStore()
	for k, v := range r.state {
		r.must(profile.CheckRecord(v))
		r.must(profile.Mirror(s, []byte(k), v))
	}
	return s
}

// sameStore compares the store with what the state topic would give.
func (r *runner) sameStore() error {
	want := r.mirrored().pairs
	for k, v := range r.store.pairs {
		if k != "n" && !bytes.Equal(v, want[k]) {
			return fmt.Errorf("store holds %q: %x, the topic %x", k, v, want[k])
		}
	}
	if n := len(r.store.pairs); n != len(want)+1 && n > 0 {
		return fmt.Errorf("store holds %d pairs, want %d and the number of users", n, len(want))
	}
	return nil
}

// drawErasures puts erasures of users, and re-scorings, into a log.
func drawErasures(t *rapid.T, items []logItem) []logItem {
	var out []logItem
	for _, it := range items {
		out = append(out, it)
		switch rapid.IntRange(0, 25).Draw(t, "then") {
		case 0:
			out = append(out, logItem{erase: fmt.Sprintf("u%d", rapid.IntRange(0, 3).Draw(t, "erased"))})
		case 1:
			out = append(out, logItem{rescore: int64(len(out))})
		}
	}
	return out
}

// TestStoreDoesNotMatter: a partition that keeps hardly any user in memory makes the rows of one
// that keeps all, whatever the checkpoints and restarts, with the store or from the state topic.
func TestStoreDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		lateness := rapid.SampledFrom([]int64{oDay, oDay + 5*oH, 7 * oDay, 20 * oDay}).Draw(rt, "lateness")
		maxDay := rapid.SampledFrom([]int{3, 12, 60, 420}).Draw(rt, "days")
		log := drawLog(rt, rapid.IntRange(1, 60).Draw(rt, "events"), maxDay, true)
		items := drain(drawErasures(rt, log), int64(maxDay)+rapid.SampledFrom([]int64{-2, 1, 30, 500}).Draw(rt, "silence"))
		all, few := newRunner(t, testConfig(lateness)), newRunner(t, testConfig(lateness))
		few.store, few.cache = newMapStore(), rapid.SampledFrom([]int{0, 3000, 1 << 20}).Draw(rt, "cache")
		few.open()
		live := rapid.Bool().Draw(rt, "live")
		all.p.SetLive(live)
		few.p.SetLive(live)
		few.maxBytes = rapid.SampledFrom([]int{1, 3000, 1 << 20}).Draw(rt, "max bytes")
		for i := range items {
			all.apply(int64(i)*3, &items[i])
			all.emitLive()
			few.apply(int64(i)*3, &items[i])
			if user := items[i].erase; user != "" { // its rows are nobody's business any more
				few.emitLive()
				all.forget(user)
				few.forget(user)
			}
			switch rapid.IntRange(0, 7).Draw(rt, "point") {
			case 0:
				few.work()
			case 1:
				few.emitLive()
			case 2:
				few.checkpoint(false)
			case 3:
				few.checkpoint(true)
			case 4:
				few.p.Work(few.maxBytes)
				few.take()
			case 5:
				few.p.EmitLive(few.maxBytes)
				few.take()
			case 6:
				few.checkpoint(false)
				few.store = few.mirrored()
				few.open()
			}
		}
		for _, r := range []*runner{all, few} {
			r.p.TouchAll()
			r.checkpoint(false)
		}
		if err := all.sameRows(few); err != nil {
			rt.Fatal(err)
		}
		if fmt.Sprint(all.p.Accounting()) != fmt.Sprint(few.p.Accounting()) || all.p.Users() != few.p.Users() {
			rt.Fatalf("%v and %d users, want %v and %d", few.p.Accounting(), few.p.Users(), all.p.Accounting(), all.p.Users())
		}
		if err := few.sameStore(); err != nil {
			rt.Fatal(err)
		}
		// What the store says is what its topic says.
		few.store, few.maxBytes = nil, 1<<20
		few.open()
		few.live = map[string]gotRow{}
		few.p.TouchAll()
		few.emitLive()
		if err := all.sameRows(few); err != nil {
			rt.Fatal("from the topic:", err)
		}
	})
}

// forget drops the rows of a user.
func (r *runner) forget(user string) {
	delete(r.live, user)
	maps.DeleteFunc(r.days, func(k rowKey, _ gotRow) bool { return k.user == user })
}

// shopper gives a user an event on a day.
func (r *runner) shopper(offset int64, user string, day int64) {
	r.apply(offset, &logItem{ev: &shopEvent{topic: "clickstream", offset: offset, user: user, kind: "product_view", product: fmt.Sprint("p", offset), id: fmt.Sprint(offset), ts: (day0 + day) * oDay}})
}

func (r *runner) pass(offset int64, day int64) {
	r.apply(offset, &logItem{mark: "clickstream/0", w: (day0+day+1)*oDay - 1})
	r.work()
}

// storeRunner has n users with an event on the first day, all in the store and few in memory.
func storeRunner(t *testing.T, n int, cache int) *runner {
	r := newRunner(t, testConfig(oDay))
	r.store, r.cache = newMapStore(), cache
	r.open()
	r.apply(0, &logItem{set: []string{"clickstream/0"}})
	for i := range n {
		r.shopper(int64(i+1), fmt.Sprintf("user-%03d", i), 0)
	}
	r.checkpoint(false)
	return r
}

// TestDormantUsersShrink: 372 days after their last event users hold life totals only, though
// hardly any fits into memory and each day shrinks but a few.
func TestDormantUsersShrink(t *testing.T) {
	const users = 40
	r := storeRunner(t, users, 8000)
	size := func() (n int) {
		for k, v := range r.store.pairs {
			if k[0] == 'r' || k[0] == 'c' {
				n += len(v)
			}
		}
		return n / users
	}
	before := size()
	offset := int64(users + 1)
	for day := int64(1); day < 450; day++ {
		r.pass(offset, day)
		offset++
		r.checkpoint(false)
		if held, free := r.p.Held(), r.p.FreeDays(); held > 2*8000 || free > users {
			t.Fatalf("day %d: %d bytes of users and %d free days in memory", day, held, free)
		}
	}
	if after := size(); after > 40 || before < 60 {
		t.Errorf("%d bytes a user, after a year and a half of silence %d", before, after)
	}
	for k, v := range r.store.pairs {
		if k[0] == 'x' && (!strings.HasSuffix(k, "\x00b") || v[0] != 0) {
			t.Errorf("index still says %q: %x", k, v)
		}
	}
	r.p.TouchAll()
	r.emitLive()
	if len(r.live) != users {
		t.Fatalf("%d live rows", len(r.live))
	}
	for user, row := range r.live {
		if row.f["events_total"] != 1 {
			t.Errorf("%s has %v events", user, row.f["events_total"])
		}
	}
}

// TestChangesFillTheCache: changed users stay in memory, and Full asks for a checkpoint, after
// which they may go.
func TestChangesFillTheCache(t *testing.T) {
	r := storeRunner(t, 10, 20_000)
	offset := int64(100)
	for !r.p.Full() {
		if offset > 1000 {
			t.Fatal("never full")
		}
		r.shopper(offset, fmt.Sprint("new-", offset), 0)
		offset++
	}
	for offset < 1000 {
		r.shopper(offset, fmt.Sprint("new-", offset), 0)
		offset++
	}
	if got := r.p.Held(); got < 200_000 {
		t.Fatalf("%d bytes of 900 changed users", got)
	}
	r.checkpoint(false)
	if got := r.p.Held(); got > 20_000 || r.p.Full() {
		t.Fatalf("%d bytes after a checkpoint", got)
	}
	if r.p.Users() != 910 {
		t.Fatalf("%d users", r.p.Users())
	}
}

// TestBrokenStoreStops: what cannot be read ends the partition's work, without a checkpoint.
func TestBrokenStoreStops(t *testing.T) {
	r := storeRunner(t, 10, 0)
	r.store.broken = errors.New("disk gone")
	mark := profile.Record{Kind: profile.KindWatermark, Watermark: profile.Watermark{Source: sourceOf("clickstream/0"), WMillis: (day0 + 2) * oDay}}
	r.must(r.p.Apply(50, &mark))
	if r.p.Work(1 << 20) {
		t.Fatal("work goes on without a store")
	}
	err := r.p.Changes(profile.LastRecord{}, func([]byte, []byte) error { return nil })
	if !errors.Is(err, r.store.broken) {
		t.Fatalf("checkpoint: %v", err)
	}
	if err := r.p.Apply(51, &mark); !errors.Is(err, r.store.broken) {
		t.Fatalf("next record: %v", err)
	}
	r = storeRunner(t, 10, 0)
	delete(r.store.pairs, "ruser-003\x00d\x00\x00\x4e\x20")
	r.must(r.p.Apply(50, &mark))
	r.p.Work(1 << 20)
	if err := r.p.Apply(51, &mark); !errors.Is(err, profile.ErrStore) {
		t.Fatalf("a user without state: %v", err)
	}
}

func TestStartFromRefusesAnotherStore(t *testing.T) {
	open := func(edit func(*runner)) error {
		r := storeRunner(t, 10, 0)
		edit(r)
		p, err := profile.NewPartition(r.cfg)
		r.must(err)
		return p.StartFrom(r.store, 0, true)
	}
	for name, c := range map[string]struct {
		edit func(*runner)
		want error
	}{
		"as written":            {func(*runner) {}, nil},
		"another configuration": {func(r *runner) { r.cfg.ConfigVersion = "c2" }, profile.ErrConfigChanged},
		"another partition":     {func(r *runner) { r.cfg.Partition++ }, profile.ErrConfigChanged},
		"no marker":             {func(r *runner) { delete(r.store.pairs, "m") }, profile.ErrStateCorrupt},
		"damaged marker":        {func(r *runner) { r.store.pairs["m"][3] ^= 1 }, profile.ErrStateCorrupt},
		"a missing record": {func(r *runner) { delete(r.store.pairs, "xuser-003\x00d\x00\x00\x4e\x20") },
			profile.ErrStateCorrupt},
		"a record too many": {func(r *runner) { r.must(r.store.Set([]byte("cghost\x00i\x00\x00\x4e\x20\x00\x00"), []byte("x"))) },
			profile.ErrStateCorrupt},
	} {
		if err := open(c.edit); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// TestErasedUserLeavesTheStore: of an erased user nothing is left, in whatever order erasure,
// checkpoint and new events come.
func TestErasedUserLeavesTheStore(t *testing.T) {
	r := storeRunner(t, 10, 0)
	r.apply(50, &logItem{erase: "user-003"})
	r.shopper(51, "user-004", 1)
	r.apply(52, &logItem{erase: "user-004"})
	r.shopper(53, "user-004", 1) // a user anew
	erased := r.p.Erased()
	r.checkpoint(false)
	if len(erased) != 2 || len(r.p.Erased()) != 0 {
		t.Fatalf("erased %q, then %q", erased, r.p.Erased())
	}
	left := 0
	for k := range r.store.pairs {
		if strings.Contains(k, "user-003") {
			t.Errorf("the store still holds %q", k)
		}
		if strings.Contains(k, "user-004") {
			left++
		}
	}
	if left != 2 || r.p.Users() != 9 {
		t.Errorf("%d pairs of the user that came again, %d users", left, r.p.Users())
	}
}
