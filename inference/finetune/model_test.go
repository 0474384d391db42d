package finetune

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"profilestream/inference/encoder/encodertest"
	"profilestream/inference/finetune/kernel"
	"profilestream/inference/onnx"
)

func TestMain(m *testing.M) { os.Exit(encodertest.Main(m)) }

// words is the vocabulary of the tiny model.
var words = strings.Fields("[PAD] [UNK] [CLS] [SEP] [MASK] red blue wool silk scarf coat kettle knife tea late broken lovely refund want thank card money sing joke weather song a the my is ##s ##er")

// tiny writes a small BERT folder with random weights.
func tiny(tb testing.TB) string {
	tb.Helper()
	c := onnx.Config{Hidden: 24, Layers: 2, Heads: 3, Intermediate: 40, Vocabulary: len(words), Positions: 20, TokenTypes: 2}
	dir := tb.TempDir()
	config, err := json.Marshal(map[string]any{
		"model_type": "bert", "hidden_size": c.Hidden, "num_hidden_layers": c.Layers, "num_attention_heads": c.Heads, "intermediate_size": c.Intermediate,
		"vocab_size": c.Vocabulary, "max_position_embeddings": c.Positions, "type_vocab_size": c.TokenTypes, "hidden_act": "gelu", "layer_norm_eps": 1e-12,
	})
	if err != nil {
		tb.Fatal(err)
	}
	r := rand.New(rand.NewPCG(9, 9))
	var ts []onnx.Tensor
	add := func(name string, mean, deviation float64, shape ...int) {
		n := 1
		for _, d := range shape {
			n *= d
		}
		t := onnx.Tensor{Name: name, Shape: shape, Data: make([]float32, n)}
		for i := range t.Data {
			t.Data[i] = float32(mean + deviation*r.NormFloat64())
		}
		ts = append(ts, t)
	}
	linear := func(name string, in, out int) {
		add(name+".weight", 0, .2, out, in)
		add(name+".bias", 0, .1, out)
	}
	norm := func(name string) {
		add(name+".weight", 1, .1, c.Hidden)
		add(name+".bias", 0, .1, c.Hidden)
	}
	add("embeddings.word_embeddings.weight", 0, 1, c.Vocabulary, c.Hidden)
	add("embeddings.position_embeddings.weight", 0, .5, c.Positions, c.Hidden)
	add("embeddings.token_type_embeddings.weight", 0, .5, c.TokenTypes, c.Hidden)
	norm("embeddings.LayerNorm")
	for i := range c.Layers {
		p := fmt.Sprintf("encoder.layer.%d.", i)
		for _, s := range fusedParts {
			linear(p+"attention.self."+s, c.Hidden, c.Hidden)
		}
		linear(p+"attention.output.dense", c.Hidden, c.Hidden)
		norm(p + "attention.output.LayerNorm")
		linear(p+"intermediate.dense", c.Hidden, c.Intermediate)
		linear(p+"output.dense", c.Intermediate, c.Hidden)
		norm(p + "output.LayerNorm")
	}
	if err := onnx.WriteTensors(filepath.Join(dir, "model.safetensors"), ts); err != nil {
		tb.Fatal(err)
	}
	for name, b := range map[string][]byte{"config.json": config, "vocab.txt": []byte(strings.Join(words, "\n") + "\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

func open(tb testing.TB, dir string, classes int, kernels string) *Model {
	tb.Helper()
	e, err := kernel.Open(kernels, 2)
	if err != nil {
		tb.Fatal(err)
	}
	m, err := OpenModel(dir, classes, 1, e)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

var tinyBatch = [][]int32{{2, 5, 9, 3}, {2, 3}, {2, 7, 7, 12, 30, 13, 20, 21, 3}, {2, 14, 3}}
var tinyLabels = []int{0, 2, 1, 1}

// TestGradientsEqualNumericOnes compares elements of every parameter with central
// differences of the float64 oracle, with each set of kernels.
func TestGradientsEqualNumericOnes(t *testing.T) {
	dir := tiny(t)
	numeric := map[string]map[int]float64{}
	for _, name := range []string{kernel.AVX512, kernel.AVX2, kernel.Portable} {
		t.Run(name, func(t *testing.T) {
			if !slices.Contains(kernel.Names(), name) {
				t.Skipf("SKIPPED, %s kernels are NOT tested on this machine: its CPU lacks them", name)
			}
			m := open(t, dir, 3, name)
			for i := range m.head.w.w {
				m.head.w.w[i] *= 20 // far from the flat start
			}
			for _, p := range m.params {
				p.prepare()
			}
			o := newOracle(m)
			logits := m.forward(tinyBatch, dropper{})
			d := make([]float32, len(logits))
			got := loss(logits, tinyLabels, d)
			if want := o.loss(tinyBatch, tinyLabels); math.Abs(got-want) > 1e-6 {
				t.Fatalf("loss %.8f, want %.8f", got, want)
			}
			m.backward(d)
			for _, p := range m.params {
				if numeric[p.name] == nil {
					numeric[p.name] = differences(o, o.w[p.name])
				}
				compareGradient(t, p, numeric[p.name])
			}
		})
	}
}

// sampled is the distance of the elements of a tensor that are compared: about 40 of it.
func sampled(n int) int { return max(1, n/40|1) }

// differences are central differences of the loss by the sampled elements.
func differences(o *oracle, w []float64) map[int]float64 {
	const step = 1e-5
	out := map[int]float64{}
	for i := 0; i < len(w); i += sampled(len(w)) {
		v := w[i]
		w[i] = v + step
		up := o.loss(tinyBatch, tinyLabels)
		w[i] = v - step
		out[i] = (up - o.loss(tinyBatch, tinyLabels)) / (2 * step)
		w[i] = v
	}
	return out
}

func compareGradient(t *testing.T, p *param, want map[int]float64) {
	t.Helper()
	var largest, worst float64
	for i, v := range want {
		largest = math.Max(largest, math.Abs(v))
		worst = math.Max(worst, math.Abs(v-float64(p.g[i])))
	}
	if largest == 0 {
		t.Errorf("%s: no gradient among %d elements", p.name, len(want))
	}
	if !(worst <= 2e-5*largest+2e-7) {
		t.Errorf("%s: off by %.1e, largest is %.1e", p.name, worst, largest)
	}
}

// TestDropoutGradient checks the dropped network against differences of its own loss:
// the masks are a function of the key, so the loss is one of the weights.
func TestDropoutGradient(t *testing.T) {
	m := open(t, tiny(t), 3, kernel.Auto)
	m.dropout = dropoutRates{Hidden: .2, Attention: .2}
	for _, p := range m.params {
		p.prepare()
	}
	drop := dropper{on: true, seed: 77}
	at := func() float64 {
		z := m.forward(tinyBatch, drop)
		return loss(z, tinyLabels, make([]float32, len(z)))
	}
	z := m.forward(tinyBatch, dropper{})
	d := make([]float32, len(z))
	whole := loss(z, tinyLabels, d)
	if dropped := loss(m.forward(tinyBatch, drop), tinyLabels, d); dropped == whole {
		t.Fatal("dropout drops nothing")
	}
	m.backward(d)
	// Along its own gradient the loss rises by the gradient's square.
	for _, p := range m.params {
		var square float64
		for _, g := range p.g {
			square += float64(g) * float64(g)
		}
		if square == 0 {
			t.Errorf("%s: no gradient", p.name)
			continue
		}
		step := 3e-3 / math.Sqrt(square)
		start := slices.Clone(p.w)
		move := func(k float64) float64 {
			for i := range p.w {
				p.w[i] = start[i] + float32(k*step*float64(p.g[i]))
			}
			return at()
		}
		slope := (move(1) - move(-1)) / (2 * step)
		copy(p.w, start)
		if math.Abs(slope-square) > .02*square+1e-4*math.Sqrt(square) {
			t.Errorf("%s: slope %.4e along the gradient, want %.4e", p.name, slope, square)
		}
	}
}

func TestOpenModelNamesWhatIsWrong(t *testing.T) {
	e, err := kernel.Open(kernel.Auto, 1)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ file, content, want string }{
		"no config":            {"config.json", "", "config.json"},
		"no weights":           {"model.safetensors", "", "model.safetensors"},
		"another architecture": {"config.json", `{"model_type":"gpt2"}`, "hidden_size"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tiny(t)
			path := filepath.Join(dir, c.file)
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if c.content != "" {
				if err := os.WriteFile(path, []byte(c.content), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := OpenModel(dir, 2, 1, e); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v does not name %s", err, c.want)
			}
		})
	}
}
