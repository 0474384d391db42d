// Package encoder runs a BERT graph: token ids in, unit vectors out.
//
// It owns the Encoder interface and its two implementations, OpenVINO (C API) and
// ONNX Runtime, both opened at run time from the cache folder, so that a binary
// starts without either.
//
// Invariants: a row's vector does not depend on the other rows of its batch; rows are
// padded to a multiple of 16; precision is never chosen by the runtime; a vector that
// is not finite is an error. Encode is safe for concurrent use, and a call that hangs
// costs its own slot, not the caller.
//
// It never sees text, never caches, and never retries.
package encoder
