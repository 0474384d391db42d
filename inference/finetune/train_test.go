package finetune

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"profilestream/inference/encoder"
	"profilestream/inference/token"
)

// moods is texts whose label a few of the words decide.
func moods(n int) []Example {
	r := rand.New(rand.NewPCG(4, 4))
	glad, sad, other := strings.Fields("lovely thank tea song"), strings.Fields("broken late refund knife"), strings.Fields("red blue wool silk scarf coat the my is")
	out := make([]Example, n)
	for i := range out {
		w := []string{other[r.IntN(len(other))], other[r.IntN(len(other))], other[r.IntN(len(other))]}
		out[i].Label = No
		from := sad
		if i%3 == 0 {
			out[i].Label, from = Yes, glad
		}
		w[r.IntN(2)] = from[r.IntN(len(from))]
		out[i].Text = strings.Join(w[:2+r.IntN(2)], " ")
	}
	return out
}

func quick() Options {
	return Options{Epochs: 4, Batch: 8, Rate: 3e-3, HeadRate: 3e-2, Seed: 5, Patience: 4, Threads: 2}
}

func mustRun(t *testing.T, dir string, o Options) *Result {
	t.Helper()
	r, err := Run(context.Background(), dir, moods(90), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func weights(r *Result) []float32 {
	var out []float32
	for _, p := range r.Model.params {
		out = append(out, p.w...)
	}
	return out
}

// outcome is what must repeat: the epochs without their times.
func outcome(r *Result) []Epoch {
	out := slices.Clone(r.Report.Epochs)
	for i := range out {
		out[i].Seconds, out[i].CPUSeconds, out[i].TrainSeconds, out[i].TrainCPUSeconds = 0, 0, 0, 0
	}
	return out
}

func TestLearns(t *testing.T) {
	var seen []int
	o := quick()
	o.Epoch = func(e Epoch) { seen = append(seen, e.Number) }
	r, err := Run(context.Background(), tiny(t), moods(300), o)
	if err != nil {
		t.Fatal(err)
	}
	first, best := r.Report.Epochs[0], r.Report.BestEpoch()
	if best.Accuracy < .9 || best.F1 < .85 || !(best.Loss < first.TrainLoss) {
		t.Errorf("best epoch %+v after first %+v", best, first)
	}
	if !slices.Equal(seen, []int{1, 2, 3, 4}) || r.Report.Train != 240 || r.Report.Validation != 60 {
		t.Errorf("epochs %v, %d to train, %d to validate", seen, r.Report.Train, r.Report.Validation)
	}
	if r.Report.Positive != Yes {
		t.Errorf("positive class %q", r.Report.Positive)
	}
}

func TestRunsRepeatWhateverTheThreads(t *testing.T) {
	dir, o := tiny(t), quick()
	want := mustRun(t, dir, o)
	for _, threads := range []int{1, 3} {
		o.Threads = threads
		got := mustRun(t, dir, o)
		if !slices.Equal(weights(got), weights(want)) {
			t.Errorf("%d threads: other weights", threads)
		}
		if d := cmp.Diff(outcome(want), outcome(got)); d != "" {
			t.Errorf("%d threads: %s", threads, d)
		}
	}
	o.Seed++
	if slices.Equal(weights(mustRun(t, dir, o)), weights(want)) {
		t.Error("another seed gives the same weights")
	}
}

// TestResumeEqualsNoInterruption stops runs in the middle of an epoch.
func TestResumeEqualsNoInterruption(t *testing.T) {
	dir := tiny(t)
	want := mustRun(t, dir, quick())
	for _, stopIn := range []string{"epoch 1 of 4", "epoch 3 of 4", "validating epoch 3"} {
		t.Run(stopIn, func(t *testing.T) {
			o := quick()
			o.Checkpoint = filepath.Join(t.TempDir(), "checkpoint")
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			o.Progress = func(stage string, done, _ int) {
				if stage == stopIn && done > 3 {
					cancel()
				}
			}
			if _, err := Run(ctx, dir, moods(90), o); !errors.Is(err, context.Canceled) {
				t.Fatalf("interrupted run: %v", err)
			}
			o.Progress, o.Resume = nil, true
			got := mustRun(t, dir, o)
			if !slices.Equal(weights(got), weights(want)) {
				t.Error("other weights than without the interruption")
			}
			if d := cmp.Diff(outcome(want), outcome(got)); d != "" {
				t.Error(d)
			}
			// A finished run resumes to its result.
			if !slices.Equal(weights(mustRun(t, dir, o)), weights(want)) {
				t.Error("resuming the finished run changes the weights")
			}
		})
	}
}

func TestResumeRefuses(t *testing.T) {
	dir := tiny(t)
	o := quick()
	o.Epochs, o.Checkpoint = 1, filepath.Join(t.TempDir(), "checkpoint")
	mustRun(t, dir, o)
	whole, err := os.ReadFile(o.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	o.Resume = true
	flipped := slices.Clone(whole)
	flipped[len(flipped)/2] ^= 1
	for _, c := range []struct {
		name, want string
		file       []byte
		change     func(*Options)
	}{
		{"another rate", "other weights, examples or options", whole, func(o *Options) { o.Rate *= 2 }},
		{"another seed", "other weights, examples or options", whole, func(o *Options) { o.Seed++ }},
		{"a flipped bit", "checksum", flipped, nil},
		{"cut off", "ends early", whole[:len(whole)-100], nil},
		{"something else", "no checkpoint", []byte("hello"), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := o
			o.Checkpoint = filepath.Join(t.TempDir(), "checkpoint")
			if err := os.WriteFile(o.Checkpoint, c.file, 0o644); err != nil {
				t.Fatal(err)
			}
			if c.change != nil {
				c.change(&o)
			}
			_, err := Run(context.Background(), dir, moods(90), o)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), o.Checkpoint) {
				t.Errorf("error %v, want %q and the file's name", err, c.want)
			}
		})
	}
}

