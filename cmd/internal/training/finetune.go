package training

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/zeebo/xxh3"

	"profilestream/cmd/internal/history"
	"profilestream/cmd/internal/stage"
	"profilestream/inference/finetune"
	"profilestream/inference/text"
	"profilestream/schemas"
)

// Windows says how the encoder learns from a history's own texts.
type Windows struct {
	Weights string  // Hugging Face folder to begin with; empty: the fetched one
	Share   float64 // of the customers whose texts teach the encoder
	Tune    finetune.Options
}

// Finetune trains the encoder on labelled texts and writes the tuned one to out.
// weights is a Hugging Face folder; empty means the fetched one.
func Finetune(ctx context.Context, weights, out string, examples []finetune.Example, o finetune.Options) (r *finetune.Report, err error) {
	if weights == "" {
		if weights, err = stage.Weights(); err != nil {
			return nil, err
		}
	}
	if err := finetune.CheckTarget(out); err != nil {
		return nil, err
	}
	res, err := finetune.Run(ctx, weights, examples, o)
	if err != nil {
		return nil, err
	}
	return res.Report, res.Export(out)
}

// Labels of a window's text: what its customer did in the horizon after it.
const (
	labelChurned = "churned"
	labelStayed  = "stayed"
)

// tuneOnWindows fine-tunes the encoder on the texts of some customers, sets it as the
// one to use, and returns the rows of the others: a customer whose label the encoder
// has seen would flatter every judgement of the heads. It takes rows over.
func (o *Options) tuneOnWindows(ctx context.Context, h *history.History, rows []arrow.Record) (rest []arrow.Record, note string, err error) {
	w := o.Windows
	teaches := func(user string) bool {
		return float64(xxh3.HashStringSeed(user, o.Seed^0x656e636f646572))/(1<<64) < w.Share
	}
	labels := h.Labels(rows, o.Horizon).Churn
	examples, err := windowExamples(rows, labels, teaches)
	if err != nil {
		return rows, "", err
	}
	out := filepath.Clean(o.Out) + "-encoder"
	w.Tune.Progress = o.Progress
	report, err := Finetune(ctx, w.Weights, out, examples, w.Tune)
	if err != nil {
		return rows, "", err
	}
	o.Encoder = out
	for i, rec := range rows {
		kept, err := without(rec, teaches)
		if err != nil {
			return rows, "", err
		}
		rec.Release()
		rows[i] = kept
	}
	best := report.BestEpoch()
	return rows, fmt.Sprintf("fine-tuned on %d texts of %.0f %% of the customers, who teach the heads nothing; validation loss %.4f, accuracy %.3f",
		len(examples), 100*w.Share, best.Loss, best.Accuracy), nil
}

// windowExamples renders the windows of the customers that teach.
func windowExamples(rows []arrow.Record, churn []bool, teaches func(string) bool) ([]finetune.Example, error) {
	texts, at := text.NewRows(), 0
	var out []finetune.Example
	for _, rec := range rows {
		if err := texts.Bind(rec); err != nil {
			return nil, err
		}
		users := rec.Column(schemas.ColUserID).(*array.String)
		for i := range int(rec.NumRows()) {
			if user := users.Value(i); teaches(user) {
				e := finetune.Example{Text: texts.User(i), Label: labelStayed, Group: user}
				if churn[at+i] {
					e.Label = labelChurned
				}
				out = append(out, e)
			}
		}
		at += int(rec.NumRows())
	}
	return out, nil
}

// without copies the rows of the users that are not dropped.
func without(rec arrow.Record, drop func(user string) bool) (arrow.Record, error) {
	users := rec.Column(schemas.ColUserID).(*array.String)
	var parts []arrow.Record
	defer func() {
		for _, p := range parts {
			p.Release()
		}
	}()
	n := users.Len()
	for lo := 0; lo < n; lo++ {
		hi := lo
		for hi < n && !drop(users.Value(hi)) {
			hi++
		}
		if hi > lo {
			parts = append(parts, rec.NewSlice(int64(lo), int64(hi)))
		}
		lo = hi // which is dropped
	}
	if len(parts) == 0 {
		return nil, errors.New("no customer is left for the heads")
	}
	columns := make([]arrow.Array, rec.NumCols())
	defer func() {
		for _, c := range columns {
			if c != nil {
				c.Release()
			}
		}
	}()
	var rows int64
	for c := range columns {
		pieces := make([]arrow.Array, len(parts))
		for i, p := range parts {
			pieces[i] = p.Column(c)
		}
		var err error
		if columns[c], err = array.Concatenate(pieces, memory.DefaultAllocator); err != nil {
			return nil, fmt.Errorf("leaving customers out: %w", err)
		}
		rows = int64(columns[c].Len())
	}
	return array.NewRecord(rec.Schema(), columns, rows), nil
}
