package train

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"profilestream/inference/eval"
	"profilestream/inference/heads"
	"profilestream/inference/stability"
)

// Result is a trained model and its evaluation.
type Result struct {
	Model  *heads.Model
	Report *eval.Report
	JSON   []byte // evaluation.json
	// Reference is how the rows' features lie, and their scores by models that did
	// not see their customers.
	Reference *stability.Reference
}

// defaultHorizon is the horizon of the contract's value.
const defaultHorizon = 90 * 24 * time.Hour

// Train fits a model on every split of the test, to evaluate it and the
// baselines on rows of other customers and later times, and once on all rows,
// which is the model returned. Errors say what the data lack.
func Train(ctx context.Context, d Dataset, o Options) (*Result, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	o.horizon = d.Horizon
	if o.horizon == 0 {
		o.horizon = defaultHorizon
	}
	s, err := open(&d, o.Texts)
	if err != nil {
		return nil, err
	}
	if o.Embedder != nil {
		s.embeddings, err = embed(ctx, &o, s.texts, func(n int) { o.Progress("embedding windows", n, s.n) })
		if err != nil {
			return nil, err
		}
	}
	if s.tasks, err = openTasks(ctx, s, &d, &o); err != nil {
		return nil, err
	}
	p := s.rolling(o.TestFolds, o.horizon, o.Seed)
	if err := p.check(); err != nil {
		return nil, err
	}
	o.fits = 1 + (len(p.splits)+runtime.GOMAXPROCS(0)-1)/runtime.GOMAXPROCS(0)
	outs, err := s.test(ctx, &p, &o)
	if err != nil {
		return nil, err
	}
	o.Progress("measuring", 0, 1)
	report := s.judge(outs, &p, &o)
	o.Progress("measuring", 1, 1)
	all := make([]int, s.n)
	for i := range all {
		all[i] = i
	}
	m, err := s.fit(ctx, all, &o, counter(&o, "fitting on all rows"))
	if err != nil {
		return nil, err
	}
	report.Notes["effects"] = heads.MethodWords(m.Full.Churn.Ensemble.Methods())
	if report.Text != nil {
		report.Text.Used = m.textUsed
	}
	report.Notes["text"] = "left out of the bundle's model: it does not lower the held-out loss"
	if m.textUsed {
		report.Notes["text"] = "used by the bundle's model: it lowers the held-out loss"
	}
	if o.Embedder == nil {
		report.Notes["text"] = "not read: trained without an encoder"
	}
	if err := s.tasks.attach(ctx, m, all); err != nil {
		return nil, err
	}
	if err := m.Validate(); err != nil {
		return nil, fmt.Errorf("training: %w", err)
	}
	ref := stability.New(s.tables, m.held.churn, m.held.value, max(1, int(o.horizon/(24*time.Hour))))
	return finish(m.Model, report, ref)
}

func counter(o *Options, stage string) func() {
	n, total := 0, fitSteps(o)
	return func() { n++; o.Progress(stage, n, total) }
}

func finish(m *heads.Model, r *eval.Report, ref *stability.Reference) (*Result, error) {
	out := &Result{Model: m, Report: r, Reference: ref}
	var err error
	out.JSON, err = r.Encode()
	return out, err
}
