package encoder_test

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"testing"

	"profilestream/inference/encoder"
	"profilestream/inference/encoder/encodertest"
)

// cpuSeconds is the processor time of this process, all threads.
func cpuSeconds() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// BenchmarkEncode reports texts a CPU second for full rows of each padded length, with
// every slot busy. Input: ids spread over the vocabulary.
func BenchmarkEncode(b *testing.B) {
	for _, name := range runtimes {
		for _, precision := range []string{encoder.F32, encoder.BF16} {
			if precision == encoder.BF16 && name == encoder.ONNXRuntime {
				continue
			}
			for _, tokens := range []int{16, 32, 48, 64, 128} {
				for _, rows := range []int{8, 32} {
					b.Run(fmt.Sprintf("%s/%s/tokens=%d/rows=%d", name, precision, tokens, rows), func(b *testing.B) {
						benchEncode(b, name, precision, tokens, rows)
					})
				}
			}
		}
	}
}

func benchEncode(b *testing.B, name, precision string, tokens, rows int) {
	e, err := encoder.Open(encoder.Config{Dir: encodertest.Dir(b), Runtime: name, Precision: precision, Threads: 2})
	if err != nil {
		b.Skip("SKIPPED: ", err)
	}
	defer func() { _ = e.Close() }()
	batch := make([][]int32, rows)
	for i := range batch {
		batch[i] = make([]int32, tokens)
		for j := range batch[i] {
			batch[i][j] = int32(1000 + (i*7919+j*104729)%28000)
		}
	}
	run := func() {
		var wg sync.WaitGroup
		for range e.Slots() {
			wg.Go(func() {
				if _, err := e.Encode(context.Background(), batch); err != nil {
					b.Error(err)
				}
			})
		}
		wg.Wait()
	}
	run() // kernels for this shape are made once
	b.ReportAllocs()
	n, before := 0, cpuSeconds()
	for b.Loop() {
		run()
		n += e.Slots() * rows
	}
	b.ReportMetric(float64(n)/(cpuSeconds()-before), "texts/cpu-s")
}
