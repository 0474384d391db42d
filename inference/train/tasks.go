package train

import (
	"context"
	"fmt"
	"slices"

	"profilestream/inference/eval"
	"profilestream/inference/heads"
	"profilestream/inference/text"
)

// Count is how many purchases a customer made in a category.
type Count struct {
	Category string
	N        int
}

// Return labels every row by whether a purchase came within Days days.
type Return struct {
	Days int
	Came []bool
}

// Latent is a simulator's truth about every row, which no model learns from.
type Latent struct {
	Known []bool    // false: not judged, such as a bot
	Gone  []bool    // has left for good before the row's time
	Spend []float64 // expected in 90 days; 0 once gone
}

// tasks is what the heads beside churn and value learn from.
type tasks struct {
	s         *sample
	o         *Options
	d         *Dataset
	interests heads.Interests
	sentiment *heads.Sentiment
	mood      *eval.MoodTask
	at        map[string]int    // position of a category
	sights    [][]heads.Sight   // of each row
	label     []int             // category of each row's next purchase; -1 if none
	others    *tasks            // see dealt; nil without a control
	bought    []map[int]float64 // purchases of each row's customer before it, by category
}

// openTasks reads the catalogue, the feedback and the recent entries.
func openTasks(ctx context.Context, s *sample, d *Dataset, o *Options) (*tasks, error) {
	t := &tasks{s: s, o: o, d: d, at: map[string]int{}}
	if err := t.check(); err != nil {
		return nil, err
	}
	if o.Embedder == nil {
		t.interests = heads.Interests{HalfLifeDays: o.HalfLifeDays}
		return t, nil
	}
	o.Progress("reading feedback and catalogue", 0, 2)
	var err error
	var unseen map[string]float32
	if t.sentiment, unseen, t.mood, err = sentiment(ctx, d.Feedback, o); err != nil {
		return nil, err
	}
	if s.moods, err = t.readMoods(ctx, unseen); err != nil {
		return nil, err
	}
	o.Progress("reading feedback and catalogue", 1, 2)
	if t.interests, err = interests(ctx, listed(d.Catalogue, d.Category), o); err != nil {
		return nil, err
	}
	for c, name := range t.interests.Categories {
		t.at[name] = c
	}
	if err := t.read(ctx); err != nil {
		return nil, err
	}
	if o.Control && t.sights != nil {
		t.others = t.dealt()
	}
	o.Progress("reading feedback and catalogue", 2, 2)
	return t, nil
}

func (t *tasks) check() error {
	lengths := map[string]int{}
	if t.d.Category != nil {
		lengths["next categories"] = len(t.d.Category)
	}
	if t.d.Bought != nil {
		lengths["counts of purchases"] = len(t.d.Bought)
	}
	for _, r := range t.d.Returns {
		lengths[fmt.Sprintf("labels of a purchase within %d days", r.Days)] = len(r.Came)
	}
	if l := t.d.Latent; l != nil {
		lengths["latent customers"] = min(len(l.Known), len(l.Gone), len(l.Spend))
	}
	for what, n := range lengths {
		if n != t.s.n {
			return fmt.Errorf("training: %d rows have %d %s", t.s.n, n, what)
		}
	}
	return nil
}

// listed bounds the catalogue to heads.MaxCategories: those most often bought
// next, then those with most products, in their own order.
func listed(cs []Category, next []string) []Category {
	if len(cs) <= heads.MaxCategories {
		return cs
	}
	n := map[string]int{}
	for _, c := range next {
		n[c]++
	}
	order := slices.Clone(cs)
	slices.SortStableFunc(order, func(a, b Category) int {
		if d := n[b.Name] - n[a.Name]; d != 0 {
			return d
		}
		return len(b.Products) - len(a.Products)
	})
	keep := map[string]bool{}
	for _, c := range order[:heads.MaxCategories] {
		keep[c.Name] = true
	}
	return slices.DeleteFunc(slices.Clone(cs), func(c Category) bool { return !keep[c.Name] })
}

// maxQueries bounds the texts of entries without a category that are read, most
// frequent first.
const maxQueries = 3000

// read gathers labels, past purchases and recent entries of the rows whose
// customer buys in the horizon.
func (t *tasks) read(ctx context.Context) error {
	if t.d.Category == nil || len(t.at) == 0 {
		return nil
	}
	t.sights, t.label, t.bought = make([][]heads.Sight, t.s.n), make([]int, t.s.n), make([]map[int]float64, t.s.n)
	queries := newQueries(t.o)
	i := 0
	for _, rec := range t.d.Rows {
		r := text.NewRows()
		if err := r.Bind(rec); err != nil {
			return err
		}
		for k := range int(rec.NumRows()) {
			c, ok := t.at[t.d.Category[i]]
			if t.label[i] = c; ok {
				t.row(r, k, i, queries)
			} else {
				t.label[i] = -1
			}
			i++
		}
	}
	return queries.read(ctx, &t.interests, t.sights)
}

