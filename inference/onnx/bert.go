package onnx

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
)

// Config is the part of a Hugging Face config.json that shapes a BertModel.
type Config struct {
	ModelType    string  `json:"model_type"`
	Hidden       int     `json:"hidden_size"`
	Layers       int     `json:"num_hidden_layers"`
	Heads        int     `json:"num_attention_heads"`
	Intermediate int     `json:"intermediate_size"`
	Vocabulary   int     `json:"vocab_size"`
	Positions    int     `json:"max_position_embeddings"`
	TokenTypes   int     `json:"type_vocab_size"`
	Activation   string  `json:"hidden_act"`
	PositionType string  `json:"position_embedding_type"`
	Epsilon      float64 `json:"layer_norm_eps"`
}

// ReadConfig reads and checks dir/config.json.
func ReadConfig(dir string) (Config, error) {
	path := filepath.Join(dir, "config.json")
	b, err := os.ReadFile(path)
	if err != nil {
		return Config{}, err
	}
	c := Config{Epsilon: 1e-12, PositionType: "absolute"}
	if err := json.Unmarshal(b, &c); err != nil {
		return Config{}, fmt.Errorf("reading %s: %w", path, err)
	}
	if err := c.Validate(); err != nil {
		return Config{}, fmt.Errorf("reading %s: %w", path, err)
	}
	return c, nil
}

// Validate names the key that does not describe a BERT encoder this package can write.
func (c Config) Validate() error {
	for _, k := range []struct {
		key string
		v   int
	}{
		{"hidden_size", c.Hidden}, {"num_hidden_layers", c.Layers}, {"num_attention_heads", c.Heads},
		{"intermediate_size", c.Intermediate}, {"vocab_size", c.Vocabulary},
		{"max_position_embeddings", c.Positions}, {"type_vocab_size", c.TokenTypes},
	} {
		if k.v <= 0 || k.v > 1<<24 {
			return fmt.Errorf("%s: %d is no size", k.key, k.v)
		}
	}
	switch {
	case c.ModelType != "bert":
		return fmt.Errorf("model_type: %q, want bert", c.ModelType)
	case c.Activation != "gelu":
		return fmt.Errorf("hidden_act: %q, want gelu", c.Activation)
	case c.PositionType != "absolute":
		return fmt.Errorf("position_embedding_type: %q, want absolute", c.PositionType)
	case c.Hidden%c.Heads != 0:
		return fmt.Errorf("hidden_size: %d is no multiple of num_attention_heads %d", c.Hidden, c.Heads)
	case c.Epsilon <= 0 || c.Epsilon >= 1:
		return fmt.Errorf("layer_norm_eps: %g is outside (0, 1)", c.Epsilon)
	}
	return nil
}

// maskBias is added to the scores of padding: large enough for exp to give an exact
// zero, so that padding adds nothing to a sum, and inside bf16's range.
const maskBias = -1e9

// bert adds the layers of one encoder to a graph; the first error sticks.
type bert struct {
	g   *Graph
	c   Config
	w   *Tensors
	err error
}

// AppendBERT adds inputs, embeddings and all layers to g. It returns the names of the
// last hidden state [batch, seq, hidden] and of the float mask [batch, seq].
func AppendBERT(g *Graph, c Config, w *Tensors) (hidden, mask string, err error) {
	b := &bert{g: g, c: c, w: w}
	g.Input("input_ids", Int64, "batch", "seq")
	g.Input("attention_mask", Int64, "batch", "seq")
	g.Ints("zero", 0)
	g.Ints("one", 1)
	g.Ints("two", 2)
	x := b.embeddings()
	mask = g.Node("Cast", []Attr{{"to", Float}}, "attention_mask")
	four := g.Node("Unsqueeze", nil, mask, g.Ints("axes_mask", 1, 2))
	bias := g.Node("Mul", nil, g.Node("Sub", nil, g.Floats("unit", []float32{1}), four), g.Floats("mask_bias", []float32{maskBias}))
	b.constants()
	for i := range c.Layers {
		x = b.layer(fmt.Sprintf("encoder.layer.%d.", i), x, bias)
	}
	return x, mask, b.err
}

// AppendPooling adds the mean over the mask and the L2 norm, as output "embedding".
func AppendPooling(g *Graph, hidden, mask string, dim int) {
	m := g.Node("Unsqueeze", nil, mask, "one") // [batch, 1, seq]
	sum := g.Node("Squeeze", nil, g.Node("MatMul", nil, m, hidden), "one")
	mean := g.Node("Div", nil, sum, g.Node("ReduceSum", []Attr{{"keepdims", 1}}, mask, "one"))
	norm := g.Node("ReduceL2", []Attr{{"axes", []int64{1}}, {"keepdims", 1}}, mean)
	g.NodeTo("embedding", "Div", nil, mean, g.Node("Max", nil, norm, g.Floats("tiny", []float32{1e-12})))
	g.Output("embedding", Float, "batch", dim)
}

