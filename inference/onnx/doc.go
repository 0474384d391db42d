// Package onnx writes the ONNX graph of a BERT encoder from a Hugging Face folder.
//
// It owns the safetensors reader, the protobuf encoding of ONNX graphs and the
// shape of the encoder graph: int64 input_ids and attention_mask [batch, seq] in,
// float32 embedding [batch, hidden] out, mean-pooled over the mask and of unit length.
//
// Invariants: the same folder gives the same bytes; a tensor that is missing, of
// another shape or outside its file is an error that names it; nothing is invented.
//
// It never runs a graph and knows no runtime.
package onnx
