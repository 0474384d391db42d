package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"profilestream/inference/heads"
)

// Contents is what Write puts into a bundle.
type Contents struct {
	Heads      *heads.Model
	Evaluation []byte // JSON
	Reference  []byte // JSON; empty: drift from this bundle's training is unknown
	Report     []byte // HTML; may be empty
	Cost       []byte // JSON; may be empty
	// Files maps names in the bundle to files that are linked (copied where the
	// file system cannot link): encoder.onnx, tokenizer.json and what else the
	// encoder needs. They must not be changed in place afterwards.
	Files map[string]string
}

// Write makes the bundle in a temporary folder beside dir and renames it to
// dir. A bundle that was there is replaced: it is moved aside first and removed
// last. It returns the bundle as Load verifies it.
func Write(dir string, c Contents) (*Bundle, error) {
	dir = filepath.Clean(dir)
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return nil, fmt.Errorf("writing bundle: %w", err)
	}
	tmp, err := os.MkdirTemp(parent, "."+filepath.Base(dir)+".new-")
	if err != nil {
		return nil, fmt.Errorf("writing bundle: %w", err)
	}
	defer os.RemoveAll(tmp)
	if err := fill(tmp, c); err != nil {
		return nil, fmt.Errorf("writing bundle: %w", err)
	}
	if _, err := Load(tmp); err != nil {
		return nil, fmt.Errorf("writing bundle: %w", err)
	}
	if err := replace(tmp, dir); err != nil {
		return nil, fmt.Errorf("writing bundle: %w", err)
	}
	return Load(dir)
}

func fill(tmp string, c Contents) error {
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	encoded, err := c.Heads.Encode()
	if err != nil {
		return err
	}
	if len(c.Cost) > 0 && !json.Valid(c.Cost) {
		return fmt.Errorf("%s is not JSON", CostFile)
	}
	for name, b := range map[string][]byte{ReportFile: c.Report, CostFile: c.Cost} {
		if len(b) > 0 {
			if err := writeSynced(filepath.Join(tmp, name), b); err != nil {
				return err
			}
		}
	}
	blobs := map[string][]byte{HeadsFile: encoded, EvaluationFile: c.Evaluation}
	if len(c.Reference) > 0 {
		blobs[ReferenceFile] = c.Reference
	}
	m := &Manifest{Format: FormatVersion, FeatureHash: c.Heads.FeatureHash, Dim: c.Heads.Dim, Files: map[string]File{}}
	for name, b := range blobs {
		if err := writeSynced(filepath.Join(tmp, name), b); err != nil {
			return err
		}
	}
	for name, source := range c.Files {
		if err := link(source, filepath.Join(tmp, name)); err != nil {
			return err
		}
		blobs[name] = nil
	}
	for name := range blobs {
		if m.Files[name], err = hashFile(filepath.Join(tmp, name)); err != nil {
			return err
		}
	}
	m.ID = m.identity()
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := writeSynced(filepath.Join(tmp, ManifestFile), append(b, '\n')); err != nil {
		return err
	}
	return syncDir(tmp)
}

// replace puts tmp in the place of dir.
func replace(tmp, dir string) error {
	old := tmp + ".old"
	err := os.Rename(dir, old)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	had := err == nil
	if err := os.Rename(tmp, dir); err != nil {
		if had {
			err = errors.Join(err, os.Rename(old, dir))
		}
		return err
	}
	if err := syncDir(filepath.Dir(dir)); err != nil {
		return err
	}
	if had {
		return os.RemoveAll(old)
	}
	return nil
}

func link(source, target string) error {
	resolved, err := filepath.EvalSymlinks(source)
	if err != nil {
		return err
	}
	if os.Link(resolved, target) == nil {
		return nil
	}
	in, err := os.Open(resolved)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(target, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return errors.Join(err, out.Close())
	}
	return errors.Join(out.Sync(), out.Close())
}

func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.Write(b); err != nil {
		return errors.Join(err, f.Close())
	}
	return errors.Join(f.Sync(), f.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