func (b *bert) constants() {
	d := b.c.Hidden / b.c.Heads
	b.g.Ints("shape_heads", 0, 0, int64(b.c.Heads), int64(d))
	b.g.Ints("shape_hidden", 0, 0, int64(b.c.Hidden))
	b.g.Floats("score_scale", []float32{float32(1 / math.Sqrt(float64(d)))})
	b.g.Floats("half", []float32{0.5})
	b.g.Floats("root_two", []float32{math.Sqrt2})
}

// embeddings folds token type 0 into the positions, which are sliced rather than
// gathered: their order is known, and a slice costs no index tensor.
func (b *bert) embeddings() string {
	g, e := b.g, "embeddings."
	word := b.weight(e+"word_embeddings.weight", b.c.Vocabulary, b.c.Hidden)
	pos := b.weight(e+"position_embeddings.weight", b.c.Positions, b.c.Hidden)
	typ := b.weight(e+"token_type_embeddings.weight", b.c.TokenTypes, b.c.Hidden)
	if b.err == nil {
		for i := range pos {
			pos[i] += typ[i%b.c.Hidden]
		}
	}
	g.Floats("word", word, b.c.Vocabulary, b.c.Hidden)
	g.Floats("positions", pos, b.c.Positions, b.c.Hidden)
	seq := g.Node("Slice", nil, g.Node("Shape", nil, "input_ids"), "one", "two", "zero")
	at := g.Node("Slice", nil, "positions", "zero", seq, "zero")
	x := g.Node("Add", nil, g.Node("Gather", []Attr{{"axis", 0}}, "word", "input_ids"), at)
	return b.norm(e+"LayerNorm", x)
}

func (b *bert) layer(p, x, bias string) string {
	g := b.g
	q := b.heads(p+"attention.self.query", x, 0, 2, 1, 3)
	k := b.heads(p+"attention.self.key", x, 0, 2, 3, 1)
	v := b.heads(p+"attention.self.value", x, 0, 2, 1, 3)
	score := g.Node("Add", nil, g.Node("Mul", nil, g.Node("MatMul", nil, q, k), "score_scale"), bias)
	mix := g.Node("MatMul", nil, g.Node("Softmax", []Attr{{"axis", -1}}, score), v)
	mix = g.Node("Reshape", nil, g.Node("Transpose", []Attr{{"perm", []int64{0, 2, 1, 3}}}, mix), "shape_hidden")
	x = b.norm(p+"attention.output.LayerNorm", g.Node("Add", nil, b.linear(p+"attention.output.dense", mix, b.c.Hidden, b.c.Hidden), x))
	h := b.linear(p+"intermediate.dense", x, b.c.Hidden, b.c.Intermediate)
	h = b.linear(p+"output.dense", b.gelu(h), b.c.Intermediate, b.c.Hidden)
	return b.norm(p+"output.LayerNorm", g.Node("Add", nil, h, x))
}

func (b *bert) heads(name, x string, perm ...int64) string {
	y := b.linear(name, x, b.c.Hidden, b.c.Hidden)
	return b.g.Node("Transpose", []Attr{{"perm", perm}}, b.g.Node("Reshape", nil, y, "shape_heads"))
}

// gelu is written with Erf, the exact form, which both runtimes fuse into one kernel.
func (b *bert) gelu(h string) string {
	erf := b.g.Node("Erf", nil, b.g.Node("Div", nil, h, "root_two"))
	return b.g.Node("Mul", nil, b.g.Node("Mul", nil, h, b.g.Node("Add", nil, erf, "unit")), "half")
}

func (b *bert) linear(name, x string, in, out int) string {
	w := transpose(b.weight(name+".weight", out, in), out, in)
	y := b.g.Node("MatMul", nil, x, b.g.Floats(name+".weight", w, in, out))
	return b.g.Node("Add", nil, y, b.g.Floats(name+".bias", b.weight(name+".bias", out), out))
}

func (b *bert) norm(name, x string) string {
	// Checkpoints converted from TensorFlow call the two vectors gamma and beta.
	w := b.g.Floats(name+".weight", b.weightAs([]int{b.c.Hidden}, name+".weight", name+".gamma"), b.c.Hidden)
	v := b.g.Floats(name+".bias", b.weightAs([]int{b.c.Hidden}, name+".bias", name+".beta"), b.c.Hidden)
	return b.g.Node("LayerNormalization", []Attr{{"axis", -1}, {"epsilon", float32(b.c.Epsilon)}}, x, w, v)
}

func (b *bert) weight(name string, dims ...int) []float32 { return b.weightAs(dims, name) }

// weightAs tries each name plain and under the "bert." prefix of task models.
func (b *bert) weightAs(dims []int, names ...string) []float32 {
	if b.err != nil {
		return nil
	}
	for _, n := range names {
		names = append(names, "bert."+n)
	}
	w, err := b.w.Float32(dims, names...)
	b.err = err
	return w
}

func transpose(w []float32, rows, cols int) []float32 {
	t := make([]float32, len(w))
	if len(w) == 0 {
		return t
	}
	for i := range rows {
		for j := range cols {
			t[j*rows+i] = w[i*cols+j]
		}
	}
	return t
}
