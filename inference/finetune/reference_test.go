package finetune

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"profilestream/inference/encoder/encodertest"
	"profilestream/inference/finetune/kernel"
)

// TestFirstStepsEqualPyTorch repeats the steps that testdata/reference.py recorded:
// forward, backward, clipping, schedule and AdamW must all agree to give the losses.
func TestFirstStepsEqualPyTorch(t *testing.T) {
	b, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	var ref struct {
		Torch                  string
		Classes, Batch, Warmup int
		Rate, Decay, Clip      float64
		HeadRate               float64 `json:"head_rate"`
		IDs                    [][]int32
		Labels                 []int
		Loss, Norm             []float64
	}
	if err := json.Unmarshal(b, &ref); err != nil {
		t.Fatal(err)
	}
	m := open(t, encodertest.Source(t), ref.Classes, kernel.Auto)
	for i := range m.head.w.w {
		m.head.w.w[i] = float32(.02 * math.Sin(1.7*float64(i)+.3))
	}
	for _, p := range m.params {
		p.prepare()
	}
	d := make([]float32, ref.Batch*ref.Classes)
	for step, want := range ref.Loss {
		lo, hi := step*ref.Batch, (step+1)*ref.Batch
		logits := m.forward(ref.IDs[lo:hi], dropper{})
		got := loss(logits, ref.Labels[lo:hi], d)
		m.backward(d)
		factor := schedule(step+1, ref.Warmup, len(ref.Loss))
		norm := m.update(rates{body: ref.Rate * factor, head: ref.HeadRate * factor, decay: ref.Decay, clip: ref.Clip, step: step + 1})
		t.Logf("step %d: loss %.7f, PyTorch %s %.7f; norm %.6f, %.6f", step+1, got, ref.Torch, want, norm, ref.Norm[step])
		if math.Abs(got-want) > 5e-6 || math.Abs(norm/ref.Norm[step]-1) > 5e-5 {
			t.Errorf("step %d: loss %.7f, want %.7f; norm %.6f, want %.6f", step+1, got, want, norm, ref.Norm[step])
		}
	}
}
