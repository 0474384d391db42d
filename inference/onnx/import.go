package onnx

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Names of the files an import writes.
const (
	GraphFile     = "encoder.onnx"
	TokenizerFile = "tokenizer.json"
	FactsFile     = "encoder.json"
)

// Facts describe an imported encoder; they are kept beside the graph in FactsFile.
type Facts struct {
	Format       int    `json:"format"`
	Architecture string `json:"architecture"`
	Dim          int    `json:"dim"`
	Layers       int    `json:"layers"`
	Heads        int    `json:"heads"`
	MaxPositions int    `json:"max_positions"`
	Vocabulary   int    `json:"vocabulary"`
	Pooling      string `json:"pooling"`
}

const factsFormat = 1

// Import reads a Hugging Face BERT folder (config.json, model.safetensors, and
// tokenizer.json or vocab.txt) and writes the encoder's files into out, which is created.
func Import(dir, out string) (Facts, error) {
	c, err := ReadConfig(dir)
	if err != nil {
		return Facts{}, fmt.Errorf("importing %s: %w", dir, err)
	}
	w, err := ReadTensors(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		return Facts{}, fmt.Errorf("importing %s: %w", dir, err)
	}
	tok, err := ReadTokenizer(dir, c.Vocabulary)
	if err != nil {
		return Facts{}, fmt.Errorf("importing %s: %w", dir, err)
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return Facts{}, err
	}
	f := Facts{
		Format: factsFormat, Architecture: "bert", Dim: c.Hidden, Layers: c.Layers, Heads: c.Heads,
		MaxPositions: c.Positions, Vocabulary: c.Vocabulary, Pooling: "mean",
	}
	if err := writeEncoder(filepath.Join(out, GraphFile), c, w); err != nil {
		return Facts{}, fmt.Errorf("importing %s: %w", dir, err)
	}
	if err := os.WriteFile(filepath.Join(out, TokenizerFile), tok, 0o644); err != nil {
		return Facts{}, err
	}
	b, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return Facts{}, err
	}
	return f, os.WriteFile(filepath.Join(out, FactsFile), append(b, '\n'), 0o644)
}

func writeEncoder(path string, c Config, w *Tensors) error {
	g := &Graph{}
	hidden, mask, err := AppendBERT(g, c, w)
	if err != nil {
		return err
	}
	AppendPooling(g, hidden, mask, c.Hidden)
	return g.Save(path)
}

// ReadFacts reads the facts beside an imported graph.
func ReadFacts(dir string) (Facts, error) {
	path := filepath.Join(dir, FactsFile)
	b, err := os.ReadFile(path)
	if err != nil {
		return Facts{}, err
	}
	var f Facts
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return Facts{}, fmt.Errorf("reading %s: %w", path, err)
	}
	if f.Format != factsFormat {
		return Facts{}, fmt.Errorf("reading %s: format %d, want %d", path, f.Format, factsFormat)
	}
	if f.Dim <= 0 || f.MaxPositions <= 2 || f.Vocabulary <= 0 {
		return Facts{}, fmt.Errorf("reading %s: dim %d, max_positions %d, vocabulary %d", path, f.Dim, f.MaxPositions, f.Vocabulary)
	}
	return f, nil
}

// ReadTokenizer returns dir's tokenizer.json, made from vocab.txt if need be, without padding and truncation: both
// belong to the caller, who knows the batch.
func ReadTokenizer(dir string, vocabulary int) ([]byte, error) {
	path := filepath.Join(dir, TokenizerFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		b, err = readVocab(dir)
	}
	if err != nil {
		return nil, err
	}
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(b, &doc); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	var model struct {
		Type  string         `json:"type"`
		Vocab map[string]int `json:"vocab"`
	}
	if err := json.Unmarshal(doc["model"], &model); err != nil {
		return nil, fmt.Errorf("reading %s: model: %w", path, err)
	}
	if len(model.Vocab) == 0 {
		return nil, fmt.Errorf("reading %s: %w", path, errors.New("model.vocab is empty"))
	}
	for word, id := range model.Vocab {
		if id < 0 || id >= vocabulary {
			return nil, fmt.Errorf("reading %s: token %q has id %d, the model knows %d", path, word, id, vocabulary)
		}
	}
	doc["padding"], doc["truncation"] = json.RawMessage("null"), json.RawMessage("null")
	return json.Marshal(doc)
}
