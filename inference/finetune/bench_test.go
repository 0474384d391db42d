package finetune

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"profilestream/inference/encoder/encodertest"
	"profilestream/inference/finetune/kernel"
)

// BenchmarkStep is a training step of MiniLM on a batch of 32, dropout included: of 128
// tokens each, which costs what padding to 128 does, and of real requests. Compare with
// testdata/reference.py time.
func BenchmarkStep(b *testing.B) {
	dir := encodertest.Source(b)
	r := rand.New(rand.NewPCG(1, 1))
	full := make([][]int32, 32)
	for i := range full {
		for range 128 {
			full[i] = append(full[i], int32(1000+r.IntN(29000)))
		}
	}
	for _, name := range kernel.Names() {
		if name == kernel.Portable {
			continue // minutes a step
		}
		b.Run(name+"/tokens=128", func(b *testing.B) { benchSteps(b, dir, name, [][][]int32{full}) })
		b.Run(name+"/requests", func(b *testing.B) { benchSteps(b, dir, name, requests(b, dir)) })
	}
}

// requests are batches of 32 of the texts that reference.py takes.
func requests(b *testing.B, dir string) [][][]int32 {
	folder := os.Getenv("PROFILESTREAM_DATA")
	if folder == "" {
		b.Skip("SKIPPED: PROFILESTREAM_DATA names no folder with clinc150_dev.csv.gz")
	}
	all, err := ReadExamples(filepath.Join(folder, "clinc150_dev.csv.gz"), Columns{Text: "text", Label: "domain"})
	if err != nil {
		b.Fatal(err)
	}
	tok, err := openTokenizer(dir)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = tok.Close() }()
	const steps = 16
	var out [][][]int32
	for s := range steps {
		var texts [][]int32
		for i := range 32 {
			texts = append(texts, tok.Encode(all[(s*32+i)*(15000/(steps*32))].Text, 0))
		}
		out = append(out, texts)
	}
	return out
}

func benchSteps(b *testing.B, dir, kernels string, batches [][][]int32) {
	m := open(b, dir, 10, kernels)
	for _, p := range m.params {
		p.prepare()
	}
	labels := make([]int, 32)
	for i := range labels {
		labels[i] = i % 10
	}
	d, step := make([]float32, 320), 0
	once := func() {
		step++
		logits := m.forward(batches[step%len(batches)], dropper{on: true, seed: dropoutSeed(1, step)})
		loss(logits, labels, d)
		m.backward(d)
		m.update(rates{body: 1e-5, head: 1e-3, decay: .01, clip: 1, step: step})
	}
	once() // allocates
	start := cpuTime()
	for b.Loop() {
		once()
	}
	b.ReportMetric((cpuTime()-start).Seconds()/float64(b.N), "cpu-s/step")
	if peak := peakMiB(); peak > 0 {
		b.ReportMetric(peak, "peak-MiB")
	}
}
