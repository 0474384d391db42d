package train

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"

	"profilestream/inference/eval"
	"profilestream/inference/features"
	"profilestream/inference/heads"
	"profilestream/inference/text"
	"profilestream/schemas"
)

// learnt is a model and the heads on numbers and text as they were fitted,
// whether or not the model uses them.
type learnt struct {
	*heads.Model
	withText heads.Set
	textUsed bool
	bestF1   float64 // the probability from which calling rows churners has the best F1
	held     *held   // what the folds said of the rows
}

// fit makes a model of the rows: standardisation, text components, both sets of
// heads and the bands. The text components are used only where they lower the
// held-out loss of churn: the encoder has to earn its place. Sentiment and
// interests are added by the caller.
func (s *sample) fit(ctx context.Context, rows []int, o *Options, step func()) (*learnt, error) {
	if err := s.usable(rows); err != nil {
		return nil, err
	}
	m := &heads.Model{Format: heads.FormatVersion, FeatureHash: features.Hash(), Inputs: features.Names(), Rendering: text.Version, Dim: schemas.EmbeddingDim, Seed: o.Seed, Moods: s.moods != nil}
	if o.Embedder != nil {
		m.Dim = o.Embedder.Dim()
	}
	life, err := features.FitLifetime(ctx, s.tables, s.places(s.latest(rows)), o.horizon)
	if err != nil {
		return nil, err
	}
	m.Standard = features.Fit(s.tables, s.places(rows), life)
	if err := s.project(ctx, m, rows, o); err != nil {
		return nil, err
	}
	x, err := s.inputs(m, rows)
	if err != nil {
		return nil, err
	}
	step()
	fold := s.folds(rows, o.Folds, o.Seed)
	if x, err = s.trim(ctx, m, x, pick(s.churn, rows), fold); err != nil {
		return nil, err
	}
	t := &targets{churn: pick(s.churn, rows), spend: pick(s.spend, rows), cutoff: pick(s.cutoff, rows), fold: fold}
	l := &learnt{Model: m}
	held, err := t.fit(ctx, &m.Numeric, x.Narrow(len(features.Inputs)), o, step)
	if err != nil {
		return nil, err
	}
	m.Full = m.Numeric.Widened(x.Cols)
	l.withText = m.Full
	if s.embeddings != nil {
		full, err := t.fit(ctx, &l.withText, x, o, step)
		if err != nil {
			return nil, err
		}
		if l.textUsed = earns(held.losses, full.losses, pick(s.users, rows)); l.textUsed {
			m.Full, held = l.withText, full
		}
	}
	m.Bands, l.bestF1, l.held = held.bands(), eval.BestF1(held.churn, t.churn), held
	return l, nil
}

// earns says whether the losses with text lie below those without by more than
// one standard error of the difference over customers: less is noise of the folds.
func earns(without, with []float64, users []string) bool {
	gain := map[string]float64{}
	var sum, sq float64
	for i, u := range users {
		gain[u] += without[i] - with[i]
		sum += without[i] - with[i]
	}
	n := float64(len(gain))
	for _, u := range slices.Sorted(maps.Keys(gain)) {
		d := gain[u] - sum/n
		sq += d * d
	}
	return sum > math.Sqrt(sq)
}

// latest are the rows of each customer's last cut-off.
func (s *sample) latest(rows []int) []int {
	last := map[string]int{}
	for _, i := range rows {
		if at, ok := last[s.users[i]]; !ok || s.cutoff[i] > s.cutoff[at] {
			last[s.users[i]] = i
		}
	}
	out := make([]int, 0, len(last))
	for _, i := range rows {
		if last[s.users[i]] == i {
			out = append(out, i)
		}
	}
	return out
}

// sets is the number of sets of heads that a fit makes.
func (o *Options) sets() int {
	if o.Embedder != nil {
		return 2
	}
	return 1
}

