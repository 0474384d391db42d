package token

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/daulet/tokenizers"
)

// MaxTokens is the most a row may have, [CLS] and [SEP] included.
const MaxTokens = 128

// maxTextBytes bounds the work a text can cost; words of 128 bytes would fill MaxTokens.
const maxTextBytes = 16 << 10

// Tokenizer is a WordPiece tokenizer with the special tokens of BERT.
type Tokenizer struct {
	t   *tokenizers.Tokenizer
	cls int32
	sep int32
}

// Open reads dir/tokenizer.json.
func Open(dir string) (*Tokenizer, error) {
	path := filepath.Join(dir, "tokenizer.json")
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	t, err := Parse(b)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return t, nil
}

// Parse makes a tokenizer from the bytes of a tokenizer.json, whatever padding and
// truncation that asks for.
func Parse(b []byte) (*Tokenizer, error) {
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(b, &doc); err != nil {
		return nil, err
	}
	if doc["model"] == nil {
		return nil, errors.New("no model")
	}
	doc["padding"], doc["truncation"] = json.RawMessage("null"), json.RawMessage("null")
	b, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	raw, err := tokenizers.FromBytes(b)
	if err != nil {
		return nil, err
	}
	t := &Tokenizer{t: raw}
	ids := t.raw("")
	if len(ids) != 2 {
		return nil, errors.Join(fmt.Errorf("an empty text has %d tokens, want [CLS] and [SEP]", len(ids)), t.Close())
	}
	t.cls, t.sep = ids[0], ids[1]
	return t, nil
}

// Encode returns the ids of text between [CLS] and [SEP], at most limit in all: a
// longer text loses its end and keeps [SEP]. A limit outside 2..MaxTokens means MaxTokens.
func (t *Tokenizer) Encode(text string, limit int) []int32 {
	if limit < 2 || limit > MaxTokens {
		limit = MaxTokens
	}
	ids := t.raw(clean(text))
	if len(ids) < 2 {
		return []int32{t.cls, t.sep}
	}
	if len(ids) > limit {
		ids = ids[:limit]
		ids[limit-1] = t.sep
	}
	return ids
}

func (t *Tokenizer) raw(text string) []int32 {
	e := t.t.EncodeWithOptions(text, true)
	ids := make([]int32, len(e.IDs))
	for i, id := range e.IDs {
		ids[i] = int32(id)
	}
	return ids
}

// clean makes text fit a C string of UTF-8 and cuts what no limit can reach.
func clean(text string) string {
	if len(text) > maxTextBytes {
		text = text[:maxTextBytes]
	}
	if strings.IndexByte(text, 0) >= 0 {
		text = strings.ReplaceAll(text, "\x00", "")
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// Close frees the tokenizer; no Encode may follow.
func (t *Tokenizer) Close() error { return t.t.Close() }
