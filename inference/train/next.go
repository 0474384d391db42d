package train

import (
	"context"
	"math"

	"profilestream/inference/eval"
	"profilestream/inference/heads"
)

// Ways of telling the next category, by what they read.
const (
	nextCounts = iota // entries of listed categories
	nextReads         // and what the encoder reads in the others
	nextText          // and the text components of the window
	nextWays
)

var nextNames = [nextWays]string{"counts alone", "counts and searches", "counts, searches and text"}

// nextPenalties are tried from the strongest to the weakest.
var nextPenalties = []float64{1, .3, .1, .03}

// minChoices is the fewest purchases that a head is fitted on.
const minChoices = 60

// maxNextNumbers bounds the inputs held at once: rows times categories times
// inputs. More rows than that are thinned evenly.
const maxNextNumbers = 30 << 20

// nextFit is the ways as fitted, and which is best on customers held out.
type nextFit struct {
	ways   [nextWays]*heads.Next // nil where there is no encoder to read with
	loss   [nextWays]float64     // held out
	chosen int
	useful bool // less loss than the most-bought category on customers held out
}

func (f *nextFit) best() *heads.Next { return f.ways[f.chosen] }

// read is the better of the ways that read text; nil where there is none.
func (f *nextFit) read() *heads.Next {
	if f.ways[nextText] != nil && f.loss[nextText] < f.loss[nextReads] {
		return f.ways[nextText]
	}
	return f.ways[nextReads]
}

// buyers are those of the rows whose customer buys in a listed category.
func (t *tasks) buyers(rows []int) (out []int) {
	if t.sights == nil {
		return nil
	}
	for _, i := range rows {
		if t.label[i] >= 0 {
			out = append(out, i)
		}
	}
	return out
}

// fitNext fits every way with the penalty that has the least held-out loss; nil
// where too few customers buy, or only of one category.
func (t *tasks) fitNext(ctx context.Context, m *heads.Model, rows []int) (*nextFit, error) {
	rows = t.buyers(rows)
	if most := maxNextNumbers / max(1, len(t.at)*heads.NumNextInputs); len(rows) > most {
		thin := make([]int, most)
		for k := range thin {
			thin[k] = rows[k*len(rows)/most]
		}
		rows = thin
	}
	prior, kinds := t.shares(rows)
	if len(rows) < minChoices || kinds < 2 {
		return nil, nil
	}
	components, err := t.components(m, rows)
	if err != nil {
		return nil, err
	}
	f := &nextFit{}
	fold := t.s.folds(rows, t.o.Folds, t.o.Seed)
	for way := range nextWays {
		if way == nextText && components == nil {
			continue
		}
		n := &heads.Next{Prior: prior, Affinity: way != nextCounts}
		choices := t.choices(n, rows)
		if way == nextText {
			for k := range choices {
				choices[k].Components = components.Row(k)
			}
		}
		held, err := t.chooseNext(ctx, n, choices, fold)
		if err != nil {
			return nil, err
		}
		f.ways[way], f.loss[way] = n, held
		if way == 0 || held < f.loss[f.chosen] {
			f.chosen = way
			f.useful = held < t.mostBoughtLoss(rows, prior)
		}
	}
	return f, nil
}

// shares is each category's part of the next purchases, one added to each count,
// and the number of categories that occur.
func (t *tasks) shares(rows []int) (p []float64, kinds int) {
	p = make([]float64, len(t.interests.Categories))
	for _, i := range rows {
		if p[t.label[i]]++; p[t.label[i]] == 1 {
			kinds++
		}
	}
	for c := range p {
		p[c] = (p[c] + 1) / float64(len(rows)+len(p))
	}
	return p, kinds
}

// components are the text components of the rows; nil without an encoder.
func (t *tasks) components(m *heads.Model, rows []int) (*heads.Matrix, error) {
	if t.s.embeddings == nil {
		return nil, nil
	}
	x := heads.NewMatrix(len(rows), len(m.Text.Bias))
	m.Text.Apply(x, matrix(pick(t.s.embeddings, rows), m.Dim))
	return x, nil
}

func (t *tasks) choices(n *heads.Next, rows []int) []heads.Choice {
	size := len(t.interests.Categories) * heads.NumNextInputs
	all := make([]float32, len(rows)*size)
	out := make([]heads.Choice, len(rows))
	for k, i := range rows {
		x := all[k*size : (k+1)*size]
		n.Inputs(&t.interests, t.sights[i], x)
		out[k] = heads.Choice{Inputs: x, Category: t.label[i]}
	}
	return out
}

// chooseNext finds the penalty with the least held-out loss, fits n with it and
// returns the loss.
// Each fold goes from the strongest to the weakest, from where the last ended.
func (t *tasks) chooseNext(ctx context.Context, n *heads.Next, choices []heads.Choice, fold []int) (held float64, err error) {
	losses := make([]float64, len(nextPenalties))
	p := make([]float64, len(n.Prior))
	for k := range t.o.Folds {
		var in, out []heads.Choice
		for i, f := range fold {
			if f == k {
				out = append(out, choices[i])
			} else {
				in = append(in, choices[i])
			}
		}
		w := *n
		for a, l2 := range nextPenalties {
			if err := heads.FitNext(ctx, &w, in, l2); err != nil {
				return 0, err
			}
			for _, c := range out {
				w.Probabilities(c.Inputs, c.Components, p)
				losses[a] -= math.Log(math.Max(1e-9, p[c.Category])) / float64(len(choices))
			}
		}
	}
	best := 0
	for a := range losses {
		if losses[a] < losses[best] {
			best = a
		}
	}
	return losses[best], heads.FitNext(ctx, n, choices, nextPenalties[best])
}

