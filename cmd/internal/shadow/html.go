package shadow

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"strings"

	"profilestream/inference/eval"
)

// HTML writes the report as one page without outside parts, for light and dark
// screens.
func (r *Report) HTML() ([]byte, error) {
	var b bytes.Buffer
	if err := page.Execute(&b, r); err != nil {
		return nil, fmt.Errorf("writing the page of a shadow run: %w", err)
	}
	return b.Bytes(), nil
}

//go:embed report.html
var source string

var page = template.Must(template.New("shadow").Funcs(template.FuncMap{
	"num": func(x float64) string { return fmt.Sprintf("%.4f", x) }, "rank": rank,
	"percent": func(x float64) string { return fmt.Sprintf("%.1f %%", 100*x) },
	"seconds": func(x float64) string { return fmt.Sprintf("%.3g s", x) },
	"whole":   func(x float64) string { return fmt.Sprintf("%.0f", x) },
	"churn":   churnPlot, "value": valuePlot, "moved": movedPlot, "shifts": shiftPlot, "table": table,
}).Parse(source))

func rank(x eval.Number) string {
	if math.IsNaN(float64(x)) {
		return "–"
	}
	return fmt.Sprintf("%.3f", float64(x))
}

// End is the last day.
func (r *Report) End() *Day { return &r.Days[len(r.Days)-1] }

// Plots are this large, with a margin for the axes.
const plotWidth, plotHeight, plotLeft, plotTop = 420.0, 200.0, 62.0, 12.0

// line is a curve over the days.
type line struct {
	class, name string
	at          func(d *Day) float64
}

func churnPlot(r *Report) template.HTML {
	return linePlot(r, "%.3f", line{"second", "at work", func(d *Day) float64 { return d.ChurnCurrent }}, line{"main", "candidate", func(d *Day) float64 { return d.ChurnCandidate }})
}

func valuePlot(r *Report) template.HTML {
	return linePlot(r, "%.4g", line{"second", "at work", func(d *Day) float64 { return d.ValueCurrent }}, line{"main", "candidate", func(d *Day) float64 { return d.ValueCandidate }})
}

func movedPlot(r *Report) template.HTML {
	return linePlot(r, "%.3f", line{"second", "churn band", func(d *Day) float64 { return d.ChurnMoved }}, line{"main", "segment", func(d *Day) float64 { return d.SegmentMoved }})
}

// linePlot draws lines over the days, from 0 to the largest value.
func linePlot(r *Report, format string, lines ...line) template.HTML {
	top := 1e-9
	for i := range r.Days {
		for _, l := range lines {
			top = max(top, l.at(&r.Days[i]))
		}
	}
	place := func(i int, v float64) (x, y float64) {
		share := .5
		if n := len(r.Days); n > 1 {
			share = float64(i) / float64(n-1)
		}
		return plotLeft + share*plotWidth, plotTop + (1-v/top)*plotHeight
	}
	var b strings.Builder
	open(&b, "by day")
	for _, share := range []float64{0, .5, 1} {
		_, y := place(0, share*top)
		fmt.Fprintf(&b, `<path class="grid" d="M%.1f %.1fh%.1f"/><text x="%.1f" y="%.1f" text-anchor="end">`+format+`</text>`, plotLeft, y, plotWidth, plotLeft-6, y+4, share*top)
	}
	for n, l := range lines {
		var path strings.Builder
		for i := range r.Days {
			x, y := place(i, l.at(&r.Days[i]))
			fmt.Fprintf(&path, "%s%.1f %.1f", map[bool]string{true: "M", false: "L"}[i == 0], x, y)
			fmt.Fprintf(&b, `<circle class="%s" cx="%.1f" cy="%.1f" r="3"><title>%s: %s `+format+`</title></circle>`, l.class, x, y, r.Days[i].Day, l.name, l.at(&r.Days[i]))
		}
		fmt.Fprintf(&b, `<path class="%s" d="%s"/><text class="%s" x="%.0f" y="%.0f">%s</text>`, l.class, path.String(), l.class, plotLeft+plotWidth/2-60+90*float64(n), plotTop+plotHeight+32, l.name)
	}
	fmt.Fprintf(&b, `<text x="%.1f" y="%.1f">%s</text><text x="%.1f" y="%.1f" text-anchor="end">%s</text></svg>`,
		plotLeft, plotTop+plotHeight+16, r.Days[0].Day, plotLeft+plotWidth, plotTop+plotHeight+16, r.End().Day)
	return template.HTML(b.String())
}

func open(b *strings.Builder, label string) {
	fmt.Fprintf(b, `<svg viewBox="0 0 %.0f %.0f" role="img" aria-label="%s">`, plotLeft+plotWidth+16, plotTop+plotHeight+42, label)
}

// shiftPlot draws the histogram of differences.
func shiftPlot(r *Report) template.HTML {
	top := 1
	for _, s := range r.Last.Shifts {
		top = max(top, s.Users)
	}
	var b strings.Builder
	open(&b, "customers by change of churn_probability")
	step := plotWidth / float64(len(r.Last.Shifts))
	for k, s := range r.Last.Shifts {
		height := plotHeight * float64(s.Users) / float64(top)
		fmt.Fprintf(&b, `<rect class="bar" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>from %+.4f: %d customers</title></rect>`, plotLeft+float64(k)*step, plotTop+plotHeight-height, step-1, height, s.From, s.Users)
	}
	y := plotTop + plotHeight + 16
	fmt.Fprintf(&b, `<text x="%.1f" y="%.1f">%+.3f</text><text x="%.1f" y="%.1f" text-anchor="middle">0</text><text x="%.1f" y="%.1f" text-anchor="end">%+.3f</text>`,
		plotLeft, y, -r.Last.Most, plotLeft+plotWidth/2, y, plotLeft+plotWidth, y, r.Last.Most)
	fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="end">%d</text></svg>`, plotLeft-6, plotTop+10, top)
	return template.HTML(b.String())
}

// cell is one of a table of moves.
type cell struct {
	Users uint64
	Share float64 // of those who come from the row's band
	Stays bool
}

// row is one band of the bundle at work.
type row struct {
	From  string
	Cells []cell
}

// table is the moves of a kind on the last day, as rows and columns.
func table(r *Report, kind string) (out struct {
	To   []string
	Rows []row
}) {
	users, totals := map[[2]string]uint64{}, map[string]uint64{}
	seen := map[string]bool{}
	for _, m := range r.Moves {
		if m.Day != r.End().Day || m.Kind != kind {
			continue
		}
		users[[2]string{m.From, m.To}] += m.Users
		totals[m.From] += m.Users
		seen[m.From], seen[m.To] = true, true
	}
	out.To = bands(kind, seen)
	for _, from := range out.To {
		line := row{From: from}
		for _, to := range out.To {
			n := users[[2]string{from, to}]
			line.Cells = append(line.Cells, cell{n, float64(n) / float64(max(1, totals[from])), from == to})
		}
		out.Rows = append(out.Rows, line)
	}
	return out
}

// bands are those seen, from low to high.
func bands(kind string, seen map[string]bool) (out []string) {
	churn, value := []string{"low", "medium", "high"}, []string{"low", "mid", "high"}
	all := churn
	if kind == KindValue {
		all = value
	}
	if kind == KindSegment {
		all = nil
		for _, c := range churn {
			for _, v := range value {
				all = append(all, c+"/"+v)
			}
		}
	}
	for _, b := range all {
		if seen[b] {
			out = append(out, b)
		}
	}
	return out
}
