package onnx

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"sort"
	"strings"
)

// maxHeaderBytes is the limit the safetensors format itself sets.
const maxHeaderBytes = 100_000_000

// Tensors is a safetensors file read into memory.
type Tensors struct {
	entries map[string]entry
	data    []byte
}

type entry struct {
	Dtype   string   `json:"dtype"`
	Shape   []int64  `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

// dtypeBytes lists the element sizes of the format; only float types can be read as weights.
var dtypeBytes = map[string]int64{
	"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1,
	"U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1, "F8_E5M2": 1, "F8_E4M3": 1,
}

// ReadTensors reads a safetensors file.
func ReadTensors(path string) (*Tensors, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	t, err := ParseTensors(b)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return t, nil
}

// ParseTensors checks a whole safetensors file held in b, which the result aliases.
// The data of all tensors must cover the rest of the file without holes or overlaps.
func ParseTensors(b []byte) (*Tensors, error) {
	if len(b) < 8 {
		return nil, fmt.Errorf("safetensors: %d bytes, no header length", len(b))
	}
	n := binary.LittleEndian.Uint64(b)
	if n > maxHeaderBytes || n > uint64(len(b)-8) {
		return nil, fmt.Errorf("safetensors: header of %d bytes in a file of %d", n, len(b))
	}
	t := &Tensors{data: b[8+n:]}
	var err error
	if t.entries, err = parseHeader(b[8 : 8+n]); err != nil {
		return nil, err
	}
	return t, t.checkCover()
}

func parseHeader(h []byte) (map[string]entry, error) {
	d := json.NewDecoder(bytes.NewReader(h))
	if tok, err := d.Token(); err != nil || tok != json.Delim('{') {
		return nil, errors.New("safetensors: header is not a JSON object")
	}
	m := map[string]entry{}
	for d.More() {
		tok, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("safetensors: header: %w", err)
		}
		name, _ := tok.(string)
		if name == "__metadata__" {
			var skip map[string]string
			if err := d.Decode(&skip); err != nil {
				return nil, fmt.Errorf("safetensors: __metadata__: %w", err)
			}
			continue
		}
		if _, twice := m[name]; twice {
			return nil, fmt.Errorf("safetensors: tensor %q listed twice", name)
		}
		var e entry
		if err := d.Decode(&e); err != nil {
			return nil, fmt.Errorf("safetensors: tensor %q: %w", name, err)
		}
		if err := e.check(); err != nil {
			return nil, fmt.Errorf("safetensors: tensor %q: %w", name, err)
		}
		m[name] = e
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("safetensors: header: %w", err)
	}
	return m, nil
}

func (e entry) check() error {
	size, ok := dtypeBytes[e.Dtype]
	if !ok {
		return fmt.Errorf("unknown dtype %q", e.Dtype)
	}
	for _, d := range e.Shape {
		if d < 0 || (d > 0 && size > math.MaxInt64/d) {
			return fmt.Errorf("impossible shape %v", e.Shape)
		}
		size *= d
	}
	if e.Offsets[0] < 0 || e.Offsets[1] < e.Offsets[0] || e.Offsets[1]-e.Offsets[0] != size {
		return fmt.Errorf("offsets %v do not hold %s%v (%d bytes)", e.Offsets, e.Dtype, e.Shape, size)
	}
	return nil
}

func (t *Tensors) checkCover() error {
	names := make([]string, 0, len(t.entries))
	for n := range t.entries {
		names = append(names, n)
	}
	sort.Slice(names, func(i, j int) bool {
		a, b := t.entries[names[i]].Offsets, t.entries[names[j]].Offsets
		if a != b {
			return a[0] < b[0] || (a[0] == b[0] && a[1] < b[1])
		}
		return names[i] < names[j]
	})
	end := int64(0)
	for _, n := range names {
		o := t.entries[n].Offsets
		if o[0] != end {
			return fmt.Errorf("safetensors: tensor %q begins at %d, want %d", n, o[0], end)
		}
		end = o[1]
	}
	if end != int64(len(t.data)) {
		return fmt.Errorf("safetensors: tensors end at %d, file holds %d", end, len(t.data))
	}
	return nil
}

// Float32 returns the named tensor as float32, converting F16 and BF16. The shape
// must be dims. The first name that exists counts, so aliases can be given.
func (t *Tensors) Float32(dims []int, names ...string) ([]float32, error) {
	for _, n := range names {
		e, ok := t.entries[n]
		if !ok {
			continue
		}
		if !sameShape(e.Shape, dims) {
			return nil, fmt.Errorf("tensor %q has shape %v, want %v", n, e.Shape, dims)
		}
		w, err := decodeFloats(e.Dtype, t.data[e.Offsets[0]:e.Offsets[1]])
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", n, err)
		}
		return w, nil
	}
	return nil, fmt.Errorf("tensor missing: %s (shape %v)", strings.Join(names, " or "), dims)
}

func sameShape(got []int64, want []int) bool {
	if len(got) != len(want) {
		return false
	}
	for i, d := range got {
		if d != int64(want[i]) {
			return false
		}
	}
	return true
}

func decodeFloats(dtype string, b []byte) ([]float32, error) {
	var w []float32
	switch dtype {
	case "F32":
		w = make([]float32, len(b)/4)
		for i := range w {
			w[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		}
	case "BF16":
		w = make([]float32, len(b)/2)
		for i := range w {
			w[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(b[2*i:])) << 16)
		}
	case "F16":
		w = make([]float32, len(b)/2)
		for i := range w {
			w[i] = halfToFloat(binary.LittleEndian.Uint16(b[2*i:]))
		}
	default:
		return nil, fmt.Errorf("dtype %s is not a weight type (F32, F16, BF16)", dtype)
	}
	for i, v := range w {
		if v-v != 0 {
			return nil, fmt.Errorf("element %d is not finite", i)
		}
	}
	return w, nil
}

// halfToFloat widens an IEEE half, subnormals included.
func halfToFloat(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exp, frac := uint32(h>>10)&31, uint32(h)&0x3ff
	switch {
	case exp == 31:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	case exp != 0:
		return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
	}
	v := float32(frac) / (1 << 24)
	if sign != 0 {
		v = -v
	}
	return v
}
