package embed

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sync/errgroup"
)

func openTestStore(t *testing.T, dir string) *store {
	t.Helper()
	s, err := openStore(dir, []byte("model\x00version"), 3, 1<<20, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.close() })
	return s
}

func storeFile(t *testing.T, dir string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*.vectors"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	return found[0]
}

var (
	storeKeys    = []Key{{1}, {2}, {3}}
	storeVectors = [][]float32{{1, 2, 3}, {4, 5, 6}, {7, 8, 9}}
)

func TestStoreGoldenBytes(t *testing.T) {
	dir := t.TempDir()
	s := openTestStore(t, dir)
	if err := s.put(storeKeys[:1], storeVectors[:1]); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(storeFile(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	want := "PSVEC\x001\n\x03\x00\x00\x00"
	if string(b[:len(want)]) != want || len(b) != segmentHeader+16+12+4 {
		t.Errorf("file of %d bytes begins with %q", len(b), b[:len(want)])
	}
	record := "\x01" + string(make([]byte, 15)) + "\x00\x00\x80\x3f\x00\x00\x00\x40\x00\x00\x40\x40"
	if got := string(b[segmentHeader : segmentHeader+len(record)]); got != record {
		t.Errorf("record %x, want %x", got, record)
	}
}

func TestStoreIsSharedAndSurvives(t *testing.T) {
	dir := t.TempDir()
	a, b := openTestStore(t, dir), openTestStore(t, dir)
	if err := a.put(storeKeys[:2], storeVectors[:2]); err != nil {
		t.Fatal(err)
	}
	if err := b.put(storeKeys, storeVectors); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*store{"first": a, "second": b, "opened later": openTestStore(t, dir)} {
		for i, v := range s.get(storeKeys) {
			if !slices.Equal(v, storeVectors[i]) {
				t.Errorf("%s: key %d has %v", name, i, v)
			}
		}
	}
	if info, _ := os.Stat(storeFile(t, dir)); info.Size() != int64(segmentHeader)+3*a.recordLen() {
		t.Errorf("file has %d bytes: a key was written twice", info.Size())
	}
}

func TestStoreDamage(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(b []byte) []byte
		left   int // vectors that are still there
	}{
		"torn tail":    {func(b []byte) []byte { return b[:len(b)-5] }, 2},
		"flipped bit":  {func(b []byte) []byte { b[segmentHeader+20] ^= 1; return b }, 2},
		"other format": {func(b []byte) []byte { b[0] = 'X'; return b }, 0},
		"cut header":   {func(b []byte) []byte { return b[:10] }, 0},
		"empty":        {func([]byte) []byte { return nil }, 0},
		"garbage tail": {func(b []byte) []byte { return append(b, "garbage"...) }, 3},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := openTestStore(t, dir).put(storeKeys, storeVectors); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(storeFile(t, dir))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(storeFile(t, dir), c.damage(b), 0o600); err != nil {
				t.Fatal(err)
			}
			s := openTestStore(t, dir)
			left := 0
			for i, v := range s.get(storeKeys) {
				if v != nil {
					left++
					if !slices.Equal(v, storeVectors[i]) {
						t.Errorf("key %d has %v", i, v)
					}
				}
			}
			if left != c.left {
				t.Errorf("%d vectors are left, want %d", left, c.left)
			}
			if err := s.put(storeKeys, storeVectors); err != nil {
				t.Fatal(err)
			}
			for i, v := range openTestStore(t, dir).get(storeKeys) {
				if !slices.Equal(v, storeVectors[i]) {
					t.Errorf("after the repair key %d has %v", i, v)
				}
			}
		})
	}
}

// TestStoreEvictsTheOldest fills a folder many times over: it stays within its
// limit, what was put last is there, what was put first is not, and a folder that
// another model has filled makes room.
func TestStoreEvictsTheOldest(t *testing.T) {
	dir := t.TempDir()
	s := openTestStore(t, dir)
	record := s.recordLen()
	s.limit = segmentsInFolder * (int64(segmentHeader) + 10*record)
	other, err := openStore(dir, []byte("other"), 3, s.limit, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.close() }()
	key := func(i int) Key { return Key{byte(i), byte(i >> 8), 1} }
	fill := func(s *store, from, n int) {
		t.Helper()
		for i := from; i < from+n; i += 7 {
			var keys []Key
			var vectors [][]float32
			for k := i; k < i+7; k++ {
				keys, vectors = append(keys, key(k)), append(vectors, []float32{float32(k), 0, 0})
			}
			if err := s.put(keys, vectors); err != nil {
				t.Fatal(err)
			}
			if all, err := listSegments(dir, ""); err != nil || folderBytes(all) > s.limit {
				t.Fatalf("the folder has %d bytes, its limit is %d; %v", folderBytes(all), s.limit, err)
			}
		}
	}
	held := func(s *store, n int) (out []int) {
		for i := range n {
			if v := s.get([]Key{key(i)})[0]; v != nil {
				if v[0] != float32(i) {
					t.Fatalf("key %d has %v", i, v)
				}
				out = append(out, i)
			}
		}
		return out
	}
	fill(other, 0, 700)
	fill(s, 0, 700)
	got := held(s, 700)
	if len(got) < 60 || len(got) > 80 || got[len(got)-1] != 699 || got[0] != 700-len(got) {
		t.Errorf("%d vectors are left, from %d to %d", len(got), got[0], got[len(got)-1])
	}
	if left := held(other, 700); len(left) != 0 {
		t.Errorf("%d vectors of the model that rests are left", len(left))
	}
}

