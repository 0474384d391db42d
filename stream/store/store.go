package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrInUse means that another process, or this one, holds the store's directory.
var ErrInUse = errors.New("the local store is in use")

// ErrDamaged means that the store's files are not what was written: Remove it.
var ErrDamaged = errors.New("the local store is damaged")

// Config says where a store is and what it may take.
type Config struct {
	Dir           string
	FS            vfs.FS       // nil: the disk
	Cache         *Cache       // of blocks, shared by the stores of a process
	MemTableBytes int          // 16 MiB; two of them may be in memory
	Log           *slog.Logger // nil: none
}

const (
	defaultMemTable = 16 << 20
	blockBytes      = 8 << 10
	filterBits      = 10      // a key prefix
	manifestBytes   = 1 << 20 // a manifest names keys: bounds of files that are gone
)

// positionKey sorts before all keys that callers use: those must not begin with a NUL.
var positionKey = []byte("\x00position")

// Store is one open store. It belongs to one goroutine.
type Store struct {
	cfg      Config
	db       *pebble.DB
	lock     *pebble.Lock
	position Position
	placed   bool
	damaged  atomic.Pointer[error] // what pebble found in the background
	seeker   *pebble.Iterator      // of Prefix; nil after a commit
	walker   *pebble.Iterator      // of Ascend; likewise
	walked   []byte                // prefix that the walker stands behind
}

// Cache is memory for blocks of files.
type Cache = pebble.Cache

// NewCache makes a cache of blocks, outside Go's heap. Unref it once its stores are closed.
func NewCache(size int) *Cache {
	boundMalloc()
	return pebble.NewCache(int64(size))
}

// Open opens a store, or makes an empty one. Errors other than ErrInUse say that what is there is damaged: Remove it.
func Open(cfg Config) (*Store, error) {
	if cfg.FS == nil {
		cfg.FS = vfs.Default
	}
	if err := cfg.FS.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInUse, err) // not damaged: nothing to remove
	}
	lock, err := pebble.LockDirectory(cfg.Dir, cfg.FS)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrInUse, cfg.Dir, err)
	}
	s := &Store{cfg: cfg, lock: lock}
	if s.db, err = pebble.Open(cfg.Dir, s.options(&cfg)); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the local store %s: %w", cfg.Dir, err), lock.Close())
	}
	if err := s.readPosition(); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the local store %s: %w", cfg.Dir, err), s.Abandon())
	}
	return s, nil
}

// Remove deletes a store that is not open.
func Remove(cfg Config) error {
	if cfg.FS == nil {
		cfg.FS = vfs.Default
	}
	return cfg.FS.RemoveAll(cfg.Dir)
}

func (s *Store) options(cfg *Config) *pebble.Options {
	if cfg.MemTableBytes == 0 {
		cfg.MemTableBytes = defaultMemTable
	}
	o := &pebble.Options{
		FS: cfg.FS, Lock: s.lock, Cache: cfg.Cache, Comparer: comparer, DisableWAL: true,
		MemTableSize:                uint64(cfg.MemTableBytes),
		MemTableStopWritesThreshold: 3,
		MaxManifestFileSize:         manifestBytes,
		FormatMajorVersion:          pebble.FormatNewest,
		Logger:                      logger{cfg.Log},
		EventListener: &pebble.EventListener{DataCorruption: func(info pebble.DataCorruptionInfo) {
			err := fmt.Errorf("%w: %w", ErrDamaged, info.Details)
			s.damaged.Store(&err)
		}},
	}
	o.EventListener.EnsureDefaults(o.Logger)
	for i := range o.Levels {
		o.Levels[i] = pebble.LevelOptions{BlockSize: blockBytes, FilterPolicy: bloom.FilterPolicy(filterBits)}
	}
	return o
}

