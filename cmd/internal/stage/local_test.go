package stage

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"profilestream/cmd/internal/config"
	"profilestream/profile"
	"profilestream/stream"
	"profilestream/stream/wire"
)

// withStore gives a rig a folder for local stores.
func withStore(t *testing.T) func(*config.Config) {
	dir := t.TempDir()
	return func(c *config.Config) { c.Profile.StateDir, c.Profile.StateCacheMiB = dir, 16 }
}

// crash ends an owner as kill -9 does: what its store has not flushed is gone.
func (r *rig) crash(w *windowing) {
	r.t.Helper()
	r.must(w.store.Abandon())
	r.local.owned.Add(-1)
}

// damage flips bytes of all tables of a partition's store.
func (r *rig) damage(p int32) {
	r.t.Helper()
	files, err := filepath.Glob(filepath.Join(r.local.storeConfig(p).Dir, "*.sst"))
	r.must(err)
	if len(files) == 0 {
		r.t.Fatal("the store has no tables")
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		r.must(err)
		for i := range data {
			data[i] ^= 0x5a
		}
		r.must(os.WriteFile(f, data, 0o600))
	}
}

func (r *rig) recreate(topic string) {
	r.t.Helper()
	r.must(r.c.DeleteTopics(r.ctx(), topic))
	r.must(CreateTopics(r.ctx(), r.env.Config, r.c))
}

// TestTakeoverWithALocalStore: however an owner leaves its store, the next one has
// the state that the topic says, from where it should, and the rows are those of
// an undisturbed run without stores.
func TestTakeoverWithALocalStore(t *testing.T) {
	whole := newRig(t, shortLateness)
	whole.log(4, func(int) {})
	finish := func(r *rig) {
		for p := range int32(2) {
			w, next := r.owner(p)
			r.work(w, next)
			_, err := w.Finish(r.ctx(), stream.Drained)
			r.must(err)
			r.must(w.Close())
		}
	}
	finish(whole)
	for name, c := range map[string]struct {
		leave   func(*rig, *windowing) // after the second piece
		from    string
		records bool // of the topic are read
		anew    bool // the log is read from its beginning
	}{
		"in step": {leave: func(r *rig, w *windowing) { r.must(w.Close()) }, from: "store"},
		"behind":  {leave: func(r *rig, w *windowing) { r.crash(w) }, from: "store", records: true},
		"without a checkpoint": {leave: func(r *rig, w *windowing) {
			w.state.TouchAll()
			r.must(w.emitLive(r.ctx()))
			r.must(w.Close())
		}, from: "store"},
		"ahead": {leave: func(r *rig, w *windowing) {
			r.must(w.Close())
			r.recreate(r.env.Config.Topics().State)
		}, from: "topic", anew: true},
		"damaged": {leave: func(r *rig, w *windowing) {
			r.must(w.Close())
			r.damage(w.partition)
		}, from: "topic", records: true},
		"of another cluster": {leave: func(r *rig, w *windowing) {
			r.must(w.Close())
			r.local.cluster += ", another one"
		}, from: "topic", records: true},
		"unreadable while at work": {leave: func(r *rig, w *windowing) {
			err := profile.ErrStore
			w.noteSpoilt(&err)
			r.must(w.Close())
		}, from: "topic", records: true},
		"lost": {leave: func(r *rig, w *windowing) {
			r.must(w.Close())
			r.must(os.RemoveAll(r.env.Config.Profile.StateDir))
		}, from: "topic", records: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, shortLateness, withStore(t))
			r.log(4, func(piece int) {
				for p := range int32(2) {
					w, next := r.owner(p)
					if piece == 2 && (w.came.from != c.from || (w.came.records > 0) != c.records || (next == 0) != c.anew) {
						t.Errorf("%d records from the %s, then the log from %d", w.came.records, w.came.from, next)
					}
					r.work(w, next)
					_, err := w.checkpoint(r.ctx())
					r.must(err)
					if piece == 1 {
						c.leave(r, w)
					} else {
						r.must(w.Close())
					}
				}
			})
			finish(r)
			byDigest := cmp.Comparer(func(a, b seenRow) bool { return a.digest == b.digest })
			want, n := whole.rows(whole.env.Config.Topics().Days)
			got, _ := r.rows(r.env.Config.Topics().Days)
			if d := cmp.Diff(want, got, byDigest); d != "" || n < 39 {
				t.Errorf("%d day rows: %s", n, d)
			}
			if d := cmp.Diff(whole.lastLive(), r.lastLive(), byDigest); d != "" {
				t.Errorf("live rows: %s", d)
			}
		})
	}
}

