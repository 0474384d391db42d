package onnx

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const tinyConfig = `{"model_type":"bert","hidden_size":4,"num_hidden_layers":1,"num_attention_heads":2,"intermediate_size":8,
"vocab_size":6,"max_position_embeddings":5,"type_vocab_size":2,"hidden_act":"gelu","layer_norm_eps":1e-12}`

// tiny writes a BERT folder of the config above; names are passed through rename, and
// one for which it returns "" is left out.
func tiny(t *testing.T, config string, rename func(string) string) string {
	t.Helper()
	shapes := map[string][]int{
		"embeddings.word_embeddings.weight": {6, 4}, "embeddings.position_embeddings.weight": {5, 4}, "embeddings.token_type_embeddings.weight": {2, 4},
		"embeddings.LayerNorm.weight": {4}, "embeddings.LayerNorm.bias": {4},
	}
	for name, dims := range map[string][]int{
		"attention.self.query": {4, 4}, "attention.self.key": {4, 4}, "attention.self.value": {4, 4}, "attention.output.dense": {4, 4},
		"intermediate.dense": {8, 4}, "output.dense": {4, 8}, "attention.output.LayerNorm": {4}, "output.LayerNorm": {4},
	} {
		shapes["encoder.layer.0."+name+".weight"], shapes["encoder.layer.0."+name+".bias"] = dims, dims[:1]
	}
	var data []byte
	header := map[string]any{}
	for name, dims := range shapes {
		if name = rename(name); name == "" {
			continue
		}
		begin, n := len(data), 1
		for _, d := range dims {
			n *= d
		}
		for range n {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(len(data)%7)/7))
		}
		header[name] = map[string]any{"dtype": "F32", "shape": dims, "data_offsets": []int{begin, len(data)}}
	}
	h, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, b := range map[string][]byte{
		"config.json": []byte(config), "model.safetensors": file(string(h), data),
		"tokenizer.json": []byte(`{"padding":{"x":1},"truncation":{"y":2},"model":{"type":"WordPiece","vocab":{"[CLS]":0,"[SEP]":5}}}`),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func same(s string) string { return s }

func TestImport(t *testing.T) {
	dir, out := tiny(t, tinyConfig, same), filepath.Join(t.TempDir(), "new")
	got, err := Import(dir, out)
	if err != nil {
		t.Fatal(err)
	}
	want := Facts{Format: 1, Architecture: "bert", Dim: 4, Layers: 1, Heads: 2, MaxPositions: 5, Vocabulary: 6, Pooling: "mean"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	read, err := ReadFacts(out)
	if d := cmp.Diff(want, read); err != nil || d != "" {
		t.Error(err, d)
	}
	tok, err := os.ReadFile(filepath.Join(out, TokenizerFile))
	if err != nil || !strings.Contains(string(tok), `"padding":null`) || !strings.Contains(string(tok), `"truncation":null`) {
		t.Errorf("tokenizer.json: %s %v", tok, err)
	}
}

func TestImportGivesTheSameBytes(t *testing.T) {
	var graphs [2][]byte
	dir := tiny(t, tinyConfig, same)
	prefixed := tiny(t, tinyConfig, func(s string) string { return "bert." + s })
	for i, from := range []string{dir, dir} {
		out := t.TempDir()
		if _, err := Import(from, out); err != nil {
			t.Fatal(err)
		}
		var err error
		if graphs[i], err = os.ReadFile(filepath.Join(out, GraphFile)); err != nil {
			t.Fatal(err)
		}
	}
	if string(graphs[0]) != string(graphs[1]) {
		t.Error("two imports of one folder differ")
	}
	if _, err := Import(prefixed, t.TempDir()); err != nil {
		t.Errorf("names with the bert. prefix: %v", err)
	}
	gamma := tiny(t, tinyConfig, func(s string) string {
		return strings.NewReplacer("LayerNorm.weight", "LayerNorm.gamma", "LayerNorm.bias", "LayerNorm.beta").Replace(s)
	})
	if _, err := Import(gamma, t.TempDir()); err != nil {
		t.Errorf("names gamma and beta: %v", err)
	}
}

func TestImportNamesWhatIsWrong(t *testing.T) {
	swap := func(old, by string) string { return strings.Replace(tinyConfig, old, by, 1) }
	without := func(name string) func(string) string {
		return func(s string) string {
			if s == name {
				return ""
			}
			return s
		}
	}
	for i, c := range []struct {
		config string
		rename func(string) string
		want   string
	}{
		{tinyConfig, without("encoder.layer.0.output.dense.bias"), "encoder.layer.0.output.dense.bias"},
		{tinyConfig, without("embeddings.LayerNorm.bias"), "embeddings.LayerNorm.bias"},
		{swap(`"hidden_size":4`, `"hidden_size":8`), same, "has shape [6 4], want [6 8]"},
		{swap(`"num_hidden_layers":1`, `"num_hidden_layers":2`), same, "encoder.layer.1."},
		{swap(`"gelu"`, `"relu"`), same, "hidden_act"},
		{swap(`"bert"`, `"t5"`), same, "model_type"},
		{swap(`"num_attention_heads":2`, `"num_attention_heads":3`), same, "num_attention_heads"},
		{swap(`"vocab_size":6`, `"vocab_size":5`), same, `token "[SEP]" has id 5`},
		{swap(`"type_vocab_size":2`, `"type_vocab_size":0`), same, "type_vocab_size"},
		{swap(`1e-12`, `2`), same, "layer_norm_eps"},
		{`{`, same, "config.json"},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			out := t.TempDir()
			_, err := Import(tiny(t, c.config, c.rename), out)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
			if left, _ := filepath.Glob(filepath.Join(out, "*")); len(left) > 0 {
				t.Errorf("a failed import left %v", left)
			}
		})
	}
}

func TestImportMakesTokenizerFromVocab(t *testing.T) {
	dir := tiny(t, tinyConfig, same)
	if err := os.Remove(filepath.Join(dir, TokenizerFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := Import(dir, t.TempDir()); err == nil || !strings.Contains(err.Error(), "vocab.txt") {
		t.Errorf("error %v does not name vocab.txt", err)
	}
	vocab := filepath.Join(dir, "vocab.txt")
	if err := os.WriteFile(vocab, []byte("[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Import(dir, t.TempDir()); err == nil || !strings.Contains(err.Error(), "[MASK]") {
		t.Errorf("error %v does not name [MASK]", err)
	}
	if err := os.WriteFile(vocab, []byte("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Import(dir, t.TempDir()); err != nil {
		t.Error(err)
	}
}
