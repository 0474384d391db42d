package onnx

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
)

// Tensor is a float32 tensor to write, row-major.
type Tensor struct {
	Name  string
	Shape []int
	Data  []float32
}

// WriteTensors writes a new safetensors file of F32 tensors in the given order and
// syncs it.
func WriteTensors(path string, tensors []Tensor) error {
	header, err := tensorHeader(tensors)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	_, err = w.Write(header)
	var b [4]byte
	for _, t := range tensors {
		for _, v := range t.Data {
			binary.LittleEndian.PutUint32(b[:], math.Float32bits(v))
			if err == nil {
				_, err = w.Write(b[:])
			}
		}
	}
	if err = errors.Join(err, w.Flush(), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// tensorHeader is the length and the JSON of the header, padded to 8 bytes as the
// format's own writer does.
func tensorHeader(tensors []Tensor) ([]byte, error) {
	entries := map[string]entry{}
	var at int64
	for _, t := range tensors {
		e := entry{Dtype: "F32", Offsets: [2]int64{at, at + 4*int64(len(t.Data))}}
		n := 1
		for _, d := range t.Shape {
			e.Shape = append(e.Shape, int64(d))
			n *= d
		}
		if _, twice := entries[t.Name]; twice || n != len(t.Data) {
			return nil, fmt.Errorf("tensor %q of shape %v: listed twice, or %d values", t.Name, t.Shape, len(t.Data))
		}
		entries[t.Name] = e
		at = e.Offsets[1]
	}
	b, err := json.Marshal(entries)
	if err != nil {
		return nil, err
	}
	b = append(b, bytes.Repeat([]byte(" "), (8-len(b)%8)%8)...)
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(b))), b...), nil
}