// TestStopsEarly: with a rate that wrecks the model the loss rises, and the weights of
// the best epoch come back.
func TestStopsEarly(t *testing.T) {
	o := quick()
	o.Epochs, o.Rate, o.HeadRate, o.Patience, o.Warmup = 40, .5, .5, 2, -1
	r := mustRun(t, tiny(t), o)
	if n := len(r.Report.Epochs); n >= 40 || n != r.Report.Best+2 {
		t.Errorf("%d epochs, best %d", n, r.Report.Best)
	}
	o.Progress = func(string, int, int) {}
	again := &run{o: &o, m: r.Model, d: mustLoad(t, r.source, o)}
	m, _, err := again.validate(context.Background(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if m != r.Report.BestEpoch().Metrics {
		t.Errorf("kept weights give %+v, the best epoch had %+v", m, r.Report.BestEpoch().Metrics)
	}
}

func mustLoad(t *testing.T, dir string, o Options) *data {
	t.Helper()
	tok, err := openTokenizer(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tok.Close() }()
	if err := o.defaults(); err != nil {
		t.Fatal(err)
	}
	d, err := load(moods(90), tok, &o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestExportServes opens the export with the product's runtime and compares vectors and
// probabilities with the Go forward pass.
func TestExportServes(t *testing.T) {
	r := mustRun(t, tiny(t), quick())
	out := filepath.Join(t.TempDir(), "tuned")
	for range 2 { // the second replaces the first
		if err := r.Export(out); err != nil {
			t.Fatal(err)
		}
	}
	compareServed(t, r, out, []string{"red scarf lovely", "my knife is broken", "tea", ""})
	// It is a folder to go on from, with the same weights.
	more, err := OpenModel(out, 2, 1, r.Model.engine)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(more.word.w, r.Model.word.w) || !slices.Equal(more.layers[1].qkv.w.w, r.Model.layers[1].qkv.w.w) {
		t.Error("exported weights differ")
	}
}

func compareServed(t *testing.T, r *Result, dir string, texts []string) {
	t.Helper()
	served, err := encoder.Open(encoder.Config{Dir: dir, Precision: encoder.F32, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = served.Close() }()
	tok, err := token.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tok.Close() }()
	c, err := ReadClassifier(dir)
	if err != nil {
		t.Fatal(err)
	}
	var ids [][]int32
	for _, s := range texts {
		ids = append(ids, tok.Encode(s, 0))
	}
	vectors, err := served.Encode(context.Background(), ids)
	if err != nil {
		t.Fatal(err)
	}
	logits, worst := r.Model.forward(ids, dropper{}), 0.
	h, classes := r.Model.config.Hidden, len(c.Labels)
	for i, v := range vectors {
		for j := range v {
			worst = math.Max(worst, math.Abs(float64(v[j]-r.Model.pooled[i*h+j])))
		}
		p, sum := make([]float64, classes), 0.
		c.Probabilities(v, p)
		for _, z := range logits[i*classes : (i+1)*classes] {
			sum += math.Exp(float64(z))
		}
		for k, z := range logits[i*classes : (i+1)*classes] {
			worst = math.Max(worst, math.Abs(p[k]-math.Exp(float64(z))/sum))
		}
	}
	t.Logf("%s: largest difference %.1e over %d texts", served.Version(), worst, len(texts))
	if !(worst < 1e-4) {
		t.Errorf("largest difference %.1e, want < 1e-4", worst)
	}
}

func TestExportKeepsWhatIsNotItsOwn(t *testing.T) {
	r := &Result{}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "thesis.txt"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := r.Export(dir); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("a folder of other files was taken: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "thesis.txt")); err != nil {
		t.Error(err)
	}
}

func TestReportPages(t *testing.T) {
	r := mustRun(t, tiny(t), quick())
	page, err := r.Report.HTML()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<svg", "validation", "<td>4<td>", Yes} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	var table strings.Builder
	if err := r.Report.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(table.String(), "\n"); n != 1+4+2 || !strings.Contains(table.String(), "kept") {
		t.Errorf("table of %d lines:\n%s", n, table.String())
	}
}
