package encoder

import (
	"runtime"

	"golang.org/x/sys/cpu"
)

// hasBF16 reports whether the CPU multiplies bf16 in hardware.
func hasBF16() bool { return cpu.X86.HasAVX512BF16 || cpu.X86.HasAMXBF16 }

// instructionSet names what the kernels of the runtimes are chosen by: vectors may
// differ in the last bits between sets, so it is part of an encoder's version.
func instructionSet() string {
	switch {
	case cpu.X86.HasAMXBF16:
		return "amx_bf16"
	case cpu.X86.HasAVX512BF16:
		return "avx512_bf16"
	case cpu.X86.HasAVX512VNNI:
		return "avx512_vnni"
	case cpu.X86.HasAVX512F:
		return "avx512"
	case cpu.X86.HasAVX2:
		return "avx2"
	}
	return runtime.GOARCH
}

// chooseRuntime takes the faster runtime that keeps a row's bits in any batch; see
// docs/decisions/0011-encoder-runtime.md for the figures. ONNX Runtime is ahead in f32
// on AVX2; with AVX-512 its kernels depend on batch mates in the last bits.
func chooseRuntime(want, precision string) string {
	if want == OpenVINO || want == ONNXRuntime {
		return want
	}
	if precision == F32 && cpu.X86.HasAVX2 && !cpu.X86.HasAVX512F {
		return ONNXRuntime
	}
	return OpenVINO
}

// batchTokens is the size of batch that is encoded fastest: the layers' activations then
// stay in a core's cache.
func batchTokens(precision string) int {
	if precision == BF16 {
		return 1024
	}
	return 512
}
