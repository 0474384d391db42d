package onnx

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// vocabOptions are the keys of tokenizer_config.json that shape WordPiece, with the
// defaults of Hugging Face's BertTokenizer.
type vocabOptions struct {
	Lower        bool  `json:"do_lower_case"`
	StripAccents *bool `json:"strip_accents"`
	Chinese      bool  `json:"tokenize_chinese_chars"`
}

// readVocab makes a tokenizer.json for a folder that has only vocab.txt, as older BERT
// models do.
func readVocab(dir string) ([]byte, error) {
	vocab, err := os.ReadFile(filepath.Join(dir, "vocab.txt"))
	if err != nil {
		return nil, err
	}
	o := vocabOptions{Lower: true, Chinese: true}
	b, err := os.ReadFile(filepath.Join(dir, "tokenizer_config.json"))
	if err == nil {
		err = json.Unmarshal(b, &o)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading tokenizer_config.json: %w", err)
	}
	return vocabTokenizer(string(vocab), o)
}

func vocabTokenizer(vocab string, o vocabOptions) ([]byte, error) {
	ids := map[string]int{}
	for i, word := range strings.Split(strings.TrimSuffix(vocab, "\n"), "\n") {
		ids[strings.TrimSuffix(word, "\r")] = i
	}
	type object = map[string]any
	var added []object
	special := object{}
	for _, s := range []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"} {
		id, ok := ids[s]
		if !ok {
			return nil, fmt.Errorf("vocab.txt has no %s", s)
		}
		added = append(added, object{"id": id, "content": s, "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false})
		if s == "[CLS]" || s == "[SEP]" {
			special[s] = object{"id": s, "ids": []int{id}, "tokens": []string{s}}
		}
	}
	mark := func(s string, typ int) object { return object{"SpecialToken": object{"id": s, "type_id": typ}} }
	text := func(s string, typ int) object { return object{"Sequence": object{"id": s, "type_id": typ}} }
	return json.Marshal(object{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": added,
		"normalizer":    object{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": o.Chinese, "strip_accents": o.StripAccents, "lowercase": o.Lower},
		"pre_tokenizer": object{"type": "BertPreTokenizer"},
		"post_processor": object{
			"type":           "TemplateProcessing",
			"single":         []object{mark("[CLS]", 0), text("A", 0), mark("[SEP]", 0)},
			"pair":           []object{mark("[CLS]", 0), text("A", 0), mark("[SEP]", 0), text("B", 1), mark("[SEP]", 1)},
			"special_tokens": special,
		},
		"decoder": object{"type": "WordPiece", "prefix": "##", "cleanup": true},
		"model":   object{"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": ids},
	})
}
