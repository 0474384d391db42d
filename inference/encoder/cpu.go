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

// chooseRuntime: see docs/decisions/encoder-runtime.md for the figures behind it.
func chooseRuntime(want, precision string) string {
	if want == OpenVINO || want == ONNXRuntime {
		return want
	}
	return OpenVINO
}
