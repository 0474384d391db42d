package finetune

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
)

// Epoch is what one pass over the examples gave. The metrics are validation's.
type Epoch struct {
	Number    int     `json:"epoch"`
	TrainLoss float64 `json:"train_loss"` // mean over the pass, with dropout
	Metrics
	Rate            float64 `json:"rate"` // at the end
	Seconds         float64 `json:"seconds"`
	CPUSeconds      float64 `json:"cpu_seconds"`
	TrainSeconds    float64 `json:"train_seconds"` // without validation
	TrainCPUSeconds float64 `json:"train_cpu_seconds"`
}

// Report is the record of a run.
type Report struct {
	Format     int            `json:"format"`
	Classes    []string       `json:"classes"`
	Positive   string         `json:"positive,omitempty"` // of two classes: what recall and F1 speak of
	Train      int            `json:"train"`
	Validation int            `json:"validation"`
	Tokens     float64        `json:"mean_tokens"`
	Parameters int            `json:"parameters"`
	Kernels    string         `json:"kernels"`
	Threads    int            `json:"threads"`
	Settings   Settings       `json:"settings"`
	Epochs     []Epoch        `json:"epochs"`
	Best       int            `json:"best_epoch"` // whose weights were kept
	PerClass   []ClassMetrics `json:"per_class"`  // on validation, by the weights kept
	Confusion  [][]int        `json:"confusion"`  // [truth][prediction]
	PeakMiB    float64        `json:"peak_memory_mib"`
}

// Settings are the options that shape a run.
type Settings struct {
	Epochs    int     `json:"epochs"`
	Batch     int     `json:"batch"`
	Rate      float64 `json:"rate"`
	HeadRate  float64 `json:"head_rate"`
	Decay     float64 `json:"decay"`
	Warmup    float64 `json:"warmup"`
	Clip      float64 `json:"clip"`
	MaxLength int     `json:"max_length"`
	Seed      uint64  `json:"seed"`
}

// report sums the run up; c is of the weights that were kept.
func (r *run) report(c confusion) *Report {
	o := r.o
	out := &Report{
		Format: 1, Classes: r.d.classes, Train: len(r.d.train), Validation: len(r.d.val),
		Kernels: r.m.engine.Name(), Threads: r.m.engine.Threads(),
		Settings: Settings{o.Epochs, o.Batch, o.Rate, o.HeadRate, o.Decay, o.Warmup, o.Clip, o.MaxLength, o.Seed},
		Epochs:   r.state.Epochs, Best: r.state.Best, PerClass: c.classes(r.d.classes), Confusion: c, PeakMiB: peakMiB(),
	}
	if len(r.d.classes) == 2 {
		out.Positive = r.d.classes[positiveClass]
	}
	for _, p := range r.m.params {
		out.Parameters += len(p.w)
	}
	for _, ids := range r.d.ids {
		out.Tokens += float64(len(ids)) / float64(len(r.d.ids))
	}
	return out
}

// JSON is the report as a file.
func (r *Report) JSON() ([]byte, error) {
	b, err := json.MarshalIndent(r, "", "  ")
	return append(b, '\n'), err
}

// BestEpoch is the one whose weights were kept.
func (r *Report) BestEpoch() Epoch { return r.Epochs[r.Best-1] }

// WriteTable writes the epochs as a table and a line on the whole run.
func (r *Report) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "EPOCH\tTRAIN LOSS\tVAL LOSS\tACCURACY\tRECALL\tF1\tSECONDS\tCPU-S\t")
	var wall, cpu float64
	for _, e := range r.Epochs {
		kept := ""
		if e.Number == r.Best {
			kept = "kept"
		}
		fmt.Fprintf(t, "%d\t%.4f\t%.4f\t%.4f\t%.4f\t%.4f\t%.1f\t%.1f\t%s\n", e.Number, e.TrainLoss, e.Loss, e.Accuracy, e.Recall, e.F1, e.Seconds, e.CPUSeconds, kept)
		wall += e.Seconds
		cpu += e.CPUSeconds
	}
	if err := t.Flush(); err != nil {
		return err
	}
	of := "mean over the classes"
	if r.Positive != "" {
		of = fmt.Sprintf("of %q", r.Positive)
	}
	_, err := fmt.Fprintf(w, "%d texts to learn from, %d to validate, %d labels, %.1f tokens a text; recall and F1 %s\n%.1f s, %.1f CPU-s, %s kernels on %d threads, peak memory %.0f MiB\n",
		r.Train, r.Validation, len(r.Classes), r.Tokens, of, wall, cpu, r.Kernels, r.Threads, r.PeakMiB)
	return err
}