// TestTakeoverFromARecreatedTopic: a topic that holds something else where the
// store's marker was makes the store useless, and must make sense by itself.
func TestTakeoverFromARecreatedTopic(t *testing.T) {
	r := newRig(t, withStore(t))
	r.log(1, func(int) {})
	w, next := r.owner(0)
	r.work(w, next)
	_, err := w.checkpoint(r.ctx())
	r.must(err)
	pos, _ := w.store.Position()
	r.must(w.Close())
	topic := r.env.Config.Topics().State
	r.recreate(topic)
	b := new(wire.Builder)
	for range pos.Offset + 2 {
		b.Add(1, []byte("bgone"), nil)
	}
	_, err = r.c.NewProducer(topic, 0, wire.ProducerConfig{}).Append(r.ctx(), b)
	r.must(err)
	if _, _, err := r.takeOver(0); !errors.Is(err, profile.ErrStateCorrupt) {
		t.Fatalf("a topic without a marker: %v", err)
	}
	r.recreate(topic)
	w, next = r.owner(0)
	if next != 0 || w.came.from != "topic" || w.state.Users() != 0 {
		t.Fatalf("from the %s, %d users, the log from %d", w.came.from, w.state.Users(), next)
	}
	r.must(w.Close())
}

// TestTakeoverRefusesNewerState: with or without a store, and without removing
// anything that the newer program needs.
func TestTakeoverRefusesNewerState(t *testing.T) {
	for name, edit := range map[string]func(*config.Config){"in memory": func(*config.Config) {}, "with a store": withStore(t)} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, edit)
			r.log(1, func(int) {})
			w, next := r.owner(0)
			r.work(w, next)
			_, err := w.checkpoint(r.ctx())
			r.must(err)
			r.must(w.Close())
			newer := []byte{profile.StateVersion + 1, 1, 2, 3}
			newer = binary.LittleEndian.AppendUint32(newer, crc32.Checksum(newer, castagnoli))
			b := new(wire.Builder)
			b.Add(1, []byte("bann"), newer)
			_, err = r.c.NewProducer(r.env.Config.Topics().State, 0, wire.ProducerConfig{}).Append(r.ctx(), b)
			r.must(err)
			for range 2 {
				_, _, err = r.takeOver(0)
				if !errors.Is(err, profile.ErrStateVersion) || !strings.Contains(err.Error(), "a newer one wrote it") {
					t.Fatalf("newer state: %v", err)
				}
			}
		})
	}
}

func TestOneProcessAFolder(t *testing.T) {
	r := newRig(t, withStore(t))
	r.log(1, func(int) {})
	w, _ := r.owner(0)
	var wrong *config.Error
	if _, _, err := r.takeOver(0); !errors.As(err, &wrong) || wrong.Key != "profile.state_dir" {
		t.Fatalf("a second holder: %v", err)
	}
	r.must(w.Close())
	w, _ = r.owner(0)
	r.must(w.Close())
	if n := r.local.owned.Load(); n != 0 {
		t.Fatalf("%d partitions are owned", n)
	}
}

// TestErasureCleansTheFiles: after the checkpoint that holds an erasure, no table
// of the store holds the user.
func TestErasureCleansTheFiles(t *testing.T) {
	const user = "erasure-candidate-1"
	r := newRig(t, withStore(t), func(c *config.Config) { c.Log.Partitions = 1 })
	a := r.admission(nil)
	for i := range 20 {
		r.send(clicks, view("e", strings.Replace(user, "1", string(rune('a'+i)), 1), day0))
	}
	r.send(clicks, view("1", user, day0), view("2", user, day0.Add(26*time.Hour)))
	r.admit(a)
	_, err := a.Flush(r.ctx())
	r.must(err)
	r.must(a.Close())
	found := func(what string) (n int) {
		files, err := filepath.Glob(filepath.Join(r.local.storeConfig(0).Dir, "*.sst"))
		r.must(err)
		for _, f := range files {
			data, err := os.ReadFile(f)
			r.must(err)
			n += strings.Count(string(data), what)
		}
		return n
	}
	w, next := r.owner(0)
	next = r.work(w, next)
	_, err = w.checkpoint(r.ctx())
	r.must(err)
	r.must(w.Close())
	if found(user) == 0 {
		t.Fatal("the search finds nothing at all")
	}
	b := new(wire.Builder)
	b.Add(1, []byte(user), profile.AppendErase(nil, &profile.Erase{User: []byte(user)}))
	events := r.env.Config.Topics().Events
	_, err = r.c.NewProducer(events, 0, wire.ProducerConfig{}).Append(r.ctx(), b)
	r.must(err)
	w, _ = r.owner(0)
	users := w.state.Users()
	r.work(w, next)
	_, err = w.checkpoint(r.ctx())
	r.must(err)
	if w.state.Users() != users-1 {
		t.Fatalf("%d users, before %d", w.state.Users(), users)
	}
	r.must(w.Close())
	if n := found(user); n > 0 {
		t.Errorf("%d places in tables still name the user", n)
	}
}
