package embed

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"sync"

	"github.com/zeebo/xxh3"
	"golang.org/x/sys/unix"
)

// store keeps vectors on disk between runs, in one file a model, encoder version and
// dimension. Processes may share it: records have one size and are appended whole under
// a lock of the file; each carries its checksum, so a torn one is a miss, and the next
// writer cuts it off.
type store struct {
	f      *os.File
	dim    int
	limit  int64
	mu     sync.Mutex
	index  map[Key]int64 // offset of the record
	end    int64         // up to which the file is indexed
	broken uint64        // records with a wrong checksum, or that could not be read
}

// The file begins with magic, the dimension and a hash of model and version.
const (
	storeMagic  = "PSVEC\x001\n"
	storeHeader = len(storeMagic) + 4 + 16
)

// storeLimit bounds a file: above it nothing is added, and the next process to open it
// begins anew. A vector can always be computed again.
const storeLimit = 4 << 30

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (s *store) recordLen() int64 { return int64(len(Key{}) + 4*s.dim + 4) }

// openStore opens or creates the file of salt in dir.
func openStore(dir string, salt []byte, dim int) (*store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening embedding cache: %w", err)
	}
	sum := xxh3.Hash128(salt).Bytes()
	header := append([]byte(storeMagic), binary.LittleEndian.AppendUint32(nil, uint32(dim))...)
	header = append(header, sum[:]...)
	path := filepath.Join(dir, hex.EncodeToString(sum[:])+fmt.Sprintf("-%d.vectors", dim))
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening embedding cache: %w", err)
	}
	s := &store{f: f, dim: dim, limit: storeLimit, index: map[Key]int64{}, end: int64(storeHeader)}
	if err := s.locked(func() error { return s.begin(header) }); err != nil {
		return nil, errors.Join(fmt.Errorf("opening embedding cache %s: %w", path, err), f.Close())
	}
	return s, nil
}

// begin checks the header, starting anew where the file is empty, torn, of another
// format or full, and indexes what is there.
func (s *store) begin(header []byte) error {
	got := make([]byte, len(header))
	_, err := s.f.ReadAt(got, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	info, err := s.f.Stat()
	if err != nil {
		return err
	}
	if !bytes.Equal(got, header) || info.Size() >= s.limit {
		if err := s.f.Truncate(0); err != nil {
			return err
		}
		if _, err := s.f.Write(header); err != nil {
			return err
		}
	}
	return s.refresh()
}

// locked runs f while no other process writes.
func (s *store) locked(f func() error) error {
	fd := int(s.f.Fd())
	if err := unix.Flock(fd, unix.LOCK_EX); err != nil {
		return err
	}
	return errors.Join(f(), unix.Flock(fd, unix.LOCK_UN))
}

// refresh indexes whole records that were added since; the caller holds mu or is alone.
func (s *store) refresh() error {
	info, err := s.f.Stat()
	if err != nil {
		return err
	}
	if info.Size() < s.end { // another process began anew
		clear(s.index)
		s.end = int64(storeHeader)
	}
	n := s.recordLen()
	for ; s.end+n <= info.Size(); s.end += n {
		var k Key
		if _, err := s.f.ReadAt(k[:], s.end); err != nil {
			return err
		}
		s.index[k] = s.end
	}
	return nil
}

// get looks keys up; what is not there, or not whole, stays nil. It never fails: a
// cache that cannot be read costs an encoding.
func (s *store) get(keys []Key) [][]float32 {
	out := make([][]float32, len(keys))
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refresh(); err != nil {
		s.broken++
		return out
	}
	buf := make([]byte, s.recordLen())
	for i, k := range keys {
		at, ok := s.index[k]
		if !ok {
			continue
		}
		if _, err := s.f.ReadAt(buf, at); err != nil || !s.decode(buf, k, &out[i]) {
			s.broken++
			delete(s.index, k)
		}
	}
	return out
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

// put appends vectors. Errors are for the log; the vectors are not kept then.
func (s *store) put(keys []Key, vectors [][]float32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.locked(func() error {
		if err := s.refresh(); err != nil {
			return err
		}
		if s.end >= s.limit {
			return nil
		}
		// A crash of another process may have left part of a record.
		if info, err := s.f.Stat(); err != nil {
			return err
		} else if info.Size() != s.end {
			if err := s.f.Truncate(s.end); err != nil {
				return err
			}
		}
		var b []byte
		for i, k := range keys {
			if _, ok := s.index[k]; !ok {
				b = appendRecord(b, k, vectors[i])
			}
		}
		if len(b) == 0 {
			return nil
		}
		if _, err := s.f.Write(b); err != nil {
			return err
		}
		return s.refresh()
	})
	if err != nil {
		return fmt.Errorf("adding to embedding cache: %w", err)
	}
	return nil
}

func appendRecord(b []byte, k Key, v []float32) []byte {
	from := len(b)
	b = append(b, k[:]...)
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[from:], castagnoli))
}

func (s *store) close() error { return s.f.Close() }

func (s *store) brokenRecords() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken
}
