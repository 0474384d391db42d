package train

import (
	"context"

	"profilestream/inference/eval"
	"profilestream/inference/features"
	"profilestream/inference/heads"
)

// fitReturns fits a purchase within each span on the rows, with and without the
// text components, and keeps the way with the lower held-out loss. The second
// result is the heads that read text, whether or not they are kept. A span that
// too few or too many rows see a purchase in has no head.
func (t *tasks) fitReturns(ctx context.Context, m *learnt, rows []int) (kept, read []heads.Return, err error) {
	if len(t.d.Returns) == 0 {
		return nil, nil, nil
	}
	x, err := t.s.inputs(m.Model, rows)
	if err != nil {
		return nil, nil, err
	}
	fold, cutoff := t.s.folds(rows, t.o.Folds, t.o.Seed), pick(t.s.cutoff, rows)
	for _, r := range t.d.Returns {
		y, pos := numbers(r.Came, rows)
		if pos < 10 || len(rows)-pos < 10 {
			continue
		}
		bare, lossBare, err := fitReturn(ctx, x.Narrow(len(features.Inputs)), y, fold, cutoff)
		if err != nil {
			return nil, nil, err
		}
		bare.Days = r.Days
		bare.Linear.Weights = append(bare.Linear.Weights, make([]float32, x.Cols-len(bare.Linear.Weights))...)
		full, best := bare, bare
		if t.s.embeddings != nil {
			var loss float64
			if full, loss, err = fitReturn(ctx, x, y, fold, cutoff); err != nil {
				return nil, nil, err
			}
			if full.Days = r.Days; loss < lossBare {
				best = full
			}
		}
		kept, read = append(kept, best), append(read, full)
	}
	return kept, read, nil
}

func numbers(labels []bool, rows []int) (y []float64, pos int) {
	y = make([]float64, len(rows))
	for k, i := range rows {
		if labels[i] {
			y[k] = 1
			pos++
		}
	}
	return y, pos
}

// fitReturn chooses the penalty on held-out folds and calibrates on what they say.
func fitReturn(ctx context.Context, x *heads.Matrix, y []float64, fold []int, cutoff []int64) (heads.Return, float64, error) {
	p := &problem{x: x, y: y, fold: fold, loss: heads.Logistic, shrink: drift(x, cutoff)}
	p.prepare()
	f := &fitted{}
	if err := p.linear(ctx, f); err != nil {
		return heads.Return{}, 0, err
	}
	held := f.parts[heads.PartLinear]
	return heads.Return{Linear: f.ensemble.Linear, Calibration: *heads.FitPlatt(held, y)}, p.loss.Mean(held, y), nil
}

// returnOutcome is what is said of a purchase within some days of the test rows.
type returnOutcome struct {
	days                 int
	recency, model, read []float64
}

// predictReturns fits the heads, and a logistic curve of recency beside them, and
// predicts the test rows.
func (t *tasks) predictReturns(ctx context.Context, m *learnt, sp *split) ([]returnOutcome, error) {
	kept, read, err := t.fitReturns(ctx, m, sp.train)
	if err != nil || len(kept) == 0 {
		return nil, err
	}
	x, err := t.s.inputs(m.Model, sp.test)
	if err != nil {
		return nil, err
	}
	var out []returnOutcome
	for k := range kept {
		u := returnOutcome{days: kept[k].Days, model: make([]float64, x.Rows), read: make([]float64, x.Rows)}
		fit, _ := numbers(t.returns(u.days), sp.train)
		if u.recency, err = t.s.logistic(ctx, sp, fit, recencyInputs); err != nil {
			return nil, err
		}
		kept[k].Probabilities(x, u.model)
		read[k].Probabilities(x, u.read)
		out = append(out, u)
	}
	return out, nil
}

// judgeReturns measures each span on the test rows of the splits that have it.
func (t *tasks) judgeReturns(outs []*outcome) (tasks []eval.ReturnTask) {
	for _, r := range t.d.Returns {
		var rows []int
		recency, model, read := eval.Prediction{Name: "recency", Probability: true}, eval.Prediction{Name: "model", Probability: true}, eval.Prediction{Name: "numbers and text", Probability: true}
		for _, u := range outs {
			for _, o := range u.tasks.returns {
				if o.days == r.Days {
					rows = append(rows, u.test...)
					recency.Score, model.Score, read.Score = append(recency.Score, o.recency...), append(model.Score, o.model...), append(read.Score, o.read...)
				}
			}
		}
		if len(rows) == 0 {
			continue
		}
		y, pos := numbers(r.Came, rows)
		tasks = append(tasks, eval.ReturnTask{
			Days: r.Days, Rate: eval.Number(float64(pos) / float64(len(y))),
			Models: eval.Classifiers([]eval.Prediction{recency, model, read}, y, pick(t.s.users, rows), t.o.Seed),
		})
	}
	return tasks
}

func (t *tasks) returns(days int) []bool {
	for _, r := range t.d.Returns {
		if r.Days == days {
			return r.Came
		}
	}
	return nil
}
