package eval

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"math"
)

// HTML writes the report as one page without outside parts, for light and dark
// screens. cost may be nil.
func (r *Report) HTML(cost *Cost) ([]byte, error) {
	var b bytes.Buffer
	if err := page.Execute(&b, struct {
		*Report
		Cost *Cost
	}{r, cost}); err != nil {
		return nil, fmt.Errorf("writing evaluation page: %w", err)
	}
	return b.Bytes(), nil
}

//go:embed report.html
var source string

var page = template.Must(template.New("report").Funcs(template.FuncMap{
	"fig": figure, "diff": difference, "num": number, "tasks": tasksSection, "span": span, "percent": percent,
	"reliability": reliabilityPlot, "roc": rocPlot, "pr": prPlot, "gains": gainPlot, "best": bestGains, "lift": liftPlot,
}).Parse(source))

func number(n Number) string {
	if math.IsNaN(float64(n)) {
		return "–"
	}
	if math.Abs(float64(n)) >= 100 {
		return fmt.Sprintf("%.0f", float64(n))
	}
	return fmt.Sprintf("%.3f", float64(n))
}

func percent(n Number) string {
	if math.IsNaN(float64(n)) {
		return "–"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(n))
}

func figure(f Figure) template.HTML { return ranged(f, number) }

// difference writes signs.
func difference(f Figure) template.HTML {
	return ranged(f, func(n Number) string {
		if math.IsNaN(float64(n)) {
			return "–"
		}
		return fmt.Sprintf("%+.4f", float64(n))
	})
}

func ranged(f Figure, write func(Number) string) template.HTML {
	if math.IsNaN(float64(f.Value)) {
		return "–"
	}
	return template.HTML(fmt.Sprintf("%s<small>%s to %s</small>", write(f.Value), write(f.Low), write(f.High)))
}
