package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type fixture struct {
	*testing.T
	cfg Config
	s   *Store
}

func newFixture(t *testing.T, fs vfs.FS) *fixture {
	f := &fixture{T: t, cfg: Config{Dir: "state/3", FS: fs, MemTableBytes: 64 << 10}}
	f.open()
	t.Cleanup(func() { f.must(f.s.Abandon()) })
	return f
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) open() {
	f.Helper()
	var err error
	f.s, err = Open(f.cfg)
	f.must(err)
}

func (f *fixture) commit(offset int64, pairs map[string]string, gone ...string) {
	f.Helper()
	b := f.s.Batch()
	for k, v := range pairs {
		f.must(b.Set([]byte(k), []byte(v)))
	}
	for _, k := range gone {
		f.must(b.Delete([]byte(k)))
	}
	f.must(f.s.Commit(b, Position{Topic: "state", Partition: 3, Offset: offset}))
}

func (f *fixture) all() map[string]string {
	f.Helper()
	got := map[string]string{}
	f.must(f.s.Scan([]byte{1}, []byte{255}, func(k, v []byte) (bool, error) {
		got[string(k)] = string(v)
		return true, nil
	}))
	return got
}

func (f *fixture) prefix(p string) (keys []string) {
	f.Helper()
	f.must(f.s.Prefix([]byte(p), func(k, v []byte) error {
		keys = append(keys, string(k))
		return nil
	}))
	return keys
}

// ascend is prefix by the walker.
func (f *fixture) ascend(p string) (keys []string) {
	f.Helper()
	f.must(f.s.Ascend([]byte(p), func(k, v []byte) error {
		keys = append(keys, string(k))
		return nil
	}))
	return keys
}

// TestAscendReadsLikePrefix: in whatever order, with commits in between.
func TestAscendReadsLikePrefix(t *testing.T) {
	f := newFixture(t, vfs.NewMem())
	rnd := newRand(3)
	prefix := func() string { return fmt.Sprintf("r%02d\x00", rnd.IntN(40)) }
	read := 0
	for n := range int64(2000) {
		if rnd.IntN(20) == 0 {
			f.commit(n+1, map[string]string{prefix() + "b": "1", prefix() + "d": "2"}, prefix()+"b")
		}
		first, step := rnd.IntN(40), rnd.IntN(3)
		for i := range rnd.IntN(10) {
			p := fmt.Sprintf("r%02d\x00", first+i*step)
			want, got := f.prefix(p), f.ascend(p)
			if !slices.Equal(want, got) {
				t.Fatalf("%q: %q, want %q", p, got, want)
			}
			read += len(got)
		}
	}
	if read < 1000 {
		t.Fatalf("only %d pairs were there", read)
	}
}

func TestPrefixAndScan(t *testing.T) {
	f := newFixture(t, vfs.NewMem())
	f.commit(1, map[string]string{"ra\x00b": "1", "ra\x00d1": "2", "rab\x00b": "3", "r\x01\x00b": "4", "ra\x01\x00b": "5", "m": "6", "xa\x00b": "7"})
	f.commit(2, nil, "ra\x00d1")
	for range 2 { // in memory, then from files
		for prefix, want := range map[string][]string{"ra\x00": {"ra\x00b"}, "rab\x00": {"rab\x00b"}, "r\x01\x00": {"r\x01\x00b"}, "rb\x00": nil, "xa\x00": {"xa\x00b"}} {
			if got := f.prefix(prefix); !slices.Equal(got, want) {
				t.Errorf("prefix %q: %q, want %q", prefix, got, want)
			}
		}
		var got []string
		f.must(f.s.Scan([]byte("ra"), []byte("s"), func(k, v []byte) (bool, error) {
			got = append(got, string(v))
			return len(got) < 3, nil
		}))
		if want := []string{"1", "5", "3"}; !slices.Equal(got, want) {
			t.Errorf("scan: %q, want %q", got, want)
		}
		f.must(f.s.Close())
		f.open()
	}
	if p, ok := f.s.Position(); !ok || p.Offset != 2 || p.Partition != 3 {
		t.Errorf("position %+v, %v", p, ok)
	}
	refused := errors.New("refused")
	if err := f.s.Prefix([]byte("ra\x00"), func(_, _ []byte) error { return refused }); err != refused {
		t.Errorf("prefix passes on %v", err)
	}
}