// fitSteps is the number of times fit calls step.
func fitSteps(o *Options) int {
	return 1 + o.sets()*(2+o.mlpBudget().steps()+2*o.treeBudget().steps())
}

const minRows = 40

func (s *sample) usable(rows []int) error {
	var pos, spent float64
	for _, i := range rows {
		pos += s.churn[i]
		if s.spend[i] > 0 {
			spent++
		}
	}
	switch {
	case len(rows) < minRows:
		return fmt.Errorf("training: %d rows to learn from, at least %d", len(rows), minRows)
	case pos < 5 || float64(len(rows))-pos < 5:
		return fmt.Errorf("training: %v of %d rows churn: too few of one kind to learn from", pos, len(rows))
	case spent < 5:
		return fmt.Errorf("training: %v of %d rows spend: too few to learn from", spent, len(rows))
	}
	return nil
}

// project fits the text components on the rows' embeddings.
func (s *sample) project(ctx context.Context, m *heads.Model, rows []int, o *Options) (err error) {
	if s.embeddings == nil {
		m.Text = &heads.Projection{Dim: m.Dim, Weights: make([]float32, o.Components*m.Dim), Bias: make([]float32, o.Components)}
		return nil
	}
	m.Text, err = heads.FitProjection(ctx, matrix(pick(s.embeddings, rows), m.Dim), o.Components, o.Seed)
	return err
}

func matrix(rows [][]float32, cols int) *heads.Matrix {
	x := heads.NewMatrix(len(rows), cols)
	for i, r := range rows {
		copy(x.Row(i), r)
	}
	return x
}

// inputs builds the matrix of the rows: standardised numbers, text components.
func (s *sample) inputs(m *heads.Model, rows []int) (*heads.Matrix, error) {
	n, k := len(features.Inputs), m.TextCols()
	x := heads.NewMatrix(len(rows), n+k)
	for r, i := range rows {
		t, at := s.locate(i)
		if err := s.tables[t].Fill(m.Standard, at, at+1, x.Row(r), n+k); err != nil {
			return nil, err
		}
	}
	if s.embeddings == nil {
		return x, nil
	}
	part := heads.NewMatrix(len(rows), len(m.Text.Bias))
	m.Text.Apply(part, matrix(pick(s.embeddings, rows), m.Dim))
	for r := range rows {
		copy(x.Row(r)[n:], part.Row(r))
		if m.Moods {
			copy(x.Row(r)[n+part.Cols:], s.moods[rows[r]][:])
		}
	}
	return x, nil
}

// locate finds the table of a row and its place there.
func (s *sample) locate(i int) (table, at int) {
	t := sort.Search(len(s.first), func(t int) bool { return s.first[t] > i }) - 1
	return t, i - s.first[t]
}

// places groups rows by table.
func (s *sample) places(rows []int) [][]int {
	out := make([][]int, len(s.tables))
	for _, i := range rows {
		t, at := s.locate(i)
		out[t] = append(out[t], at)
	}
	return out
}

// held is what a set of heads says about rows whose customers it did not see.
type held struct {
	losses       []float64 // of churn, one a row
	churn, value []float64
}

// bands puts the thresholds at the median and the upper fifth.
func (h *held) bands() heads.Bands {
	at := func(v []float64, q float64) float64 {
		sorted := slices.Sorted(slices.Values(v))
		return sorted[int(q*float64(len(sorted)-1))]
	}
	return heads.Bands{ChurnMedium: at(h.churn, .5), ChurnHigh: at(h.churn, .8), ValueMid: at(h.value, .5), ValueHigh: at(h.value, .8)}
}

// targets are the labels of rows, their cut-offs and folds.
type targets struct {
	churn, spend []float64
	cutoff       []int64
	fold         []int
}