// readPosition finds the position, or empties a store that has none.
func (s *Store) readPosition() error {
	v, closer, err := s.db.Get(positionKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return s.db.DeleteRange([]byte{0}, []byte{255}, pebble.NoSync)
	}
	if err != nil {
		return err
	}
	s.position, err = decodePosition(v)
	s.placed = err == nil
	return errors.Join(err, closer.Close())
}

// Position is the position of the content; false if there is none yet.
func (s *Store) Position() (Position, bool) { return s.position, s.placed }

// Damaged says what is wrong with the store's files, nil if nothing is known to be.
func (s *Store) Damaged() error {
	if err := s.damaged.Load(); err != nil {
		return *err
	}
	return nil
}

// Prefix calls fn with the pairs whose keys begin with the prefix, which ends with a NUL, in order of their bytes. They
// are valid until fn returns.
func (s *Store) Prefix(prefix []byte, fn func(key, value []byte) error) error {
	if s.seeker == nil {
		var err error
		// The last level's filters are the largest, and those that tell of most users that they are new.
		if s.seeker, err = s.db.NewIter(&pebble.IterOptions{UseL6Filters: true}); err != nil {
			return fmt.Errorf("reading the local store: %w", err)
		}
	}
	return through(s.seeker, s.seeker.SeekPrefixGE(prefix), prefix, fn)
}

// through calls fn with pairs from where an iterator stands, if ok, as long as they have the prefix.
func through(it *pebble.Iterator, ok bool, prefix []byte, fn func(key, value []byte) error) error {
	for ; ok && bytes.HasPrefix(it.Key(), prefix); ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("reading the local store: %w", err)
		}
		if err := fn(it.Key(), v); err != nil {
			return err
		}
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("reading the local store: %w", err)
	}
	return nil
}

// Ascend is Prefix for prefixes that come in ascending order and are mostly there: it reads on from the last one,
// without a look at filters. Any order is right.
func (s *Store) Ascend(prefix []byte, fn func(key, value []byte) error) error {
	if s.walker == nil {
		var err error
		if s.walker, err = s.db.NewIter(nil); err != nil {
			return fmt.Errorf("reading the local store: %w", err)
		}
		s.walked = s.walked[:0]
	}
	// The walker stands at the first key behind the prefix before, so at this one if that is the next.
	ok := len(s.walked) > 0 && s.walker.Valid() && bytes.Compare(s.walked, prefix) < 0 && bytes.Compare(s.walker.Key(), prefix) >= 0
	if !ok {
		ok = s.walker.SeekGE(prefix)
	}
	s.walked = append(s.walked[:0], prefix...)
	err := through(s.walker, ok, prefix, fn)
	if err != nil {
		s.walked = s.walked[:0]
	}
	return err
}

// Scan calls fn with the pairs whose keys lie in [from, to), in order of their bytes, until fn returns false. They are
// valid until fn returns.
func (s *Store) Scan(from, to []byte, fn func(key, value []byte) (more bool, err error)) (err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return fmt.Errorf("reading the local store: %w", err)
	}
	defer func() {
		if e := it.Close(); err == nil && e != nil {
			err = fmt.Errorf("reading the local store: %w", e)
		}
	}()
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("reading the local store: %w", err)
		}
		if more, err := fn(it.Key(), v); err != nil || !more {
			return err
		}
	}
	return nil
}

// Batch collects changes; the last one of a key counts.
type Batch struct{ b *pebble.Batch }

// Batch returns an empty batch. It is used up by Commit or Fill, or given back by Close.
func (s *Store) Batch() *Batch { return &Batch{s.db.NewBatch()} }

// Set puts a pair.
func (b *Batch) Set(key, value []byte) error { return b.b.Set(key, value, nil) }

// Delete removes a key.
func (b *Batch) Delete(key []byte) error { return b.b.Delete(key, nil) }

// Bytes is the size of the batch.
func (b *Batch) Bytes() int { return b.b.Len() }

// Close gives up a batch.
func (b *Batch) Close() error { return b.b.Close() }

