package faults

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"profilestream/inference/bundle"
	"profilestream/inference/onnx"
	"profilestream/schemas"
)

// encoderConfig is a BERT of one thin layer. It knows a few words only, so that
// most texts are one to it and come from the cache.
const encoderConfig = `{"model_type":"bert","hidden_size":384,"num_hidden_layers":1,"num_attention_heads":4,"intermediate_size":32,
"vocab_size":16,"max_position_embeddings":160,"type_vocab_size":2,"hidden_act":"gelu","layer_norm_eps":1e-12}`

// encoderWords is its vocabulary; badWord is the one that the broken encoder
// makes NaN of. The text of a user who bought of late has it, that of the user
// with whom a scorer tries its bundle has not.
var encoderWords = []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "orders", "views", "never", "today", "week", "month", "visits", "no", "one", "two", "many"}

const badWord = 9 // week

// writeEncoder writes the random weights of the test encoder as a Hugging Face
// folder. The broken one works on its own trial row and gives NaN for real texts.
func writeEncoder(tb testing.TB, dir string, broken bool) {
	tb.Helper()
	const hidden, inner = schemas.EmbeddingDim, 32
	shapes := map[string][]int{
		"embeddings.word_embeddings.weight": {len(encoderWords), hidden}, "embeddings.position_embeddings.weight": {160, hidden},
		"embeddings.token_type_embeddings.weight": {2, hidden}, "embeddings.LayerNorm.weight": {hidden}, "embeddings.LayerNorm.bias": {hidden},
	}
	for name, dims := range map[string][]int{
		"attention.self.query": {hidden, hidden}, "attention.self.key": {hidden, hidden}, "attention.self.value": {hidden, hidden},
		"attention.output.dense": {hidden, hidden}, "intermediate.dense": {inner, hidden}, "output.dense": {hidden, inner},
		"attention.output.LayerNorm": {hidden}, "output.LayerNorm": {hidden},
	} {
		shapes["encoder.layer.0."+name+".weight"], shapes["encoder.layer.0."+name+".bias"] = dims, dims[:1]
	}
	names := make([]string, 0, len(shapes))
	for n := range shapes {
		names = append(names, n)
	}
	sort.Strings(names)
	rng := rand.New(rand.NewPCG(1, 2))
	var data []byte
	header := map[string]any{}
	for _, name := range names {
		begin, n := len(data), 1
		for _, d := range shapes[name] {
			n *= d
		}
		for i := range n {
			v := rng.NormFloat64() / 20
			if strings.HasSuffix(name, "LayerNorm.weight") {
				v++
			}
			if broken && name == "embeddings.word_embeddings.weight" && i/hidden == badWord {
				v = math.MaxFloat32 // finite itself, but no sum of them is
			}
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(v)))
		}
		header[name] = map[string]any{"dtype": "F32", "shape": shapes[name], "data_offsets": []int{begin, len(data)}}
	}
	h, err := json.Marshal(header)
	if err != nil {
		tb.Fatal(err)
	}
	tensors := append(binary.LittleEndian.AppendUint64(nil, uint64(len(h))), h...)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"config.json": []byte(encoderConfig), "model.safetensors": append(tensors, data...), "vocab.txt": []byte(strings.Join(encoderWords, "\n") + "\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
}

// rewrite writes the bundle in from to out, with the encoder in dir and a gate
// that passed: heads on random vectors are no better than anything.
func rewrite(tb testing.TB, from, dir, out string) {
	tb.Helper()
	b, err := bundle.Load(from)
	if err != nil {
		tb.Fatal(err)
	}
	evaluation := map[string]any{}
	if err := json.Unmarshal(b.Evaluation, &evaluation); err != nil {
		tb.Fatal(err)
	}
	evaluation["gate"] = map[string]any{"passed": true, "checks": []any{map[string]any{"name": "made for a test", "passed": true}}}
	raw, err := json.Marshal(evaluation)
	if err != nil {
		tb.Fatal(err)
	}
	files := map[string]string{}
	for _, name := range []string{onnx.GraphFile, onnx.TokenizerFile, onnx.FactsFile} {
		files[name] = filepath.Join(dir, name)
	}
	if _, err := bundle.Write(out, bundle.Contents{Heads: b.Heads, Evaluation: raw, Files: files}); err != nil {
		tb.Fatal(err)
	}
}
