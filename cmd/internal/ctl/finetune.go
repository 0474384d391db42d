package ctl

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"profilestream/cmd/internal/training"
	"profilestream/inference/finetune"
)

// finetuneFlags are the flags of train that teach the encoder.
type finetuneFlags struct {
	labels    string // file of labelled texts
	ofWindows bool
	share     float64
	weights   string
	columns   finetune.Columns
	positive  string
	tune      finetune.Options
}

func (f *finetuneFlags) register(fl *pflag.FlagSet) {
	fl.StringVar(&f.labels, "finetune", "", "fine-tune the encoder on this CSV file (.csv, .csv.gz) of texts and labels; there is no HISTORY then")
	fl.BoolVar(&f.ofWindows, "finetune-windows", false, "fine-tune the encoder on the history's own texts first")
	fl.Float64Var(&f.share, "finetune-share", .3, "share of the customers whose texts teach the encoder; they teach the heads nothing")
	fl.StringVar(&f.weights, "weights", "", "Hugging Face BERT folder to fine-tune; without it the fetched weights")
	fl.StringVar(&f.columns.Text, "text-column", "text", "column of the texts")
	fl.StringVar(&f.columns.Label, "label-column", "label", "column of the labels")
	fl.StringVar(&f.columns.Split, "split-column", "", "column that says train or val; without it --val-share is drawn")
	fl.StringVar(&f.positive, "positive", "", "make the label yes or no: yes where one of these column=value pairs, separated by commas, holds")
	fl.IntVar(&f.columns.Limit, "train-limit", 0, "most training texts, in equal shares of the labels; 0 is all")
	fl.IntVar(&f.tune.Epochs, "epochs", 3, "most epochs of fine-tuning")
	fl.IntVar(&f.tune.Batch, "batch", 32, "texts a step")
	fl.Float64Var(&f.tune.Rate, "lr", 1e-5, "peak learning rate of the encoder")
	fl.Float64Var(&f.tune.HeadRate, "head-lr", 1e-3, "peak learning rate of the classifier")
	fl.IntVar(&f.tune.MaxLength, "max-length", 128, "most tokens of a text")
	fl.Float64Var(&f.tune.ValShare, "val-share", .2, "share of the texts, or of the customers, held out for validation")
	fl.IntVar(&f.tune.Patience, "patience", 2, "epochs without a lower validation loss before it stops")
	fl.StringVar(&f.tune.Checkpoint, "checkpoint", "", "file written after each epoch; with --finetune it is OUT.checkpoint, removed at the end, unless named")
	fl.BoolVar(&f.tune.Resume, "resume", false, "go on from the checkpoint if there is one")
	fl.StringVar(&f.tune.Kernels, "kernels", "auto", "auto, avx512, avx2 or portable")
}

// args: a history, unless the texts come from a file.
func (f *finetuneFlags) args(_ *cobra.Command, args []string) error {
	switch {
	case f.labels != "" && f.ofWindows:
		return fmt.Errorf("%w: --finetune and --finetune-windows exclude each other", errUsage)
	case f.labels != "" && len(args) > 0:
		return fmt.Errorf("%w: --finetune reads %s, there is no HISTORY beside it", errUsage, f.labels)
	case f.labels == "" && len(args) != 1:
		return fmt.Errorf("%w: one HISTORY is needed, got %d", errUsage, len(args))
	}
	return nil
}

// windows is nil unless the windows' texts are asked for.
func (f *finetuneFlags) windows(seed uint64) *training.Windows {
	if !f.ofWindows {
		return nil
	}
	o := f.tune
	o.Seed = seed
	return &training.Windows{Weights: f.weights, Share: f.share, Tune: o}
}

// run fine-tunes on a file and prints the table of epochs.
func (f *finetuneFlags) run(cmd *cobra.Command, out string, seed uint64) error {
	if !cmd.Flags().Changed("out") {
		out = "models/tuned"
	}
	c := f.columns
	c.Seed = seed
	var err error
	if c.Positive, err = parsePairs("--positive", f.positive); err != nil {
		return err
	}
	examples, err := finetune.ReadExamples(f.labels, c)
	if err != nil {
		return err
	}
	p := &bar{w: cmd.ErrOrStderr()}
	o := f.tune
	o.Seed, o.Progress = seed, p.step
	set := o.Checkpoint != ""
	if !set {
		o.Checkpoint = filepath.Clean(out) + ".checkpoint"
	}
	report, err := training.Finetune(cmd.Context(), f.weights, out, examples, o)
	p.done()
	if err == nil && !set {
		err = os.Remove(o.Checkpoint)
	}
	if err != nil {
		return err
	}
	return printTuning(cmd.OutOrStdout(), out, report)
}

func printTuning(w io.Writer, out string, r *finetune.Report) error {
	if err := r.WriteTable(w); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%s: an encoder for --encoder, with %s and %s; the whole report is %s\n", out, finetune.ClassifierFile, finetune.ReportFile, filepath.Join(out, finetune.PageFile))
	return err
}

// parsePairs reads column=value,column=value.
func parsePairs(flag, s string) (map[string][]string, error) {
	if s == "" {
		return nil, nil
	}
	out := map[string][]string{}
	for part := range strings.SplitSeq(s, ",") {
		column, value, ok := strings.Cut(part, "=")
		if !ok || column == "" {
			return nil, fmt.Errorf("%w: %s: %q is no column=value", errUsage, flag, part)
		}
		out[column] = append(out[column], value)
	}
	return out, nil
}