// fit fits churn and spending on one kind of input.
func (t *targets) fit(ctx context.Context, set *heads.Set, x *heads.Matrix, o *Options, step func()) (*held, error) {
	set.Cols = x.Cols
	c, err := crossfit(ctx, &problem{x: x, y: t.churn, fold: t.fold, loss: heads.Logistic, mlp: true, compact: columns(compactChurn), shrink: drift(x, t.cutoff)}, o, step)
	if err != nil {
		return nil, err
	}
	set.Churn = heads.Classifier{Ensemble: c.ensemble, Calibration: *calibrate(c.held, t.churn, t.fold)}
	amount, err := t.fitSpend(ctx, set, x, c.held, o, step)
	if err != nil {
		return nil, err
	}
	set.Intervals = set.Spend.FitIntervals(c.held, amount, t.spend)
	h := &held{losses: make([]float64, x.Rows), churn: make([]float64, x.Rows), value: make([]float64, x.Rows)}
	for i, z := range c.held {
		h.losses[i] = heads.Logistic.Of(z, t.churn[i])
		h.churn[i] = set.Churn.Calibration.Probability(z)
		h.value[i] = set.Spend.Value(z, amount[i])
	}
	return h, nil
}

// fitSpend fits the two stages of spending and returns the held-out amounts.
// churn is the held-out churn score.
func (t *targets) fitSpend(ctx context.Context, set *heads.Set, x *heads.Matrix, churn []float64, o *Options, step func()) ([]float64, error) {
	s := &set.Spend
	negated, spent := make([]float64, x.Rows), make([]float64, x.Rows)
	var buyers []int
	for i, v := range t.spend {
		negated[i] = -churn[i]
		if v > 0 {
			spent[i] = 1
			buyers = append(buyers, i)
		}
	}
	s.Any = *heads.FitPlatt(negated, spent)
	logs := make([]float64, len(buyers))
	s.MinLog, s.MaxLog = math.Inf(1), math.Inf(-1)
	for k, i := range buyers {
		logs[k] = math.Log(t.spend[i])
		s.MinLog, s.MaxLog = math.Min(s.MinLog, logs[k]), math.Max(s.MaxLog, logs[k])
	}
	xb := x.Select(buyers)
	a, err := crossfit(ctx, &problem{x: xb, y: logs, fold: pick(t.fold, buyers), loss: heads.Squared, compact: columns(compactSpend), shrink: drift(xb, pick(t.cutoff, buyers))}, o, step)
	if err != nil {
		return nil, err
	}
	s.Amount = a.ensemble
	// The factor makes what is expected of all rows sum to what they spent. The
	// buyers' amounts come from fits without them; the others were in no fit.
	amount := make([]float64, x.Rows)
	s.Amount.Score(x, &heads.Scratch{}, amount)
	for k, i := range buyers {
		amount[i] = a.held[k]
	}
	s.Factor = 1
	var want, got float64
	for i, v := range t.spend {
		want += v
		got += s.Value(churn[i], amount[i])
	}
	s.Factor = want / got
	return amount, nil
}

// calibrate fits Platt's curve, or an isotonic line where that is clearly better
// on folds that it was not fitted on.
func calibrate(z, y []float64, fold []int) *heads.Calibration {
	const enough, clearly = 2000, .002
	platt := heads.FitPlatt(z, y)
	if len(z) < enough {
		return platt
	}
	var lossP, lossI float64
	n := 0
	for _, f := range fold {
		n = max(n, f+1)
	}
	for k := range n {
		var zi, yi []float64
		for i, f := range fold {
			if f != k {
				zi, yi = append(zi, z[i]), append(yi, y[i])
			}
		}
		p, iso := heads.FitPlatt(zi, yi), heads.FitIsotonic(zi, yi)
		for i, f := range fold {
			if f == k {
				lossP += logLoss(p.Probability(z[i]), y[i])
				lossI += logLoss(iso.Probability(z[i]), y[i])
			}
		}
	}
	if (lossP-lossI)/float64(len(z)) > clearly {
		return heads.FitIsotonic(z, y)
	}
	return platt
}

func logLoss(p, y float64) float64 {
	return -y*math.Log(p) - (1-y)*math.Log(1-p)
}