// Commit writes a batch and the position that the content then stands for.
func (s *Store) Commit(b *Batch, p Position) error {
	if err := b.b.Set(positionKey, appendPosition(nil, p), nil); err != nil {
		return fmt.Errorf("writing the local store: %w", err)
	}
	if err := s.Fill(b); err != nil {
		return err
	}
	s.position, s.placed = p, true
	return nil
}

// Fill writes a batch on the way to the next position. If Commit does not follow, the store holds some records newer
// than its position, or is emptied by the next Open if it has none.
func (s *Store) Fill(b *Batch) error {
	err := errors.Join(s.Damaged(), s.unpin())
	if err == nil {
		err = s.db.Apply(b.b, pebble.NoSync)
	}
	if err = errors.Join(err, b.b.Close()); err != nil {
		return fmt.Errorf("writing the local store: %w", err)
	}
	return nil
}

// unpin lets go of the content that Prefix and Ascend read.
func (s *Store) unpin() (err error) {
	for _, it := range []**pebble.Iterator{&s.seeker, &s.walker} {
		if *it != nil {
			err = errors.Join(err, (*it).Close())
			*it = nil
		}
	}
	return err
}

// Purge rewrites the files that hold, or held, keys with the prefixes, each of which ends with a NUL: of what was
// deleted nothing is left in them. Manifests name keys too, as the bounds of files that are gone; a store keeps the newest
// and the one before it, and begins one whenever it is opened, so it is opened twice.
func (s *Store) Purge(ctx context.Context, prefixes [][]byte) error {
	if len(prefixes) == 0 {
		return nil
	}
	err := s.unpin()
	if err == nil {
		err = s.db.Flush()
	}
	for _, p := range prefixes {
		if err == nil {
			err = s.db.Compact(ctx, p, comparer.ImmediateSuccessor(nil, p), false)
		}
	}
	for range 2 {
		if err == nil {
			err = s.reopen()
		}
	}
	if err != nil {
		return fmt.Errorf("purging the local store: %w", err)
	}
	return nil
}

// reopen begins a new manifest. What is not flushed is lost. After an error the store is closed.
func (s *Store) reopen() error {
	err := s.db.Close()
	s.db = nil
	if err == nil {
		s.db, err = pebble.Open(s.cfg.Dir, s.options(&s.cfg))
	}
	return err
}

// Close flushes and closes the store.
func (s *Store) Close() error {
	if s.db == nil { // reopening it has failed
		return s.Abandon()
	}
	return errors.Join(s.unpin(), s.db.Flush(), s.Abandon())
}

// Abandon closes the store without a flush: what was written of late may be lost.
func (s *Store) Abandon() error {
	if s.db == nil {
		return s.lock.Close()
	}
	return errors.Join(s.unpin(), s.db.Close(), s.lock.Close())
}

// comparer orders keys by their bytes; a prefix ends with the first NUL.
var comparer = func() *pebble.Comparer {
	c := *pebble.DefaultComparer
	c.Name = "profilestream.prefix"
	c.Split = func(key []byte) int {
		if i := bytes.IndexByte(key, 0); i >= 0 {
			return i + 1
		}
		return len(key)
	}
	c.ImmediateSuccessor = func(dst, prefix []byte) []byte {
		dst = append(dst, prefix...)
		if n := len(dst); n > 0 && dst[n-1] == 0 {
			dst[n-1] = 1
			return dst
		}
		return append(dst, 0)
	}
	return &c
}()

// logger passes on what goes wrong in the background.
type logger struct{ log *slog.Logger }

// Infof drops what pebble says about its work.
func (logger) Infof(string, ...any) {}

// Errorf warns.
func (l logger) Errorf(format string, args ...any) {
	if l.log != nil {
		l.log.Warn("local store: " + fmt.Sprintf(format, args...))
	}
}

// Fatalf ends the process: pebble cannot go on, and the state topic has all.
func (l logger) Fatalf(format string, args ...any) {
	panic("local store: " + fmt.Sprintf(format, args...))
}
