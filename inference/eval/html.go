package eval

import (
	"bytes"
	"fmt"
	"html/template"
	"math"
	"strings"
)

// HTML writes the report as one page without outside parts.
func (r *Report) HTML() ([]byte, error) {
	var b bytes.Buffer
	if err := page.Execute(&b, r); err != nil {
		return nil, fmt.Errorf("writing evaluation page: %w", err)
	}
	return b.Bytes(), nil
}

var page = template.Must(template.New("report").Funcs(template.FuncMap{
	"fig": figure, "num": number, "reliability": reliabilityPlot, "gains": gainPlot,
}).Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Model evaluation</title>
<style>
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}
table{border-collapse:collapse;margin:1rem 0;width:100%}
th,td{text-align:right;padding:.3rem .6rem;border-bottom:1px solid #d8dee4;font-variant-numeric:tabular-nums}
th:first-child,td:first-child{text-align:left}
small{color:#59636e;display:block}
figure{display:inline-block;margin:0 1rem 1rem 0}
</style>
<h1>Model evaluation</h1>
<p>{{.TestRows}} rows of {{.TestUsers}} customers held out by {{.Split}}; {{.TrainRows}} rows to learn from; {{num .ChurnRate}} of the test rows churn.</p>
<h2>Churn</h2>
<table><tr><th>model<th>ROC-AUC<th>ahead of first<th>PR-AUC<th>Brier<th>log loss<th>ECE<th>lift at 10 %</tr>
{{range .Churn}}<tr><td>{{.Name}}<td>{{fig .AUC}}<td>{{fig .AUCAhead}}<td>{{fig .AP}}<td>{{fig .Brier}}<td>{{fig .LogLoss}}<td>{{fig .ECE}}<td>{{fig .Lift}}</tr>
{{end}}</table>
<h2>Value</h2>
<table><tr><th>model<th>Spearman<th>normalised Gini<th>lift at 10 %<th>mean absolute error<th>sum expected / spent</tr>
{{range .Value}}<tr><td>{{.Name}}<td>{{fig .Spearman}}<td>{{fig .Gini}}<td>{{fig .Lift}}<td>{{fig .Absolute}}<td>{{fig .Ratio}}</tr>
{{end}}</table>
<h2>Bands</h2>
<table><tr><th>band<th>from<th>rows<th>observed churn</tr>
{{range .Bands}}<tr><td>{{.Name}}<td>{{printf "%.3f" .From}}<td>{{.N}}<td>{{num .Rate}}</tr>
{{end}}</table>
{{with .Sentiment}}<h2>Sentiment</h2><p>ROC-AUC {{fig .AUC}} on texts not learned from.</p>{{end}}
<figure>{{reliability .Reliability}}<figcaption>Churn: observed rate by predicted probability</figcaption></figure>
<figure>{{gains .Gains}}<figcaption>Value: share of spend by share of customers</figcaption></figure>
<h2>Notes</h2><ul>{{range $k, $v := .Notes}}<li>{{$k}}: {{$v}}{{end}}</ul>
</html>
`))

func number(n Number) string {
	if math.IsNaN(float64(n)) {
		return "–"
	}
	return fmt.Sprintf("%.3f", float64(n))
}

func figure(f Figure) template.HTML {
	if math.IsNaN(float64(f.Value)) {
		return "–"
	}
	return template.HTML(fmt.Sprintf("%.3f<small>%s to %s</small>", float64(f.Value), number(f.Low), number(f.High)))
}

// The plots are squares of this many units with a margin.
const side, margin = 260.0, 34.0

func reliabilityPlot(bins []Bin) template.HTML {
	var line strings.Builder
	var dots strings.Builder
	for i, b := range bins {
		x, y := place(b.Mean, b.Rate)
		fmt.Fprintf(&line, "%s%.1f %.1f", step(i), x, y)
		fmt.Fprintf(&dots, `<circle cx="%.1f" cy="%.1f" r="%.1f" fill="#0969da"><title>%d rows</title></circle>`, x, y, 2+math.Log1p(float64(b.N))/2, b.N)
	}
	return frame(line.String(), dots.String())
}

func gainPlot(points []Point) template.HTML {
	var line strings.Builder
	for i, p := range points {
		if math.IsNaN(p.Gain) {
			continue
		}
		x, y := place(p.Share, p.Gain)
		fmt.Fprintf(&line, "%s%.1f %.1f", step(i), x, y)
	}
	return frame(line.String(), "")
}

func step(i int) string {
	if i == 0 {
		return "M"
	}
	return "L"
}

func place(x, y float64) (float64, float64) {
	return margin + x*side, margin/2 + (1-y)*side
}

// frame draws axes, the diagonal and a line over it.
func frame(line, more string) template.HTML {
	x0, y0 := place(0, 0)
	x1, y1 := place(1, 1)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg width="%.0f" height="%.0f" role="img" font-size="11" fill="#59636e">`, side+2*margin, side+1.5*margin)
	fmt.Fprintf(&b, `<path d="M%.1f %.1fH%.1fM%.1f %.1fV%.1f" stroke="#59636e" fill="none"/>`, x0, y0, x1, x0, y0, y1)
	fmt.Fprintf(&b, `<path d="M%.1f %.1fL%.1f %.1f" stroke="#d0d7de" fill="none"/>`, x0, y0, x1, y1)
	for _, t := range []float64{0, .5, 1} {
		x, y := place(t, t)
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="middle">%.1f</text><text x="%.1f" y="%.1f" text-anchor="end">%.1f</text>`, x, y0+14, t, x0-4, y+4, t)
	}
	fmt.Fprintf(&b, `<path d="%s" stroke="#0969da" stroke-width="2" fill="none"/>%s</svg>`, line, more)
	return template.HTML(b.String())
}
