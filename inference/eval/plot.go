package eval

import (
	"fmt"
	"html/template"
	"math"
	"strings"
)

// The plots are squares of this many units with room for the axes.
const (
	side   = 250.0
	left   = 40.0
	bottom = 36.0
	top    = 10.0
)

// plot is an SVG under construction. Its colours are classes of the page.
type plot struct{ strings.Builder }

func at(x, y float64) (float64, float64) { return left + x*side, top + (1-y)*side }

// axes draws the unit square with its names.
func axes(x, y string) *plot {
	p := new(plot)
	fmt.Fprintf(p, `<svg viewBox="0 0 %.0f %.0f" role="img" aria-label="%s by %s">`, left+side+14, top+side+bottom, y, x)
	for k := range 6 {
		v := float64(k) / 5
		ax, ay := at(v, v)
		x1, y0 := at(1, 0)
		x0, y1 := at(0, 1)
		fmt.Fprintf(p, `<path class="grid" d="M%.1f %.1fH%.1fM%.1f %.1fV%.1f"/>`, x0, ay, x1, ax, y0, y1)
		fmt.Fprintf(p, `<text x="%.1f" y="%.1f" text-anchor="middle">%.1f</text><text x="%.1f" y="%.1f" text-anchor="end">%.1f</text>`, ax, y0+14, v, x0-6, ay+4, v)
	}
	mx, my := at(.5, .5)
	fmt.Fprintf(p, `<text x="%.1f" y="%.1f" text-anchor="middle">%s</text>`, mx, top+side+31, x)
	fmt.Fprintf(p, `<text transform="translate(11 %.1f) rotate(-90)" text-anchor="middle">%s</text>`, my, y)
	return p
}

func (p *plot) line(class string, points []Point) {
	var d strings.Builder
	pen := "M"
	for _, q := range points {
		if math.IsNaN(float64(q.X)) || math.IsNaN(float64(q.Y)) {
			continue
		}
		x, y := at(float64(q.X), float64(q.Y))
		fmt.Fprintf(&d, "%s%.1f %.1f", pen, x, y)
		pen = "L"
	}
	fmt.Fprintf(p, `<path class="%s" d="%s"/>`, class, d.String())
}

func (p *plot) done() template.HTML {
	p.WriteString("</svg>")
	return template.HTML(p.String())
}

var diagonal = []Point{{0, 0}, {1, 1}}

func rocPlot(c Curves) template.HTML {
	p := axes("false-positive rate", "true-positive rate")
	p.line("faint", diagonal)
	p.line("main", c.ROC)
	return p.done()
}

func prPlot(c Curves, rate Number) template.HTML {
	p := axes("recall", "precision")
	p.line("faint", []Point{{0, rate}, {1, rate}})
	p.line("main", c.PR)
	return p.done()
}

func reliabilityPlot(bins []Bin) template.HTML {
	p := axes("predicted probability", "observed rate")
	p.line("faint", diagonal)
	var line []Point
	for _, b := range bins {
		line = append(line, Point{b.Mean, b.Rate.Value})
	}
	p.line("main", line)
	for _, b := range bins {
		x, y := at(float64(b.Mean), float64(b.Rate.Value))
		if !math.IsNaN(float64(b.Rate.Low)) {
			_, lo := at(0, float64(b.Rate.Low))
			_, hi := at(0, float64(b.Rate.High))
			fmt.Fprintf(p, `<path class="whisker" d="M%.1f %.1fV%.1f"/>`, x, lo, hi)
		}
		fmt.Fprintf(p, `<circle class="dot" cx="%.1f" cy="%.1f" r="%.1f"><title>%d rows</title></circle>`, x, y, 2+math.Log1p(float64(b.N))/2, b.N)
	}
	return p.done()
}

func gainPlot(gains, perfect []Point, what string) template.HTML {
	p := axes("share of customers", "share of "+what)
	p.line("faint", diagonal)
	p.line("second", perfect)
	p.line("main", gains)
	return p.done()
}

// bestGains is the gain curve of who knows all labels of 0 and 1.
func bestGains(rate Number) []Point { return []Point{{0, 0}, {rate, 1}, {1, 1}} }

// liftPlot draws each decile's lift as a bar; the dashed line is a lift of one.
func liftPlot(ds []Decile, spend bool) template.HTML {
	of := func(d *Decile) float64 {
		if spend {
			return float64(d.SpendLift)
		}
		return float64(d.ChurnLift)
	}
	high := 1.0
	for i := range ds {
		if v := of(&ds[i]); v > high {
			high = v
		}
	}
	if high = math.Ceil(high); high > 2 {
		high = 2 * math.Ceil(high/2)
	}
	p := new(plot)
	fmt.Fprintf(p, `<svg viewBox="0 0 %.0f %.0f" role="img" aria-label="lift by decile">`, left+side+14, top+side+bottom)
	for k := range 5 {
		x, y := at(0, float64(k)/4)
		fmt.Fprintf(p, `<path class="grid" d="M%.1f %.1fh%.1f"/><text x="%.1f" y="%.1f" text-anchor="end">%.1f</text>`, x, y, side, x-6, y+4, high*float64(k)/4)
	}
	for i := range ds {
		v := of(&ds[i])
		if math.IsNaN(v) {
			continue
		}
		x, y := at((float64(i)+.12)/10, v/high)
		_, y0 := at(0, 0)
		fmt.Fprintf(p, `<rect class="bar" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="2"><title>%.2f</title></rect>`, x, y, side*.076, y0-y, v)
		fmt.Fprintf(p, `<text x="%.1f" y="%.1f" text-anchor="middle">%d</text>`, x+side*.038, y0+14, ds[i].Decile)
	}
	x, y := at(0, 1/high)
	fmt.Fprintf(p, `<path class="dash" d="M%.1f %.1fh%.1f"/>`, x, y, side)
	mx, my := at(.5, .5)
	fmt.Fprintf(p, `<text x="%.1f" y="%.1f" text-anchor="middle">tenth of the customers, highest scores first</text><text transform="translate(11 %.1f) rotate(-90)" text-anchor="middle">lift</text>`, mx, top+side+31, my)
	return p.done()
}

// span draws a figure and its interval on a scale from lo to hi.
func span(f Figure, lo, hi float64) template.HTML {
	if math.IsNaN(float64(f.Value)) || math.IsNaN(float64(f.Low)) {
		return ""
	}
	x := func(n Number) float64 { return 4 + 112*math.Min(1, math.Max(0, (float64(n)-lo)/(hi-lo))) }
	zero := ""
	if lo < 0 && hi > 0 {
		zero = fmt.Sprintf(`<path class="faint" d="M%.1f 1V17"/>`, x(0))
	}
	return template.HTML(fmt.Sprintf(`<svg class="span" viewBox="0 0 120 18" aria-hidden="true">%s<path class="whisker" d="M%.1f 9H%.1f"/><circle class="dot" cx="%.1f" cy="9" r="3.5"/></svg>`, zero, x(f.Low), x(f.High), x(f.Value)))
}
