package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
)

// Names of the files of a bundle.
const (
	ManifestFile   = "manifest.json"
	HeadsFile      = "heads.json"
	EncoderFile    = "encoder.onnx"
	TokenizerFile  = "tokenizer.json"
	EvaluationFile = "evaluation.json"
	ReportFile     = "evaluation.html"
	CostFile       = "cost.json"
	ReferenceFile  = "reference.json" // of drift; bundles of older versions have none
)

// FormatVersion is the version of the manifest. Another one is refused.
const FormatVersion = 1

const maxManifestBytes = 1 << 20

// Beside are files for people: the page of the evaluation and what the training
// took. The manifest does not list them, since they hold times and so differ from
// training to training, while the bundle is the same.
var Beside = []string{ReportFile, CostFile}

// required are the files without which nothing can be scored or judged.
var required = []string{EncoderFile, TokenizerFile, HeadsFile, EvaluationFile}

// File is one file of a bundle.
type File struct {
	SHA256 string `json:"sha256"`
	Bytes  int64  `json:"bytes"`
}

// Manifest is the content of manifest.json.
type Manifest struct {
	Format      int             `json:"format"`
	ID          string          `json:"id"`
	FeatureHash string          `json:"feature_hash"`
	Dim         int             `json:"dim"` // of the embeddings
	Files       map[string]File `json:"files"`
}

// identity derives the id from everything that the scores depend on, and from
// the evaluation, so that no file can be exchanged unnoticed.
func (m *Manifest) identity() string {
	names := make([]string, 0, len(m.Files))
	for n := range m.Files {
		names = append(names, n)
	}
	sort.Strings(names)
	h := sha256.New()
	fmt.Fprintf(h, "bundle %d\nfeatures %s\ndim %d\n", m.Format, m.FeatureHash, m.Dim)
	for _, n := range names {
		fmt.Fprintf(h, "%s %s %d\n", n, m.Files[n].SHA256, m.Files[n].Bytes)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// ParseManifest reads and checks a manifest; it opens no file.
func ParseManifest(b []byte) (*Manifest, error) {
	if len(b) > maxManifestBytes {
		return nil, fmt.Errorf("%d bytes, at most %d", len(b), maxManifestBytes)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	m := new(Manifest)
	if err := d.Decode(m); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("data after the manifest")
	}
	if m.Format != FormatVersion {
		return nil, fmt.Errorf("format %d, this program reads %d", m.Format, FormatVersion)
	}
	if m.Dim < 1 || m.Dim > 1<<16 {
		return nil, fmt.Errorf("embeddings of %d dimensions", m.Dim)
	}
	for n, f := range m.Files {
		if n == "" || n != filepath.Base(n) || n == "." || n == ".." || n == ManifestFile {
			return nil, fmt.Errorf("%q is not the name of a file in the folder", n)
		}
		if sum, err := hex.DecodeString(f.SHA256); err != nil || len(sum) != sha256.Size || f.Bytes < 0 {
			return nil, fmt.Errorf("%s has no usable hash or size", n)
		}
	}
	for _, n := range required {
		if _, ok := m.Files[n]; !ok {
			return nil, fmt.Errorf("%s is not listed", n)
		}
	}
	if id := m.identity(); m.ID != id {
		return nil, fmt.Errorf("its id is %q, its content %q", m.ID, id)
	}
	return m, nil
}

// hashFile returns size and SHA-256 of a file.
func hashFile(path string) (File, error) {
	f, err := os.Open(path)
	if err != nil {
		return File{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return File{}, err
	}
	return File{SHA256: hex.EncodeToString(h.Sum(nil)), Bytes: n}, nil
}
