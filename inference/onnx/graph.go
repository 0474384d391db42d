package onnx

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
)

// Element types of TensorProto.DataType that the graphs here use.
const (
	Float = 1
	Int64 = 7
)

// irVersion 8 is the first that opset 17 (LayerNormalization) needs.
const irVersion, opset = 8, 17

// maxProtoBytes is protobuf's own limit on a message.
const maxProtoBytes = math.MaxInt32

// Graph collects the nodes, initialisers and ports of one ONNX graph. Values are
// named by strings; the zero Graph is ready. Not safe for concurrent use.
type Graph struct {
	nodes   proto
	tensors []tensorProto
	ports   proto
	count   int
}

// tensorProto keeps the weights out of the message until it is written, so that
// they are held once.
type tensorProto struct {
	head proto
	raw  []byte
}

// Attr is a named attribute of a node: int, float32 or []int64.
type Attr struct {
	Name  string
	Value any
}

// Floats adds a float32 initialiser; no dims means a scalar.
func (g *Graph) Floats(name string, w []float32, dims ...int) string {
	raw := make([]byte, 4*len(w))
	for i, v := range w {
		binary.LittleEndian.PutUint32(raw[4*i:], math.Float32bits(v))
	}
	return g.tensor(name, Float, raw, dims)
}

// Ints adds an int64 vector initialiser.
func (g *Graph) Ints(name string, v ...int64) string {
	var raw []byte
	for _, x := range v {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(x))
	}
	return g.tensor(name, Int64, raw, []int{len(v)})
}

func (g *Graph) tensor(name string, typ int64, raw []byte, dims []int) string {
	var h proto
	for _, d := range dims {
		h.varint(1, int64(d))
	}
	h.varint(2, typ)
	h.str(8, name)
	g.tensors = append(g.tensors, tensorProto{h, raw})
	return name
}

// Node adds an operator of the standard domain and returns its output's name.
func (g *Graph) Node(op string, attrs []Attr, in ...string) string {
	g.count++
	return g.NodeTo(fmt.Sprintf("%s_%d", op, g.count), op, attrs, in...)
}

// NodeTo is Node with a chosen output name.
func (g *Graph) NodeTo(out, op string, attrs []Attr, in ...string) string {
	var n proto
	for _, s := range in {
		n.str(1, s)
	}
	n.str(2, out)
	n.str(3, "node_"+out)
	n.str(4, op)
	for _, a := range attrs {
		n.bytes(5, attrProto(a))
	}
	g.nodes.bytes(1, n)
	return out
}

func attrProto(a Attr) proto {
	var t proto
	t.str(1, a.Name)
	switch v := a.Value.(type) {
	case int:
		t.varint(3, int64(v))
		t.varint(20, 2)
	case float32:
		t.float(2, v)
		t.varint(20, 1)
	case []int64:
		for _, x := range v {
			t.varint(8, x)
		}
		t.varint(20, 7)
	default:
		panic(fmt.Sprintf("onnx: attribute %s has type %T", a.Name, v))
	}
	return t
}

// Input declares an input; each dim is an int or the name of a free dimension.
func (g *Graph) Input(name string, typ int64, dims ...any) { g.port(11, name, typ, dims) }

// Output declares a value as an output.
func (g *Graph) Output(name string, typ int64, dims ...any) { g.port(12, name, typ, dims) }

func (g *Graph) port(field int, name string, typ int64, dims []any) {
	var shape, tensor, value, info proto
	for _, d := range dims {
		var x proto
		switch d := d.(type) {
		case int:
			x.varint(1, int64(d))
		case string:
			x.str(2, d)
		default:
			panic(fmt.Sprintf("onnx: dimension of %s has type %T", name, d))
		}
		shape.bytes(1, x)
	}
	tensor.varint(1, typ)
	tensor.bytes(2, shape)
	value.bytes(1, tensor)
	info.str(1, name)
	info.bytes(2, value)
	g.ports.bytes(field, info)
}

// Save writes the model atomically: a reader sees the old file or the whole new one.
func (g *Graph) Save(path string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".tmp*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	w := bufio.NewWriterSize(f, 1<<20)
	if err = g.write(w); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err = w.Flush(); err != nil {
		return err
	}
	if err = f.Chmod(0o644); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func (g *Graph) write(w io.Writer) error {
	var head, name, set, tail proto
	head.varint(1, irVersion)
	head.str(2, "profilestream")
	name.str(2, "encoder")
	set.str(1, "")
	set.varint(2, opset)
	tail.bytes(8, set)

	size := len(g.nodes) + len(name) + len(g.ports)
	for i := range g.tensors {
		size += fieldLen(5, g.tensors[i].size())
	}
	if size > maxProtoBytes {
		return fmt.Errorf("graph of %d bytes is above protobuf's limit of %d", size, maxProtoBytes)
	}
	head.tag(7, size)
	for _, b := range [][]byte{head, g.nodes, name} {
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	for i := range g.tensors {
		t := &g.tensors[i]
		var h proto
		h.tag(5, t.size())
		h = append(h, t.head...)
		h.tag(9, len(t.raw))
		if _, err := w.Write(h); err != nil {
			return err
		}
		if _, err := w.Write(t.raw); err != nil {
			return err
		}
	}
	for _, b := range [][]byte{g.ports, tail} {
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return nil
}

func (t *tensorProto) size() int { return len(t.head) + fieldLen(9, len(t.raw)) }