// TestCrashLeavesAnOlderPosition: whatever of the unsynced data survives a crash, the store opens with a position that
// was committed and exactly the content of it.
func TestCrashLeavesAnOlderPosition(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	crashed, moved, fresh := 0, 0, 0
	for round := range 30 {
		fs := vfs.NewCrashableMem()
		f := &fixture{T: t, cfg: Config{Dir: "state/3", FS: fs, MemTableBytes: 64 << 10}}
		f.open()
		states := []map[string]string{{}}
		var clones []*vfs.MemFS
		for n := range int64(40) {
			now := maps.Clone(states[n])
			set, gone := map[string]string{}, []string{}
			for range 1 + rnd.IntN(20) {
				k := fmt.Sprintf("u%d\x00d", rnd.IntN(30))
				if rnd.IntN(3) == 0 {
					gone = append(gone, k)
					delete(set, k)
				} else {
					set[k] = strings.Repeat(string(rune('a'+n%26)), 1+rnd.IntN(3000))
				}
			}
			for _, k := range gone {
				delete(now, k)
				delete(set, k)
			}
			maps.Copy(now, set)
			f.commit(n+1, set, gone...)
			states = append(states, now)
			if rnd.IntN(8) == 0 {
				clones = append(clones, fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rnd.IntN(101), RNG: newRand(uint64(round))}))
			}
		}
		f.must(f.s.Abandon())
		for _, fs := range clones {
			after := &fixture{T: t, cfg: Config{Dir: "state/3", FS: fs, MemTableBytes: 64 << 10}}
			s, err := Open(after.cfg)
			if err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			after.s = s
			crashed++
			p, ok := s.Position()
			if !ok {
				fresh++
			} else if p.Offset > 1 {
				moved++
			}
			if got := after.all(); !maps.Equal(got, states[p.Offset]) {
				t.Errorf("round %d: at position %d the store holds %d pairs, want %d", round, p.Offset, len(got), len(states[p.Offset]))
			}
			after.must(s.Close())
		}
	}
	if crashed < 50 || moved < 20 || fresh < 5 {
		t.Fatalf("%d crashes, %d of them with a flushed position, %d before the first", crashed, moved, fresh)
	}
}

// TestHalfFilledStoreIsEmptied: what was filled without a position is not mistaken for state.
func TestHalfFilledStoreIsEmptied(t *testing.T) {
	f := newFixture(t, vfs.NewMem())
	b := f.s.Batch()
	f.must(b.Set([]byte("ra\x00b"), []byte("1")))
	f.must(f.s.Fill(b))
	f.must(f.s.Close())
	f.open()
	if got := f.all(); len(got) > 0 {
		t.Errorf("holds %v", got)
	}
	if _, ok := f.s.Position(); ok {
		t.Error("has a position")
	}
}

func TestOneHolder(t *testing.T) {
	f := newFixture(t, vfs.NewMem())
	if _, err := Open(f.cfg); !errors.Is(err, ErrInUse) {
		t.Fatalf("a second holder: %v", err)
	}
}

// TestDamageIsNoticed: a store whose files are damaged is refused at once or when it is read, never misread.
func TestDamageIsNoticed(t *testing.T) {
	fs := vfs.NewMem()
	f := newFixture(t, fs)
	f.commit(1, map[string]string{"ra\x00b": strings.Repeat("x", 5000)})
	f.must(f.s.Close())
	names, err := fs.List(f.cfg.Dir)
	f.must(err)
	tables := 0
	for _, n := range names {
		if strings.HasSuffix(n, ".sst") {
			tables++
			data, err := fs.UnsafeGetFileDataBuffer(fs.PathJoin(f.cfg.Dir, n))
			f.must(err)
			for i := range data {
				data[i] ^= 0x55
			}
		}
	}
	if tables == 0 {
		t.Fatal("no files to damage")
	}
	s, err := Open(f.cfg)
	if err == nil {
		err = errors.Join(s.Prefix([]byte("ra\x00"), func(_, _ []byte) error { return errors.New("misread") }), s.Abandon())
	}
	if err == nil || strings.Contains(err.Error(), "misread") {
		t.Fatalf("a damaged store: %v", err)
	}
	f.must(Remove(f.cfg))
	f.open()
	if len(f.all()) > 0 {
		t.Error("a removed store holds something")
	}
}

// secret is a text that compression leaves as it is.
func secret(i int) string {
	b := make([]byte, 64)
	rnd := newRand(uint64(i))
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return string(b)
}

// TestPurgeLeavesNothing: no table holds a key that was deleted and purged.
func TestPurgeLeavesNothing(t *testing.T) {
	fs := vfs.NewMem()
	f := newFixture(t, fs)
	pairs := map[string]string{}
	for i := range 500 {
		pairs[fmt.Sprintf("ruser-%03d\x00b", i)] = secret(i)
	}
	f.commit(1, pairs)
	f.must(f.s.db.Flush())
	holds := func(what string) bool {
		names, err := fs.List(f.cfg.Dir)
		f.must(err)
		for _, n := range names {
			if data, err := fs.UnsafeGetFileDataBuffer(fs.PathJoin(f.cfg.Dir, n)); err == nil && strings.HasSuffix(n, ".sst") && bytes.Contains(data, []byte(what)) {
				return true
			}
		}
		return false
	}
	f.commit(2, nil, "ruser-123\x00b")
	f.must(f.s.Purge(context.Background(), [][]byte{[]byte("ruser-123\x00")}))
	if got := len(f.all()); got != 499 {
		t.Fatalf("%d pairs are left", got)
	}
	f.must(f.s.Close()) // waits for the removal of files
	f.open()
	if !holds(secret(124)) {
		t.Fatal("the search finds nothing at all")
	}
	if holds(secret(123)) {
		t.Error("a file still holds what was purged")
	}
}