func folderBytes(all []file) (n int64) {
	for _, f := range all {
		n += f.bytes
	}
	return n
}

// TestFolderIsDeletedAtWork deletes the folder, then a file of it, under two
// processes: both work on, and share again what comes after.
func TestFolderIsDeletedAtWork(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "vectors")
	var warned []error
	a := openTestStore(t, dir)
	a.warn = func(err error) { warned = append(warned, err) }
	b := openTestStore(t, dir)
	for name, remove := range map[string]func() error{
		"the folder": func() error { return os.RemoveAll(dir) },
		"a file":     func() error { return os.Remove(storeFile(t, dir)) },
	} {
		if err := a.put(storeKeys, storeVectors); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := remove(); err != nil {
			t.Fatal(err)
		}
		for _, s := range []*store{a, b} {
			if v := s.get(storeKeys)[0]; v != nil {
				t.Errorf("%s is gone and gave %v", name, v)
			}
		}
		if err := a.put(storeKeys[:1], storeVectors[:1]); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := b.put(storeKeys[1:], storeVectors[1:]); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i, v := range a.get(storeKeys) {
			if !slices.Equal(v, storeVectors[i]) {
				t.Errorf("after %s went key %d has %v", name, i, v)
			}
		}
	}
	if len(warned) != 1 {
		t.Errorf("warnings: %v", warned)
	}
}

// TestUnusableFolderIsNoError: the embedder works in memory and says so.
func TestUnusableFolderIsNoError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var warned []error
	e := newTest(t, Config{Model: "m", CacheMiB: 1, CacheDir: file, Warn: func(err error) { warned = append(warned, err) }}, &recorder{})
	if _, err := e.Embed(t.Context(), []string{"a"}); err != nil || len(warned) != 1 {
		t.Errorf("%v; warnings: %v", err, warned)
	}
}

func TestStoreManyWriters(t *testing.T) {
	dir := t.TempDir()
	var g errgroup.Group
	for w := range 4 {
		s := openTestStore(t, dir)
		g.Go(func() error {
			for i := range 50 {
				if err := s.put([]Key{{byte(w), byte(i)}}, [][]float32{{float32(w), float32(i), 0}}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	s := openTestStore(t, dir)
	for w := range 4 {
		for i := range 50 {
			if v := s.get([]Key{{byte(w), byte(i)}})[0]; !slices.Equal(v, []float32{float32(w), float32(i), 0}) {
				t.Fatalf("writer %d, record %d: %v", w, i, v)
			}
		}
	}
}

func TestEmbedderUsesTheDisk(t *testing.T) {
	cfg := Config{Model: "m", CacheMiB: 1, CacheDir: t.TempDir()}
	first, enc := newTest(t, cfg, &recorder{}), &recorder{}
	texts := []string{"a", "bb", "a"}
	want, err := first.Embed(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	second := newTest(t, cfg, enc)
	got, err := second.Embed(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	for i := range texts {
		if !slices.Equal(got[i], want[i]) {
			t.Errorf("text %d: %v, want %v", i, got[i], want[i])
		}
	}
	if s := second.Stats(); len(enc.batches) != 0 || s.DiskHits != 2 || s.Misses != 0 {
		t.Errorf("stats %+v after %d batches", s, len(enc.batches))
	}
	for _, e := range []*Embedder{first, second} {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}

func FuzzStoreRecord(f *testing.F) {
	s := &store{dim: 3}
	f.Add(appendRecord(nil, storeKeys[0], storeVectors[0]))
	f.Fuzz(func(t *testing.T, b []byte) {
		if int64(len(b)) != s.recordLen() {
			return
		}
		var v []float32
		if s.decode(b, Key(b), &v) && string(appendRecord(nil, Key(b), v)) != string(b) {
			t.Error("a record does not repeat its bytes")
		}
	})
}