// mostBought gives each category its share of a customer's purchases, the shares
// of all customers counting as strength purchases more. Up to a strength of 1 they
// break ties and change no other order.
func (t *tasks) mostBought(i int, prior []float64, strength float64) []float64 {
	p := make([]float64, len(prior))
	n := strength
	for _, v := range t.bought[i] {
		n += v
	}
	for c := range p {
		p[c] = (t.bought[i][c] + strength*prior[c]) / n
	}
	return p
}

// strengths of the popularity are tried, so that the baseline is as good as it
// can be.
var strengths = []float64{1, 4, 16, 64}

// mostBoughtLoss is the log loss of the most-bought category with the best
// strength, chosen on the same rows.
func (t *tasks) mostBoughtLoss(rows []int, prior []float64) float64 {
	best := math.Inf(1)
	for _, s := range strengths {
		var loss float64
		for _, i := range rows {
			loss -= math.Log(t.mostBought(i, prior, s)[t.label[i]]) / float64(len(rows))
		}
		best = math.Min(best, loss)
	}
	return best
}

// nextOutcome is what each model says of the test rows whose customer buys.
type nextOutcome struct {
	rows                  []int
	bought, popular, rule [][]float64
	counts, read, model   [][]float64 // read is nil without an encoder
	others                [][]float64 // as read, on texts of others; nil without a control
	used                  string
}

// predictNext lets all ways and the simple rules speak of the test rows; nil
// where no head was fitted.
func (t *tasks) predictNext(m *heads.Model, f *nextFit, test []int) (*nextOutcome, error) {
	rows := t.buyers(test)
	if f == nil || len(rows) == 0 {
		return nil, nil
	}
	prior := f.best().Prior
	components, err := t.components(m, rows)
	if err != nil {
		return nil, err
	}
	out := &nextOutcome{rows: rows, used: nextNames[f.chosen]}
	for _, i := range rows {
		out.bought, out.popular = append(out.bought, t.mostBought(i, prior, 1)), append(out.popular, prior)
		out.rule = append(out.rule, t.rule(i, prior))
	}
	say := func(n *heads.Next) (p [][]float64) {
		for k, ch := range t.choices(n, rows) {
			if len(n.Text) > 0 {
				ch.Components = components.Row(k)
			}
			p = append(p, make([]float64, len(prior)))
			n.Probabilities(ch.Inputs, ch.Components, p[k])
		}
		return p
	}
	out.counts = say(f.ways[nextCounts])
	if n := f.read(); n != nil {
		out.read = say(n)
	}
	if out.model = out.rule; f.useful {
		out.model = say(f.best())
	} else {
		out.used = ruleName
	}
	return out, nil
}

const ruleName = "weights of recent entries"

// judgeNext measures the pooled outcomes; nil where no split has a head.
func (t *tasks) judgeNext(outs []*outcome) *eval.NextTask {
	var rows []int
	used := map[string]int{}
	bought, popular, rule := eval.Choices{Name: "most-bought category"}, eval.Choices{Name: "most popular category"}, eval.Choices{Name: ruleName}
	counts, read, model := eval.Choices{Name: "counts alone"}, eval.Choices{Name: "counts and text"}, eval.Choices{Name: "model"}
	others := eval.Choices{Name: "counts and text of others"}
	for _, u := range outs {
		n := u.tasks.next
		if n == nil {
			continue
		}
		rows = append(rows, n.rows...)
		used[n.used]++
		bought.P, popular.P, rule.P = append(bought.P, n.bought...), append(popular.P, n.popular...), append(rule.P, n.rule...)
		counts.P, read.P, model.P = append(counts.P, n.counts...), append(read.P, n.read...), append(model.P, n.model...)
		others.P = append(others.P, n.others...)
	}
	if len(rows) == 0 {
		return nil
	}
	label, users := pick(t.label, rows), pick(t.s.users, rows)
	models := []eval.Choices{bought, popular, rule, counts}
	out := &eval.NextTask{Rows: len(rows), Categories: len(t.interests.Categories), Used: used}
	if len(read.P) == len(rows) {
		models = append(models, read)
		top1, loss := eval.Adds(counts, read, label, users, t.o.Seed)
		out.TextAdds, out.TextAddsLoss = &top1, &loss
	}
	if len(others.P) == len(rows) {
		models = append(models, others)
	}
	out.Models = eval.Choosers(append(models, model), label, users, t.o.Seed)
	return out
}

// rule is what interests are without a head: the weights of the recent entries,
// as shares, a little of the popularity added for users with none.
func (t *tasks) rule(i int, prior []float64) []float64 {
	sums := make([]float64, len(prior))
	var total float64
	for _, s := range t.sights[i] {
		by := t.interests.Weight(s.Kind, s.AgeDays)
		for c := range sums {
			e := 0.0
			if s.Category == c {
				e = by
			} else if s.Category < 0 && s.Affinity != nil {
				e = by * float64(s.Affinity[c])
			}
			sums[c] += e
			total += e
		}
	}
	for c := range sums {
		sums[c] = (sums[c] + .1*prior[c]) / (total + .1)
	}
	return sums
}
