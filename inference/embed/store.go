package embed

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/zeebo/xxh3"
)

// store keeps vectors on disk between runs: a folder of segments, each of one
// model, encoder version and dimension. Processes may share the folder. What is
// added is appended to the newest segment under a lock of the folder; readers need
// no lock. The folder's size is bounded: the oldest segment, of whatever model, is
// deleted to make room.
//
// Nothing in it is needed: a segment, or the whole folder, may be deleted at any
// time, also while processes work with it, and what is damaged is deleted by the
// next one to write. A vector can always be computed again.
type store struct {
	dir, prefix string
	header      []byte
	dim         int
	limit       int64           // bytes of the folder
	warn        func(err error) // told of what was wrong and is mended

	mu       sync.Mutex
	lock     *os.File
	segments []*segment // rising numbers
	index    map[Key]place
	bad      map[string]bool // segments with another beginning, by path
	broken   uint64          // records with a wrong checksum, or that could not be read
}

// place is where a record lies: the number of its segment, and its own there.
type place struct{ segment, record uint32 }

// segmentsInFolder is how many segments fill the folder: an eviction drops about
// so small a part of it.
const segmentsInFolder = 8

// openStore opens or creates the folder for vectors of salt.
func openStore(dir string, salt []byte, dim int, limit int64, warn func(error)) (*store, error) {
	sum := xxh3.Hash128(salt).Bytes()
	if warn == nil {
		warn = func(error) {}
	}
	s := &store{
		dir: dir, prefix: fmt.Sprintf("%s-%d-", hex.EncodeToString(sum[:]), dim), header: header(sum, dim), dim: dim,
		limit: limit, warn: warn, index: map[Key]place{}, bad: map[string]bool{},
	}
	err := s.locked(func() error {
		if err := s.scan(); err != nil {
			return err
		}
		s.removeBad()
		return nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening embedding cache %s: %w", dir, err), s.close())
	}
	return s, nil
}

func (s *store) recordLen() int64 { return int64(len(Key{}) + 4*s.dim + 4) }

// scan takes up what others have added and lets go of what was deleted.
func (s *store) scan() error {
	files, err := listSegments(s.dir, s.prefix)
	if err != nil {
		return err
	}
	s.segments = slices.DeleteFunc(s.segments, func(g *segment) bool {
		gone := !g.still()
		if gone {
			s.forget(g)
		}
		return gone
	})
	for _, f := range files {
		var n uint32
		name := f.path
		if _, err := fmt.Sscanf(filepath.Base(name)[len(s.prefix):], "%08d", &n); err != nil || s.segment(n) != nil || s.bad[name] {
			continue
		}
		g, err := openSegment(name, n, s.header)
		switch {
		case errors.Is(err, fs.ErrNotExist): // deleted meanwhile
		case errors.Is(err, errBeginning):
			s.bad[name] = true
		case err != nil:
			return err
		default:
			s.segments = append(s.segments, g)
		}
	}
	slices.SortFunc(s.segments, func(a, b *segment) int { return int(a.number) - int(b.number) })
	for _, g := range s.segments {
		if err := s.refresh(g); err != nil {
			return err
		}
	}
	return nil
}

func (s *store) refresh(g *segment) error {
	return g.refresh(s.recordLen(), func(k Key, record uint32) { s.index[k] = place{g.number, record} })
}

func (s *store) segment(number uint32) *segment {
	for _, g := range s.segments {
		if g.number == number {
			return g
		}
	}
	return nil
}

// forget closes a segment that is not in the folder any more.
func (s *store) forget(g *segment) {
	for k, p := range s.index {
		if p.segment == g.number {
			delete(s.index, k)
		}
	}
	_ = g.f.Close()
}

// removeBad deletes segments that are none; the caller holds the lock.
func (s *store) removeBad() {
	for name := range s.bad {
		s.warn(fmt.Errorf("embedding cache: %s is damaged and was deleted", name))
		_ = os.Remove(name)
		delete(s.bad, name)
	}
}

// get looks keys up; what is not there, or not whole, stays nil. It never fails: a
// cache that cannot be read costs an encoding.
func (s *store) get(keys []Key) [][]float32 {
	out := make([][]float32, len(keys))
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.scan(); err != nil {
		s.broken++
		return out
	}
	buf := make([]byte, s.recordLen())
	for i, k := range keys {
		p, ok := s.index[k]
		if !ok {
			continue
		}
		g := s.segment(p.segment)
		if _, err := g.f.ReadAt(buf, g.offset(p.record, s.recordLen())); err != nil || !s.decode(buf, k, &out[i]) {
			if s.broken == 0 {
				s.warn(fmt.Errorf("embedding cache: a record of %s is damaged, its text is encoded again", g.f.Name()))
			}
			s.broken++
			delete(s.index, k)
		}
	}
	return out
}

// put appends vectors. Errors are for the log; the vectors are not kept then.
func (s *store) put(keys []Key, vectors [][]float32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.locked(func() error {
		if err := s.scan(); err != nil {
			return err
		}
		s.removeBad()
		var b []byte
		for i, k := range keys {
			if _, ok := s.index[k]; !ok {
				b = appendRecord(b, k, vectors[i])
			}
		}
		for len(b) > 0 {
			n, err := s.append(b)
			if err != nil {
				return err
			}
			b = b[n:]
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("adding to embedding cache %s: %w", s.dir, err)
	}
	return nil
}

// append writes as many records as the newest segment has room for.
func (s *store) append(records []byte) (n int, err error) {
	most := max(s.limit/segmentsInFolder, int64(len(s.header))+s.recordLen())
	var g *segment
	if len(s.segments) > 0 {
		g = s.segments[len(s.segments)-1]
		if g.end+s.recordLen() > most {
			g = nil
		}
	}
	if g == nil {
		number := uint32(1)
		if len(s.segments) > 0 {
			number = s.segments[len(s.segments)-1].number + 1
		}
		if g, err = createSegment(s.dir, fmt.Sprintf("%s%08d%s", s.prefix, number, segmentEnding), number, s.header); err != nil {
			return 0, err
		}
		s.segments = append(s.segments, g)
	}
	room := (most - g.end) / s.recordLen() * s.recordLen()
	n = int(min(room, int64(len(records))))
	if err := s.makeRoom(int64(n), g.f.Name()); err != nil {
		return 0, err
	}
	if err := g.append(records[:n]); err != nil {
		return 0, err
	}
	return n, s.refresh(g)
}

// makeRoom deletes the oldest segments until n more bytes keep the folder within
// its limit.
func (s *store) makeRoom(n int64, keep string) error {
	all, err := listSegments(s.dir, "")
	if err != nil {
		return err
	}
	total := n
	for _, f := range all {
		total += f.bytes
	}
	for _, f := range all {
		if total <= s.limit {
			break
		}
		if f.path == keep {
			continue
		}
		if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		total -= f.bytes
	}
	return nil
}

func (s *store) close() error {
	var err error
	for _, g := range s.segments {
		err = errors.Join(err, g.f.Close())
	}
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	return err
}

// size is the bytes of the segments at work, and the records that were damaged.
func (s *store) size() (bytes int64, broken uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.segments {
		bytes += g.end
	}
	return bytes, s.broken
}
