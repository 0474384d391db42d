package eval

import (
	"cmp"
	"maps"
	"math"
	"slices"
)

// Group is how the model does on a part of the rows.
type Group struct {
	Dimension string `json:"dimension"`
	Name      string `json:"group"`
	N         int    `json:"n"`
	Users     int    `json:"users"`
	ChurnRate Figure `json:"churn_rate"`
	AUC       Figure `json:"roc_auc"`
	Brier     Figure `json:"brier"`
	// Gap is the mean probability less the churn rate: calibration in the large.
	Gap Figure `json:"calibration_gap"`
	// Selected is the share of rows in the band high.
	Selected Figure `json:"selection_rate"`
	Spearman Figure `json:"spearman"` // of value
}

// Gap is the largest difference of a figure between two groups of a dimension.
// Its interval is that of these two groups' difference.
type Gap struct {
	Dimension  string `json:"dimension"`
	Metric     string `json:"metric"`
	Highest    string `json:"highest"`
	Lowest     string `json:"lowest"`
	Difference Figure `json:"difference"`
}

// minGroup is the number of rows from which a group stands alone; smaller ones
// are put together.
const minGroup = 50

// otherGroups is the name of the smaller groups together.
const otherGroups = "others"

// split measures the groups of every dimension and the widest differences.
func (t *Test) split(p *panel, r *Report) {
	var parts []*part
	for _, dim := range slices.Sorted(maps.Keys(t.Dimensions)) {
		parts = append(parts, t.parts(dim)...)
	}
	r.Groups = make([]Group, len(parts))
	for k, g := range parts {
		r.Groups[k] = Group{Dimension: g.dimension, Name: g.name, N: len(g.rows), Users: distinct(pick(t.Users, g.rows))}
		g.measure(p, &r.Groups[k])
	}
	for lo := 0; lo < len(parts); {
		hi := lo
		for hi < len(parts) && parts[hi].dimension == parts[lo].dimension {
			hi++
		}
		r.Fairness = append(r.Fairness, gaps(parts[lo:hi])...)
		lo = hi
	}
	for k := range r.Fairness {
		g := &r.Fairness[k]
		high, low := find(parts, g.Dimension, g.Highest), find(parts, g.Dimension, g.Lowest)
		f := groupMetrics[slices.IndexFunc(groupMetrics, func(m groupMetric) bool { return m.name == g.Metric })].f
		p.measure(&g.Difference, func(w []float64) float64 { return f(high, high.weights(w)) - f(low, low.weights(w)) })
	}
}

// part is the rows of a group with their own columns.
type part struct {
	dimension, name string
	rows            []int
	churn, value    *column
	high            []float64
}

func (t *Test) parts(dimension string) []*part {
	of := t.Dimensions[dimension]
	rows := map[string][]int{}
	for i, g := range of {
		rows[g] = append(rows[g], i)
	}
	var others []int
	for _, g := range slices.Sorted(maps.Keys(rows)) {
		if len(rows[g]) < minGroup {
			others = append(others, rows[g]...)
			delete(rows, g)
		}
	}
	if len(others) > 0 {
		slices.Sort(others)
		rows[otherGroups] = others
	}
	if len(rows) < 2 {
		return nil
	}
	var out []*part
	for _, g := range slices.Sorted(maps.Keys(rows)) {
		at := rows[g]
		out = append(out, &part{dimension: dimension, name: g, rows: at, high: pick(t.High, at),
			churn: newColumn(pick(t.Model.Score, at), pick(t.Churn, at)), value: newColumn(pick(t.Value.Score, at), pick(t.Spend, at))})
	}
	return out
}

func find(parts []*part, dimension, name string) *part {
	return parts[slices.IndexFunc(parts, func(g *part) bool { return g.dimension == dimension && g.name == name })]
}

func (g *part) weights(w []float64) []float64 { return pick(w, g.rows) }

func (g *part) measure(p *panel, out *Group) {
	for _, m := range []struct {
		out *Figure
		f   statistic
	}{
		{&out.ChurnRate, func(w []float64) float64 { return mean(g.churn.label, w) }},
		{&out.AUC, g.churn.auc}, {&out.Brier, g.churn.brier}, {&out.Gap, g.churn.gap},
		{&out.Selected, g.selected}, {&out.Spearman, g.value.spearman},
	} {
		p.measure(m.out, func(w []float64) float64 { return m.f(g.weights(w)) })
	}
}

func (g *part) selected(w []float64) float64 { return g.churn.confusion(g.high, w).selected() }

// groupMetric is a figure that should be alike in all groups.
type groupMetric struct {
	name string
	f    func(g *part, w []float64) float64
}

var groupMetrics = []groupMetric{
	{"roc_auc", func(g *part, w []float64) float64 { return g.churn.auc(w) }},
	{"brier", func(g *part, w []float64) float64 { return g.churn.brier(w) }},
	{"calibration_gap", func(g *part, w []float64) float64 { return g.churn.gap(w) }},
	{"selection_rate", (*part).selected},
}

// gaps finds the two groups that differ most in each figure. Groups under
// minGroup rows are left out.
func gaps(parts []*part) []Gap {
	var out []Gap
	for _, m := range groupMetrics {
		type at struct {
			name string
			v    float64
		}
		var all []at
		for _, g := range parts {
			if v := m.f(g, ones(len(g.rows))); len(g.rows) >= minGroup && !math.IsNaN(v) {
				all = append(all, at{g.name, v})
			}
		}
		if len(all) < 2 {
			continue
		}
		by := func(a, b at) int { return cmp.Compare(a.v, b.v) }
		out = append(out, Gap{Dimension: parts[0].dimension, Metric: m.name, Highest: slices.MaxFunc(all, by).name, Lowest: slices.MinFunc(all, by).name})
	}
	return out
}

// pick copies the elements of v at rows.
func pick[T any](v []T, rows []int) []T {
	out := make([]T, len(rows))
	for k, i := range rows {
		out[k] = v[i]
	}
	return out
}
