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
	s, err := openStore(dir, []byte("model\x00version"), 3)
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
	if string(b[:len(want)]) != want || len(b) != storeHeader+16+12+4 {
		t.Errorf("file of %d bytes begins with %q", len(b), b[:len(want)])
	}
	record := "\x01" + string(make([]byte, 15)) + "\x00\x00\x80\x3f\x00\x00\x00\x40\x00\x00\x40\x40"
	if got := string(b[storeHeader : storeHeader+len(record)]); got != record {
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
	if info, _ := os.Stat(storeFile(t, dir)); info.Size() != int64(storeHeader)+3*a.recordLen() {
		t.Errorf("file has %d bytes: a key was written twice", info.Size())
	}
}

func TestStoreDamage(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(b []byte) []byte
		left   int // vectors that are still there
	}{
		"torn tail":    {func(b []byte) []byte { return b[:len(b)-5] }, 2},
		"flipped bit":  {func(b []byte) []byte { b[storeHeader+20] ^= 1; return b }, 2},
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

func TestStoreLimit(t *testing.T) {
	dir := t.TempDir()
	s := openTestStore(t, dir)
	s.limit = int64(storeHeader) + s.recordLen()
	for i := range storeKeys {
		if err := s.put(storeKeys[i:i+1], storeVectors[i:i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.get(storeKeys); got[0] == nil || got[1] != nil {
		t.Errorf("a full store holds %v", got)
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
