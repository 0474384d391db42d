package onnx

import (
	"encoding/binary"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func file(header string, data []byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), data...)
}

func TestParseTensorsRefuses(t *testing.T) {
	eight := make([]byte, 8)
	for _, c := range []struct {
		name string
		b    []byte
		want string
	}{
		{"empty", nil, "no header length"},
		{"short header", append(binary.LittleEndian.AppendUint64(nil, 50), '{'), "header of 50 bytes"},
		{"huge header", binary.LittleEndian.AppendUint64(nil, math.MaxUint64), "header of"},
		{"array", file(`[]`, nil), "not a JSON object"},
		{"cut", file(`{"a":`, nil), "safetensors"},
		{"unclosed", file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`, eight), "header"},
		{"twice", file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, eight), "twice"},
		{"dtype", file(`{"a":{"dtype":"F31","shape":[2],"data_offsets":[0,8]}}`, eight), "F31"},
		{"shape", file(`{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, eight), "do not hold"},
		{"negative", file(`{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,8]}}`, eight), "impossible"},
		{"overflow", file(`{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}}`, eight), "impossible"},
		{"backward", file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}`, eight), "do not hold"},
		{"hole", file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, eight), "begins at 4"},
		{"overlap", file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, eight), `"b" begins at 4`},
		{"beyond", file(`{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}`, eight), "file holds 8"},
		{"trailing", file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, eight), "end at 4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := ParseTensors(c.b); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestFloat32ReadsEachType(t *testing.T) {
	want := []float32{1.5, -2, 0, 0.25}
	var f32, f16, bf16 []byte
	for i, v := range want {
		f32 = binary.LittleEndian.AppendUint32(f32, math.Float32bits(v))
		f16 = binary.LittleEndian.AppendUint16(f16, []uint16{0x3e00, 0xc000, 0, 0x3400}[i])
		bf16 = binary.LittleEndian.AppendUint16(bf16, uint16(math.Float32bits(v)>>16))
	}
	for dtype, data := range map[string][]byte{"F32": f32, "F16": f16, "BF16": bf16} {
		end := map[string]string{"F32": "16", "F16": "8", "BF16": "8"}[dtype]
		ts, err := ParseTensors(file(`{"__metadata__":{"format":"pt"},"a":{"dtype":"`+dtype+`","shape":[2,2],"data_offsets":[0,`+end+`]}}`, data))
		if err != nil {
			t.Fatal(err)
		}
		got, err := ts.Float32([]int{2, 2}, "x", "a")
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s: got %v, want %v", dtype, got, want)
			}
		}
		if _, err := ts.Float32([]int{4}, "a"); err == nil || !strings.Contains(err.Error(), `"a" has shape [2 2], want [4]`) {
			t.Errorf("%s: error %v does not name tensor and shape", dtype, err)
		}
		if _, err := ts.Float32([]int{4}, "b", "bert.b"); err == nil || !strings.Contains(err.Error(), "b or bert.b") {
			t.Errorf("%s: error %v does not name the missing tensor", dtype, err)
		}
	}
}

func TestFloat32RefusesWhatIsNotFinite(t *testing.T) {
	nan := binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(math.NaN())))
	ts, err := ParseTensors(file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, nan))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ts.Float32([]int{1}, "a"); err == nil || !strings.Contains(err.Error(), "not finite") {
		t.Errorf("error %v", err)
	}
}

func TestHalfToFloat(t *testing.T) {
	for h, want := range map[uint16]float32{0: 0, 0x3c00: 1, 0x7bff: 65504, 1: 5.9604645e-8, 0x03ff: 6.097555e-5, 0x8400: -6.1035156e-5} {
		if got := halfToFloat(h); got != want {
			t.Errorf("halfToFloat(%#x) = %g, want %g", h, got, want)
		}
	}
	if v := halfToFloat(0xfc00); !math.IsInf(float64(v), -1) {
		t.Errorf("halfToFloat(0xfc00) = %g", v)
	}
}

func FuzzParseTensors(f *testing.F) {
	f.Add(file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, make([]byte, 8)))
	f.Add(file(`{"__metadata__":{},"a":{"dtype":"F16","shape":[],"data_offsets":[0,2]}}`, make([]byte, 2)))
	f.Fuzz(func(t *testing.T, b []byte) {
		ts, err := ParseTensors(b)
		if err != nil {
			return
		}
		for name, e := range ts.entries {
			var dims []int
			for _, d := range e.Shape {
				dims = append(dims, int(d))
			}
			_, _ = ts.Float32(dims, name)
		}
	})
}

func TestWrittenTensorsReadBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.safetensors")
	want := []Tensor{{"b.weight", []int{2, 3}, []float32{1, 2, 3, 4, -5, .5}}, {"a.bias", []int{1}, []float32{7}}}
	if err := WriteTensors(path, want); err != nil {
		t.Fatal(err)
	}
	r, err := ReadTensors(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range want {
		if got, err := r.Float32(w.Shape, w.Name); err != nil || !slices.Equal(got, w.Data) {
			t.Errorf("%s: %v, %v", w.Name, got, err)
		}
	}
	for name, bad := range map[string][]Tensor{"twice": {want[1], want[1]}, "shape": {{"x", []int{2}, []float32{1}}}} {
		if err := WriteTensors(filepath.Join(t.TempDir(), "bad"), bad); err == nil {
			t.Errorf("%s: was written", name)
		}
	}
}
