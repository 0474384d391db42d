// Package finetune trains a BERT encoder and a classifier on labelled texts, on the
// CPU, in Go.
//
// It owns the forward and backward pass over texts of their own lengths (no padding),
// AdamW with warm-up, decay and clipping, the split into training and validation,
// early stopping, checkpoints, the report of a run, and the export into the folder
// that bundles and profilectl train take an encoder from.
//
// Invariants: the same weights, examples, options and kernels give the same bits,
// whatever the number of threads, and whether or not the run was interrupted and
// resumed in between; validation examples teach nothing; files appear whole or not at
// all; gradients equal numeric ones of an independent float64 model.
//
// It trains no other architecture and runs on no accelerator.
package finetune
