package console

import (
	"math"
	"slices"
	"sort"
	"time"

	"profilestream/schemas"
)

// reason is what moved a customer's churn, in log-odds. Bar is its length of
// 100 beside the largest.
type reason struct {
	Name, Label, Value string
	Effect             float64
	Bar                float64
}

type interest struct {
	Name   string
	Weight float64
}

// windowRow is one measure over every window.
type windowRow struct {
	Label string
	Cells []string
}

// fact is a name and what is known under it.
type fact struct{ Label, Value string }

// change is a value that differs from the one before. Worse and Better say what
// the difference means for churn; neither where that depends.
type change struct {
	Label, Before, Now, By string
	Worse, Better          bool
}

// fill derives what the page shows from the profile and from that of the week
// before, which is nil for a customer without one.
func (p *customerPage) fill(before record, currency string) {
	m := money{symbolOf(currency)}
	p.AsOf, _ = p.Row["as_of"].(time.Time)
	if flags, ok := p.Row["flags"].([]string); ok {
		p.Bot = slices.Contains(flags, "bot")
	}
	p.Reasons = reasons(p.Row, m)
	if likes, ok := p.Row["interests"].(map[string]float32); ok {
		for name, weight := range likes {
			p.Likes = append(p.Likes, interest{name, float64(weight)})
		}
		sort.Slice(p.Likes, func(i, k int) bool {
			return p.Likes[i].Weight > p.Likes[k].Weight || p.Likes[i].Weight == p.Likes[k].Weight && p.Likes[i].Name < p.Likes[k].Name
		})
	}
	for k, measure := range schemas.Measures {
		row := windowRow{Label: Label(measure.Name)}
		for w := range schemas.Windows {
			f := schemas.Features[schemas.At(w, k)]
			row.Cells = append(row.Cells, cell(f, p.Row[f.Name], m))
		}
		p.Windows = append(p.Windows, row)
	}
	for k := range schemas.NumLife {
		f := schemas.Features[schemas.Life(k)]
		p.Life = append(p.Life, fact{Label(f.Name), cell(f, p.Row[f.Name], m)})
	}
	if before != nil {
		p.Since, _ = before["as_of"].(time.Time)
		p.Changes = changes(before, p.Row, m)
	}
}

// cell writes a feature's value.
func cell(f schemas.Feature, v any, m money) string {
	if v == nil {
		return "–"
	}
	switch f.Type {
	case schemas.Money:
		return m.exact(number(v))
	case schemas.Time:
		if t, ok := v.(time.Time); ok {
			return day(t)
		}
		return "–"
	case schemas.Ratio:
		return trimmed(number(v), 1)
	default:
		return count(v)
	}
}

// reasons reads the column reasons, Array(Tuple(String, Float32)).
func reasons(row record, m money) []reason {
	var out []reason
	most := 0.0
	for _, tuple := range tuples(row["reasons"]) {
		name, _ := tuple[0].(string)
		r := reason{Name: name, Label: Label(name), Effect: number(tuple[1])}
		if f, ok := feature(name); ok {
			r.Value = cell(f, row[name], m)
		}
		most = max(most, math.Abs(r.Effect))
		out = append(out, r)
	}
	for i := range out {
		out[i].Bar = bar(out[i].Effect, most, 100)
	}
	return out
}

// tuples reads the shapes in which the driver yields an array of pairs.
func tuples(v any) [][]any {
	switch list := v.(type) {
	case [][]any:
		return list
	case []any:
		var out [][]any
		for _, t := range list {
			if pair, ok := t.([]any); ok && len(pair) == 2 {
				out = append(out, pair)
			}
		}
		return out
	}
	return nil
}

// watched are the columns that are compared with the week before. A positive
// sign: more of it speaks for churn; negative: against; zero: neither.
var watched = []struct {
	column string
	sign   float64
}{
	{"churn_probability", 1}, {"value_expected", -1}, {"orders_total", -1}, {"revenue_30d", -1}, {"orders_90d", -1}, {"sessions_7d", -1}, {"product_views_7d", -1},
	{"cart_adds_7d", -1}, {"searches_7d", -1}, {"refunds_30d", 1}, {"days_since_last_order", 1}, {"sentiment", -1},
}

// changes lists the watched columns whose values differ as written.
func changes(before, now record, m money) []change {
	var out []change
	for _, b := range []string{"churn_band", "value_band"} {
		was, _ := before[b].(string)
		is, _ := now[b].(string)
		if was != is && was != "" {
			out = append(out, change{Label: Label(b), Before: capital(was), Now: capital(is)})
		}
	}
	for _, w := range watched {
		was, is := written(w.column, before[w.column], m), written(w.column, now[w.column], m)
		if was == is {
			continue
		}
		c := change{Label: Label(w.column), Before: was, Now: is}
		if before[w.column] != nil && now[w.column] != nil {
			d := number(now[w.column]) - number(before[w.column])
			c.By, c.Worse, c.Better = difference(w.column, d, m), d*w.sign > 0, d*w.sign < 0
		}
		out = append(out, c)
	}
	return out
}

func written(column string, v any, m money) string {
	switch {
	case v == nil:
		return "–"
	case column == "churn_probability":
		return percent(v)
	case column == "value_expected":
		return m.exact(number(v))
	case column == "sentiment":
		return signed(number(v), 2)
	}
	f, _ := feature(column)
	return cell(f, v, m)
}

func difference(column string, d float64, m money) string {
	sign := "+"
	if d < 0 {
		sign = "−"
	}
	d = math.Abs(d)
	f, _ := feature(column)
	switch {
	case column == "churn_probability":
		return sign + trimmed(d*100, 1) + " points"
	case column == "value_expected" || f.Type == schemas.Money:
		return sign + m.exact(d)
	case column == "sentiment":
		return sign + trimmed(d, 2)
	}
	return sign + count(d)
}
