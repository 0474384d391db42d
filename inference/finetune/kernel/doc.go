// Package kernel multiplies matrices and evaluates the element-wise functions that
// training a transformer spends its time in, in float32, on the CPU.
//
// It owns three sets of kernels, of which Open chooses the best the CPU runs: AVX-512,
// AVX2 with FMA, and portable Go. The assembly is written by gen; do not edit it.
//
// Invariants: a result depends on the set of kernels, never on the number of threads
// or on timing, because each output is summed by one worker in one order. Dropout
// masks are the same in every set.
//
// It knows nothing of layers and models.
package kernel

//go:generate go run ./gen
