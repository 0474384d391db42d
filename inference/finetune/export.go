package finetune

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

	"profilestream/inference/onnx"
	"profilestream/inference/token"
)

// Files that Export writes beside the encoder's.
const (
	ClassifierFile = "classifier.json"
	ReportFile     = "finetune.json"
	PageFile       = "finetune.html"
)

// Classifier reads the unit vectors of the exported encoder.
type Classifier struct {
	Format  int         `json:"format"`
	Labels  []string    `json:"labels"`
	Weights [][]float32 `json:"weights"` // [label][dim]
	Bias    []float32   `json:"bias"`    // [label]
}

// Probabilities writes those of the labels for a vector of unit length.
func (c *Classifier) Probabilities(vector []float32, dst []float64) {
	top := math.Inf(-1)
	for i, w := range c.Weights {
		z := float64(c.Bias[i])
		for j, v := range vector {
			z += float64(w[j]) * float64(v)
		}
		dst[i] = z
		top = math.Max(top, z)
	}
	var sum float64
	for i, z := range dst {
		dst[i] = math.Exp(z - top)
		sum += dst[i]
	}
	for i := range dst {
		dst[i] /= sum
	}
}

// ReadClassifier reads the classifier of an exported folder.
func ReadClassifier(dir string) (*Classifier, error) {
	path := filepath.Join(dir, ClassifierFile)
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c := &Classifier{}
	if err := json.Unmarshal(b, c); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if c.Format != 1 || len(c.Labels) < 2 || len(c.Weights) != len(c.Labels) || len(c.Bias) != len(c.Labels) {
		return nil, fmt.Errorf("reading %s: format %d with %d labels", path, c.Format, len(c.Labels))
	}
	for i, w := range c.Weights {
		if len(w) == 0 || len(w) != len(c.Weights[0]) {
			return nil, fmt.Errorf("reading %s: label %q has %d weights", path, c.Labels[i], len(w))
		}
	}
	return c, nil
}

func (r *Result) classifier() *Classifier {
	m := r.Model
	c := &Classifier{Format: 1, Labels: r.Report.Classes, Bias: m.head.b.w}
	for i := range m.head.out {
		w := append([]float32(nil), m.head.w.w[i*m.head.in:(i+1)*m.head.in]...)
		for j := range w {
			w[j] *= m.headScale()
		}
		c.Weights = append(c.Weights, w)
	}
	return c
}

// Export replaces dir by a folder that is both a Hugging Face BERT folder, from which a
// later run can go on, and an imported encoder, as bundles take it, with the classifier
// and the report beside.
func (r *Result) Export(dir string) (err error) {
	if err := CheckTarget(dir); err != nil {
		return err
	}
	parent := filepath.Dir(filepath.Clean(dir))
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(parent, ".finetune-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	if err := r.fill(tmp); err != nil {
		return fmt.Errorf("exporting to %s: %w", dir, err)
	}
	if err := replace(tmp, dir); err != nil {
		return fmt.Errorf("exporting to %s: %w", dir, err)
	}
	return nil
}

// CheckTarget refuses to replace a folder that is neither empty nor an encoder.
func CheckTarget(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if e.Name() == onnx.FactsFile {
			return nil
		}
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s holds other files: the folder to write to must be new, empty or an encoder", dir)
	}
	return nil
}

func (r *Result) fill(dir string) error {
	config, err := os.ReadFile(filepath.Join(r.source, "config.json"))
	if err != nil {
		return err
	}
	tokens, err := onnx.ReadTokenizer(r.source, r.Model.config.Vocabulary)
	if err != nil {
		return err
	}
	head, err := json.Marshal(r.classifier())
	if err != nil {
		return err
	}
	report, err := r.Report.JSON()
	if err != nil {
		return err
	}
	page, err := r.Report.HTML()
	if err != nil {
		return err
	}
	for name, b := range map[string][]byte{"config.json": config, onnx.TokenizerFile: tokens, ClassifierFile: append(head, '\n'), ReportFile: report, PageFile: page} {
		err := writeAtomic(filepath.Join(dir, name), func(w io.Writer) error { _, err := w.Write(b); return err })
		if err != nil {
			return err
		}
	}
	if err := onnx.WriteTensors(filepath.Join(dir, "model.safetensors"), r.Model.tensors()); err != nil {
		return err
	}
	_, err = onnx.Import(dir, dir)
	return err
}

// tensors are the encoder's, under their usual names.
func (m *Model) tensors() []onnx.Tensor {
	var out []onnx.Tensor
	for _, p := range m.params {
		prefix, suffix, fused := strings.Cut(p.name, fusedName+".")
		switch {
		case p.head:
		case fused:
			n := len(p.w) / len(fusedParts)
			shape := append([]int{p.shape[0] / len(fusedParts)}, p.shape[1:]...)
			for i, part := range fusedParts {
				out = append(out, onnx.Tensor{Name: prefix + part + "." + suffix, Shape: shape, Data: p.w[i*n : (i+1)*n]})
			}
		default:
			out = append(out, onnx.Tensor{Name: p.name, Shape: p.shape, Data: p.w})
		}
	}
	return out
}

// replace puts tmp in the place of dir, which may hold an earlier export.
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
	if err := syncDir(filepath.Dir(filepath.Clean(dir))); err != nil {
		return err
	}
	if had {
		return os.RemoveAll(old)
	}
	return nil
}

// openTokenizer opens the tokenizer of a folder, made from vocab.txt if need be.
func openTokenizer(dir string) (*token.Tokenizer, error) {
	c, err := onnx.ReadConfig(dir)
	if err != nil {
		return nil, err
	}
	b, err := onnx.ReadTokenizer(dir, c.Vocabulary)
	if err != nil {
		return nil, err
	}
	return token.Parse(b)
}
