package finetune

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"profilestream/inference/finetune/kernel"
	"profilestream/inference/onnx"
)

// Model is a BERT encoder with mean pooling over a text's tokens, unit length, and a
// linear classifier. One call at a time.
//
// The classifier reads the very vector that the product's encoder returns, times the
// root of its length, so that its elements are of the size of a layer's output.
type Model struct {
	config  onnx.Config
	engine  *kernel.Engine
	dropout dropoutRates

	params         []*param
	word, pos, typ *param
	embedNorm      norm
	layers         []layer
	head           linear

	batch
}

// dropoutRates are those of config.json.
type dropoutRates struct {
	Hidden    float64 `json:"hidden_dropout_prob"`
	Attention float64 `json:"attention_probs_dropout_prob"`
}

// layer is one of the encoder's: self-attention and a feed-forward net, each added to
// its input and normalised.
type layer struct {
	qkv, mix, up, down linear
	mixNorm, downNorm  norm

	x      []float32 // input [n, hidden]
	qkvY   []float32 // queries, keys and values [n, 3 hidden]
	probs  []float32 // attention, [length, length] a text and head
	ctx    []float32 // mixed values [n, hidden]
	mid    []float32 // input of up [n, hidden]
	slope  []float32 // gelu's derivative [n, intermediate]
	hidden []float32 // gelu's value
}

// OpenModel reads a Hugging Face BERT folder (config.json, model.safetensors) and puts a
// new classifier of the given number of classes on it.
func OpenModel(dir string, classes int, seed uint64, e *kernel.Engine) (*Model, error) {
	c, err := onnx.ReadConfig(dir)
	if err != nil {
		return nil, fmt.Errorf("opening weights: %w", err)
	}
	m := &Model{config: c, engine: e, dropout: dropoutRates{Hidden: .1, Attention: .1}}
	path := filepath.Join(dir, "config.json")
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &m.dropout)
	}
	if err == nil {
		err = m.dropout.validate()
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	t, err := onnx.ReadTensors(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		return nil, fmt.Errorf("opening weights: %w", err)
	}
	r := reader{m: m, t: t}
	r.encoder()
	if r.err != nil {
		return nil, fmt.Errorf("opening weights of %s: %w", dir, r.err)
	}
	m.head = linear{in: c.Hidden, out: classes,
		w: m.add("classifier.weight", make([]float32, classes*c.Hidden), true, classes, c.Hidden),
		b: m.add("classifier.bias", make([]float32, classes), false, classes)}
	m.head.w.head, m.head.b.head = true, true
	normal(m.head.w.w, .02, seed)
	return m, nil
}

func (d dropoutRates) validate() error {
	for name, p := range map[string]float64{"hidden_dropout_prob": d.Hidden, "attention_probs_dropout_prob": d.Attention} {
		if !(p >= 0 && p < 1) {
			return fmt.Errorf("%s: %v is outside [0, 1)", name, p)
		}
	}
	return nil
}

func (m *Model) add(name string, w []float32, decay bool, shape ...int) *param {
	p := &param{name: name, shape: shape, w: w, decay: decay}
	m.params = append(m.params, p)
	return p
}

// reader takes the tensors of a file; the first error sticks.
type reader struct {
	m   *Model
	t   *onnx.Tensors
	err error
}

func (r *reader) encoder() {
	m, c := r.m, r.m.config
	m.word = r.param(true, []int{c.Vocabulary, c.Hidden}, "embeddings.word_embeddings.weight")
	m.pos = r.param(true, []int{c.Positions, c.Hidden}, "embeddings.position_embeddings.weight")
	m.typ = r.param(true, []int{c.TokenTypes, c.Hidden}, "embeddings.token_type_embeddings.weight")
	for _, p := range []*param{m.word, m.pos, m.typ} {
		p.live = make([]bool, p.shape[0])
	}
	m.embedNorm = r.norm("embeddings.LayerNorm")
	m.layers = make([]layer, c.Layers)
	for i := range m.layers {
		l, p := &m.layers[i], fmt.Sprintf("encoder.layer.%d.", i)
		l.qkv = r.fused(p + "attention.self.")
		l.mix, l.mixNorm = r.linear(p+"attention.output.dense", c.Hidden, c.Hidden), r.norm(p+"attention.output.LayerNorm")
		l.up = r.linear(p+"intermediate.dense", c.Hidden, c.Intermediate)
		l.down, l.downNorm = r.linear(p+"output.dense", c.Intermediate, c.Hidden), r.norm(p+"output.LayerNorm")
	}
}

// floats reads a tensor under its plain name or with the prefix of task models.
func (r *reader) floats(shape []int, names ...string) []float32 {
	if r.err != nil {
		return nil
	}
	for _, n := range names {
		names = append(names, "bert."+n)
	}
	w, err := r.t.Float32(shape, names...)
	r.err = err
	return w
}

func (r *reader) param(decay bool, shape []int, names ...string) *param {
	return r.m.add(names[0], r.floats(shape, names...), decay, shape...)
}

func (r *reader) linear(name string, in, out int) linear {
	return linear{in: in, out: out, w: r.param(true, []int{out, in}, name+".weight"), b: r.param(false, []int{out}, name+".bias")}
}

func (r *reader) norm(name string) norm {
	h := []int{r.m.config.Hidden}
	return norm{gain: r.param(false, h, name+".weight", name+".gamma"), bias: r.param(false, h, name+".bias", name+".beta")}
}

// fusedParts are the three that one product computes.
var fusedParts = [...]string{"query", "key", "value"}

const fusedName = "qkv"

func (r *reader) fused(prefix string) linear {
	h := r.m.config.Hidden
	var w, b []float32
	for _, s := range fusedParts {
		w = append(w, r.floats([]int{h, h}, prefix+s+".weight")...)
		b = append(b, r.floats([]int{h}, prefix+s+".bias")...)
	}
	return linear{in: h, out: 3 * h, w: r.m.add(prefix+fusedName+".weight", w, true, 3*h, h), b: r.m.add(prefix+fusedName+".bias", b, false, 3*h)}
}

// checkIDs says which token the model does not know.
func (m *Model) checkIDs(texts [][]int32) error {
	for i, ids := range texts {
		if len(ids) == 0 || len(ids) > m.config.Positions {
			return fmt.Errorf("text %d has %d tokens, want 1..%d", i, len(ids), m.config.Positions)
		}
		for _, id := range ids {
			if id < 0 || int(id) >= m.config.Vocabulary {
				return fmt.Errorf("text %d has token %d, the model knows %d", i, id, m.config.Vocabulary)
			}
		}
	}
	return nil
}

// headScale is what a unit vector is multiplied by before the classifier.
func (m *Model) headScale() float32 { return float32(math.Sqrt(float64(m.config.Hidden))) }