func (t *tasks) row(r *text.Rows, k, i int, q *queries) {
	var w text.Window
	r.Window(k, &w)
	for _, it := range w.Recent {
		c, ok := t.at[it.Category]
		if !ok {
			c = -1
			q.add(t.o.Texts.Item(it.Name, it.Category), i, len(t.sights[i]))
		}
		t.sights[i] = append(t.sights[i], heads.Sight{Kind: it.Kind, Category: c, AgeDays: float64(w.AsOfMillis-it.AtMillis) / dayMillis})
	}
	t.bought[i] = map[int]float64{}
	if t.d.Bought == nil {
		return
	}
	for _, n := range t.d.Bought[i] {
		if c, ok := t.at[n.Category]; ok {
			t.bought[i][c] += float64(n.N)
		}
	}
}

// taskOutcome is what the heads fitted on one split say about its test rows.
type taskOutcome struct {
	next    *nextOutcome
	returns []returnOutcome
	control *scores // on texts of others; nil where it is not asked for
}

// steps is the number of times outcome calls step.
func (t *tasks) steps() int {
	if t == nil || !t.o.Control {
		return 0
	}
	return fitSteps(t.o) / 2
}

// outcome fits the tasks on the rows of a split to learn from and predicts its
// test rows.
func (t *tasks) outcome(ctx context.Context, m *learnt, sp *split, step func()) (*taskOutcome, error) {
	if t == nil {
		return nil, nil
	}
	next, err := t.fitNext(ctx, m.Model, sp.train)
	if err != nil {
		return nil, err
	}
	out := &taskOutcome{}
	if out.next, err = t.predictNext(m.Model, next, sp.test); err != nil {
		return nil, err
	}
	if out.returns, err = t.predictReturns(ctx, m, sp); err != nil {
		return nil, err
	}
	if !t.o.Control {
		return out, nil
	}
	if out.next != nil && t.others != nil {
		if out.next.others, err = t.othersNext(ctx, m.Model, sp); err != nil {
			return nil, err
		}
	}
	out.control, err = t.control(ctx, m, sp, step)
	return out, err
}

// report measures the pooled outcomes. rows are the test rows, test what the
// other heads and the baselines say of them.
func (t *tasks) report(outs []*outcome, rows []int, test *eval.Test) *eval.Tasks {
	if t == nil {
		return nil
	}
	return &eval.Tasks{Sentiment: t.mood, Next: t.judgeNext(outs), Returns: t.judgeReturns(outs), Latent: t.latent(outs, rows, test)}
}

// attach fits the tasks on all rows and gives them to the model.
func (t *tasks) attach(ctx context.Context, m *learnt, rows []int) error {
	m.Sentiment, m.Interests = t.sentiment, t.interests
	next, err := t.fitNext(ctx, m.Model, rows)
	if err != nil {
		return err
	}
	if next != nil && next.useful {
		m.Next = next.best()
	}
	m.Returns, _, err = t.fitReturns(ctx, m, rows)
	return err
}

// queries collects texts of entries without a category and where they stand.
type queries struct {
	o     *Options
	at    map[string]int
	texts []string
	n     []int
	spots [][2]int // row and entry
	which []int    // text of each spot
}

func newQueries(o *Options) *queries { return &queries{o: o, at: map[string]int{}} }

func (q *queries) add(words string, row, entry int) {
	k, ok := q.at[words]
	if !ok {
		k = len(q.texts)
		q.at[words] = k
		q.texts, q.n = append(q.texts, words), append(q.n, 0)
	}
	q.n[k]++
	q.spots, q.which = append(q.spots, [2]int{row, entry}), append(q.which, k)
}

// read embeds the most frequent texts and gives the entries their affinities.
func (q *queries) read(ctx context.Context, in *heads.Interests, sights [][]heads.Sight) error {
	order := make([]int, len(q.texts))
	for k := range order {
		order[k] = k
	}
	slices.SortStableFunc(order, func(a, b int) int { return q.n[b] - q.n[a] })
	order = order[:min(len(order), maxQueries)]
	v, err := embed(ctx, q.o, pick(q.texts, order), func(n int) { q.o.Progress("embedding searches", n, len(order)) })
	if err != nil {
		return err
	}
	affinity := make([][]float32, len(q.texts))
	for i, k := range order {
		affinity[k] = make([]float32, len(in.Categories))
		in.Affinity(v[i], affinity[k])
	}
	for i, spot := range q.spots {
		sights[spot[0]][spot[1]].Affinity = affinity[q.which[i]]
	}
	return nil
}
