package embed

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A segment begins with magic, the dimension and a hash of model and version. Its
// records have one size: key, vector, checksum; all numbers are little-endian.
const (
	segmentMagic  = "PSVEC\x001\n"
	segmentHeader = len(segmentMagic) + 4 + 16
	segmentEnding = ".vectors"
)

var errBeginning = errors.New("another beginning")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func header(sum [16]byte, dim int) []byte {
	return append(binary.LittleEndian.AppendUint32([]byte(segmentMagic), uint32(dim)), sum[:]...)
}

// segment is a file of records.
type segment struct {
	f      *os.File
	number uint32
	end    int64 // up to which the file is indexed
}

func openSegment(path string, number uint32, header []byte) (*segment, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	got := make([]byte, len(header))
	if _, err := f.ReadAt(got, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.Join(err, f.Close())
	}
	if !bytes.Equal(got, header) {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, errBeginning), f.Close())
	}
	return &segment{f: f, number: number, end: int64(len(header))}, nil
}

// createSegment makes a segment that readers find whole or not at all.
func createSegment(dir, name string, number uint32, header []byte) (*segment, error) {
	tmp, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return nil, err
	}
	_, err = tmp.Write(header)
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		return nil, errors.Join(err, os.Remove(tmp.Name()))
	}
	return openSegment(filepath.Join(dir, name), number, header)
}

// still says whether the segment is the file of its name.
func (g *segment) still() bool {
	there, err := os.Stat(g.f.Name())
	if err != nil {
		return false
	}
	own, err := g.f.Stat()
	return err == nil && os.SameFile(there, own) && own.Size() >= g.end
}

func (g *segment) offset(record uint32, recordLen int64) int64 {
	return int64(segmentHeader) + int64(record)*recordLen
}

// refresh tells of the whole records that were added since.
func (g *segment) refresh(recordLen int64, found func(k Key, record uint32)) error {
	info, err := g.f.Stat()
	if err != nil {
		return err
	}
	for ; g.end+recordLen <= info.Size(); g.end += recordLen {
		var k Key
		if _, err := g.f.ReadAt(k[:], g.end); err != nil {
			return err
		}
		found(k, uint32((g.end-int64(segmentHeader))/recordLen))
	}
	return nil
}

// append writes whole records behind what is indexed: a process that crashed may
// have left part of one. The caller holds the folder's lock and has just scanned.
func (g *segment) append(records []byte) error {
	info, err := g.f.Stat()
	if err != nil {
		return err
	}
	if info.Size() != g.end {
		if err := g.f.Truncate(g.end); err != nil {
			return err
		}
	}
	_, err = g.f.Write(records)
	return err
}

func appendRecord(b []byte, k Key, v []float32) []byte {
	from := len(b)
	b = append(b, k[:]...)
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[from:], castagnoli))
}

func (s *store) decode(record []byte, k Key, v *[]float32) bool {
	body := record[:len(record)-4]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(record[len(body):]) || Key(body) != k {
		return false
	}
	out := make([]float32, s.dim)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(body[len(k)+4*i:]))
	}
	*v = out
	return true
}

// file is a segment of any model.
type file struct {
	path    string
	bytes   int64
	written int64 // when it last was, ns
}

// listSegments lists the folder's segments whose names begin with prefix, the
// longest not written first. A folder that is not there has none.
func listSegments(dir, prefix string) ([]file, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var out []file
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), prefix) || !strings.HasSuffix(e.Name(), segmentEnding) {
			continue
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			out = append(out, file{filepath.Join(dir, e.Name()), info.Size(), info.ModTime().UnixNano()})
		}
	}
	slices.SortFunc(out, func(a, b file) int {
		return cmp.Or(cmp.Compare(a.written, b.written), cmp.Compare(a.path, b.path))
	})
	return out, nil
}

// locked runs f while no other process writes to the folder, which it makes if it
// is not there. A lock on a file that was deleted meanwhile locks nobody out, so
// the file is looked up again once it is locked.
func (s *store) locked(f func() error) error {
	path := filepath.Join(s.dir, "lock")
	for {
		if s.lock == nil {
			if err := os.MkdirAll(s.dir, 0o700); err != nil {
				return err
			}
			var err error
			if s.lock, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
				return err
			}
		}
		fd := int(s.lock.Fd())
		if err := unix.Flock(fd, unix.LOCK_EX); err != nil {
			return err
		}
		there, err := os.Stat(path)
		own, errOwn := s.lock.Stat()
		if err == nil && errOwn == nil && os.SameFile(there, own) {
			return errors.Join(f(), unix.Flock(fd, unix.LOCK_UN))
		}
		s.warn(fmt.Errorf("embedding cache: the folder %s was deleted and is made anew", s.dir))
		_ = s.lock.Close()
		s.lock = nil
	}
}
