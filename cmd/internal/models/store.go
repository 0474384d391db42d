package models

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"profilestream/inference/bundle"
)

// Store is a folder of bundles, each in a folder named by its id. All scorers
// of a run see it, at whatever path.
type Store struct{ Dir string }

// Path is the folder of a bundle.
func (s Store) Path(id string) string { return filepath.Join(s.Dir, id) }

// Has says whether a word is the id of a bundle in the store.
func (s Store) Has(id string) bool {
	if !bundleID.MatchString(id) {
		return false
	}
	_, err := os.Stat(filepath.Join(s.Path(id), bundle.ManifestFile))
	return err == nil
}

// ManifestHash is the SHA-256 of a bundle's manifest, in hex.
func ManifestHash(dir string) (string, error) {
	raw, err := os.ReadFile(filepath.Join(dir, bundle.ManifestFile))
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]), nil
}

// Load verifies a promoted bundle and returns it.
func (s Store) Load(p Promotion) (*bundle.Bundle, error) {
	dir := s.Path(p.Bundle)
	have, err := ManifestHash(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("bundle %s of promotion %d is not in the store %s", p.Bundle, p.Number, s.Dir)
	}
	if err != nil {
		return nil, err
	}
	if have != p.Manifest {
		return nil, fmt.Errorf("bundle %s of promotion %d: its manifest in the store %s has SHA-256 %s, %s was promoted", p.Bundle, p.Number, s.Dir, have, p.Manifest)
	}
	b, err := bundle.Load(dir)
	if err != nil {
		return nil, fmt.Errorf("bundle %s of promotion %d in the store %s: %w", p.Bundle, p.Number, s.Dir, err)
	}
	if b.ID() != p.Bundle {
		return nil, fmt.Errorf("promotion %d: the folder %s holds bundle %s", p.Number, dir, b.ID())
	}
	return b, nil
}

// Put copies a verified bundle into the store and returns it as it lies there,
// with the hash of its manifest. A sound copy that is there already is kept, a
// damaged one replaced. Files are copied and not linked: nobody who writes to
// the source writes to the store.
func (s Store) Put(ctx context.Context, b *bundle.Bundle) (*bundle.Bundle, string, error) {
	manifest, err := ManifestHash(b.Dir)
	if err != nil {
		return nil, "", fmt.Errorf("storing bundle %s: %w", b.ID(), err)
	}
	want := Promotion{Bundle: b.ID(), Manifest: manifest}
	if kept, err := s.Load(want); err == nil {
		return kept, manifest, nil
	}
	if err := s.copy(ctx, b); err != nil {
		return nil, "", fmt.Errorf("storing bundle %s: %w", b.ID(), err)
	}
	kept, err := s.Load(want)
	return kept, manifest, err
}

// copy makes the bundle's folder under another name, and renames it when all of
// it is on disk. A damaged one is moved aside first and removed last.
func (s Store) copy(ctx context.Context, b *bundle.Bundle) error {
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(s.Dir, ".new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	fresh, old := filepath.Join(tmp, "fresh"), filepath.Join(tmp, "old")
	if err := os.Mkdir(fresh, 0o755); err != nil {
		return err
	}
	names := []string{bundle.ManifestFile}
	for name := range b.Manifest.Files {
		names = append(names, name)
	}
	for _, name := range bundle.Beside {
		if _, err := os.Stat(b.Path(name)); err == nil {
			names = append(names, name)
		}
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := copyFile(b.Path(name), filepath.Join(fresh, name)); err != nil {
			return err
		}
	}
	if err := syncDir(fresh); err != nil {
		return err
	}
	if err := os.Rename(s.Path(b.ID()), old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(fresh, s.Path(b.ID())); err != nil {
		return err
	}
	return syncDir(s.Dir)
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
