package finetune

import (
	"bytes"
	"fmt"
	"html/template"
	"strings"
)

// HTML is the report as one page without outside parts.
func (r *Report) HTML() ([]byte, error) {
	var b bytes.Buffer
	if err := page.Execute(&b, r); err != nil {
		return nil, fmt.Errorf("writing fine-tuning page: %w", err)
	}
	return b.Bytes(), nil
}

var page = template.Must(template.New("report").Funcs(template.FuncMap{"losses": lossPlot, "quality": qualityPlot}).Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Fine-tuning</title>
<style>
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}
table{border-collapse:collapse;margin:1rem 0;width:100%}
th,td{text-align:right;padding:.3rem .6rem;border-bottom:1px solid #d8dee4;font-variant-numeric:tabular-nums}
th:first-child,td:first-child{text-align:left}
figure{display:inline-block;margin:0 1rem 1rem 0}
</style>
<h1>Fine-tuning</h1>
<p>{{.Train}} texts to learn from, {{.Validation}} to validate, {{len .Classes}} labels, {{printf "%.1f" .Tokens}} tokens a text; {{.Parameters}} parameters,
{{.Kernels}} kernels on {{.Threads}} threads, peak memory {{printf "%.0f" .PeakMiB}} MiB. The weights of epoch {{.Best}} are kept.
{{with .Positive}}Recall and F1 are those of “{{.}}”.{{else}}Recall and F1 are means over the labels.{{end}}</p>
<figure>{{losses .Epochs}}<figcaption>Loss by epoch</figcaption></figure>
<figure>{{quality .Epochs}}<figcaption>Validation by epoch</figcaption></figure>
<table><tr><th>epoch<th>training loss<th>validation loss<th>accuracy<th>recall<th>F1<th>seconds<th>CPU-seconds</tr>
{{range .Epochs}}<tr><td>{{.Number}}<td>{{printf "%.4f" .TrainLoss}}<td>{{printf "%.4f" .Loss}}<td>{{printf "%.4f" .Accuracy}}<td>{{printf "%.4f" .Recall}}<td>{{printf "%.4f" .F1}}<td>{{printf "%.1f" .Seconds}}<td>{{printf "%.1f" .CPUSeconds}}</tr>
{{end}}</table>
<h2>Labels, on validation</h2>
<table><tr><th>label<th>texts<th>precision<th>recall<th>F1</tr>
{{range .PerClass}}<tr><td>{{.Label}}<td>{{.Examples}}<td>{{printf "%.3f" .Precision}}<td>{{printf "%.3f" .Recall}}<td>{{printf "%.3f" .F1}}</tr>
{{end}}</table>
{{with .Settings}}<p>At most {{.Epochs}} epochs of batches of {{.Batch}}, learning rate {{.Rate}} (classifier {{.HeadRate}}), decay {{.Decay}}, warm-up {{.Warmup}}, clipping {{.Clip}}, at most {{.MaxLength}} tokens, seed {{.Seed}}.</p>{{end}}
</html>
`))

// Plots are this large, with a margin for the axes.
const plotWidth, plotHeight, plotMargin = 360.0, 220.0, 40.0

type line struct {
	name, colour string
	at           func(Epoch) float64
}

func lossPlot(epochs []Epoch) template.HTML {
	top := 0.
	for _, e := range epochs {
		top = max(top, e.TrainLoss, e.Loss)
	}
	return plot(epochs, top, line{"training", "#0969da", func(e Epoch) float64 { return e.TrainLoss }}, line{"validation", "#bc4c00", func(e Epoch) float64 { return e.Loss }})
}

func qualityPlot(epochs []Epoch) template.HTML {
	return plot(epochs, 1, line{"accuracy", "#0969da", func(e Epoch) float64 { return e.Accuracy }},
		line{"recall", "#bc4c00", func(e Epoch) float64 { return e.Recall }}, line{"F1", "#1a7f37", func(e Epoch) float64 { return e.F1 }})
}

// plot draws lines over the epochs, from 0 to top.
func plot(epochs []Epoch, top float64, lines ...line) template.HTML {
	place := func(i int, v float64) (x, y float64) {
		share := .5
		if len(epochs) > 1 {
			share = float64(i) / float64(len(epochs)-1)
		}
		return plotMargin + share*plotWidth, plotMargin/2 + (1-v/max(top, 1e-9))*plotHeight
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg width="%.0f" height="%.0f" role="img" font-size="11" fill="#59636e">`, plotWidth+2*plotMargin, plotHeight+2*plotMargin)
	fmt.Fprintf(&b, `<path d="M%.0f %.0fV%.0fH%.0f" stroke="#59636e" fill="none"/>`, plotMargin, plotMargin/2, plotMargin/2+plotHeight, plotMargin+plotWidth)
	for _, share := range []float64{0, .5, 1} {
		_, y := place(0, share*top)
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="end">%.2f</text>`, plotMargin-5, y+4, share*top)
	}
	for i, e := range epochs {
		x, y := place(i, 0)
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="middle">%d</text>`, x, y+15, e.Number)
	}
	for n, l := range lines {
		var path strings.Builder
		for i, e := range epochs {
			x, y := place(i, l.at(e))
			step := "L"
			if i == 0 {
				step = "M"
			}
			fmt.Fprintf(&path, "%s%.1f %.1f", step, x, y)
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"><title>%s %.4f</title></circle>`, x, y, l.colour, l.name, l.at(e))
		}
		fmt.Fprintf(&b, `<path d="%s" stroke="%s" stroke-width="2" fill="none"/><text x="%.0f" y="%.0f" fill="%s">%s</text>`, path.String(), l.colour, plotMargin+10+90*float64(n), plotHeight+plotMargin*1.5, l.colour, l.name)
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}
