package onnx

import (
	"encoding/binary"
	"math"
)

// proto builds a protobuf message field by field.
type proto []byte

func (p *proto) uvarint(v uint64) { *p = binary.AppendUvarint(*p, v) }

func (p *proto) varint(field int, v int64) {
	p.uvarint(uint64(field) << 3)
	p.uvarint(uint64(v))
}

func (p *proto) float(field int, v float32) {
	p.uvarint(uint64(field)<<3 | 5)
	*p = binary.LittleEndian.AppendUint32(*p, math.Float32bits(v))
}

// tag begins a length-delimited field whose n bytes follow.
func (p *proto) tag(field, n int) {
	p.uvarint(uint64(field)<<3 | 2)
	p.uvarint(uint64(n))
}

func (p *proto) bytes(field int, b []byte) {
	p.tag(field, len(b))
	*p = append(*p, b...)
}

func (p *proto) str(field int, s string) {
	p.tag(field, len(s))
	*p = append(*p, s...)
}

// fieldLen is the size of a length-delimited field with n bytes of content.
func fieldLen(field, n int) int {
	var p proto
	p.tag(field, n)
	return len(p) + n
}
