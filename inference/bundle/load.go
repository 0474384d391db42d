package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"

	"profilestream/inference/features"
	"profilestream/inference/heads"
	"profilestream/inference/stability"
	"profilestream/inference/text"
)

// Bundle is a verified bundle.
type Bundle struct {
	Dir        string
	Manifest   *Manifest
	Heads      *heads.Model
	Evaluation json.RawMessage
	// Reference is how features and scores lay in training; nil: not known.
	Reference *stability.Reference

	refused []string
	forced  bool
}

// ID identifies the bundle's content.
func (b *Bundle) ID() string { return b.Manifest.ID }

// Path is the path of one of its files.
func (b *Bundle) Path(name string) string { return filepath.Join(b.Dir, name) }

// Version is the model_version of rows scored with this bundle by an encoder of
// the given version; without an encoder (degraded) pass "". A forced bundle's
// ends in /forced.
func (b *Bundle) Version(encoder string) string {
	if encoder == "" {
		encoder = "numeric"
	}
	v := b.Manifest.ID + "/" + encoder
	if b.forced {
		v += "/forced"
	}
	return v
}

// Load verifies the folder: manifest, sizes, hashes, shapes and features. Errors
// name the file that does not fit.
func Load(dir string) (*Bundle, error) {
	m, err := readManifest(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(m.Files))
	for n := range m.Files {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		got, err := hashFile(filepath.Join(dir, n))
		if err != nil {
			return nil, fmt.Errorf("loading bundle: %s: %w", n, err)
		}
		if want := m.Files[n]; got != want {
			return nil, fmt.Errorf("loading bundle: %s has %d bytes and SHA-256 %s, the manifest says %d and %s", n, got.Bytes, got.SHA256, want.Bytes, want.SHA256)
		}
	}
	if h := features.Hash(); m.FeatureHash != h {
		return nil, fmt.Errorf("loading bundle: %s: trained on the features %s, this program has %s", ManifestFile, m.FeatureHash, h)
	}
	b := &Bundle{Dir: dir, Manifest: m}
	raw, err := os.ReadFile(b.Path(HeadsFile))
	if err != nil {
		return nil, fmt.Errorf("loading bundle: %w", err)
	}
	if b.Heads, err = heads.Decode(raw); err != nil {
		return nil, fmt.Errorf("loading bundle: %s: %w", HeadsFile, err)
	}
	if b.Heads.Rendering != text.Version {
		return nil, fmt.Errorf("loading bundle: %s: trained on texts of %s, this program renders %s", HeadsFile, b.Heads.Rendering, text.Version)
	}
	if b.Heads.Dim != m.Dim {
		return nil, fmt.Errorf("loading bundle: %s: reads %d dimensions, the manifest says %d", HeadsFile, b.Heads.Dim, m.Dim)
	}
	if b.Evaluation, err = os.ReadFile(b.Path(EvaluationFile)); err != nil {
		return nil, fmt.Errorf("loading bundle: %w", err)
	}
	if err := b.readReference(); err != nil {
		return nil, err
	}
	return b, b.judge()
}

// ReadReference reads the reference of drift of the bundle id in dir, and verifies
// no other file. The error is fs.ErrNotExist where dir holds another bundle, or one
// without a reference.
func ReadReference(dir, id string) (*stability.Reference, error) {
	m, err := readManifest(dir)
	if err != nil {
		return nil, err
	}
	want, ok := m.Files[ReferenceFile]
	if m.ID != id || !ok {
		return nil, fmt.Errorf("%s: no reference of bundle %s: %w", dir, id, fs.ErrNotExist)
	}
	b := &Bundle{Dir: dir, Manifest: m}
	if got, err := hashFile(b.Path(ReferenceFile)); err != nil || got != want {
		return nil, errors.Join(err, fmt.Errorf("loading bundle: %s is not what the manifest says", b.Path(ReferenceFile)))
	}
	if err := b.readReference(); err != nil {
		return nil, err
	}
	return b.Reference, nil
}

func (b *Bundle) readReference() error {
	if _, ok := b.Manifest.Files[ReferenceFile]; !ok {
		return nil
	}
	raw, err := os.ReadFile(b.Path(ReferenceFile))
	if err != nil {
		return fmt.Errorf("loading bundle: %w", err)
	}
	if b.Reference, err = stability.Decode(raw); err != nil {
		return fmt.Errorf("loading bundle: %s: %w", ReferenceFile, err)
	}
	return nil
}

func readManifest(dir string) (*Manifest, error) {
	path := filepath.Join(dir, ManifestFile)
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("loading bundle: %w", err)
	}
	if info.Size() > maxManifestBytes {
		return nil, fmt.Errorf("loading bundle: %s has %d bytes, at most %d", ManifestFile, info.Size(), maxManifestBytes)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("loading bundle: %w", err)
	}
	m, err := ParseManifest(raw)
	if err != nil {
		return nil, fmt.Errorf("loading bundle: %s: %w", ManifestFile, err)
	}
	return m, nil
}
