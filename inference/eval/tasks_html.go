package eval

import (
	"fmt"
	"html/template"
	"strings"
)

// tasksSection writes the tables of the tasks.
func tasksSection(t *Tasks) (template.HTML, error) {
	var b strings.Builder
	if err := tasksPage.Execute(&b, t); err != nil {
		return "", fmt.Errorf("writing the tasks: %w", err)
	}
	return template.HTML(b.String()), nil
}

var tasksPage = template.Must(template.New("tasks").Funcs(template.FuncMap{"fig": figure, "num": number}).Parse(
	`{{with .Next}}<h2>Next category</h2>
<p>{{.Rows}} rows whose customer buys in the horizon, {{.Categories}} categories; the model reads{{range $k, $v := .Used}} {{$k}} in {{$v}} splits{{end}}.</p>
<table><tr><th>model<th>top 1<th>ahead of first<th>top 3<th>log loss</tr>
{{range .Models}}<tr><td>{{.Name}}<td>{{fig .Top1}}<td>{{fig .Ahead}}<td>{{fig .Top3}}<td>{{fig .LogLoss}}</tr>
{{end}}</table>{{with .TextAdds}}<p>Text adds to top 1: {{fig .}}</p>{{end}}{{with .TextAddsLoss}}<p>and to log loss: {{fig .}}</p>{{end}}
{{end}}{{range .Returns}}<h2>Purchase within {{.Days}} days</h2>
<table><tr><th>model<th>ROC-AUC<th>ahead of first<th>Brier<th>ECE</tr>
{{range .Models}}<tr><td>{{.Name}}<td>{{fig .AUC}}<td>{{fig .AUCAhead}}<td>{{fig .Brier}}<td>{{fig .ECE}}</tr>
{{end}}</table><p>{{num .Rate}} of the test rows buy.</p>
{{end}}{{with .Sentiment}}<h2>Mood of feedback</h2><p>{{.Texts}} texts, on folds by text.</p>
<table><tr><th>model<th>accuracy<th>ROC-AUC</tr>
{{range .Models}}<tr><td>{{.Name}}<td>{{fig .Accuracy}}<td>{{fig .AUC}}</tr>
{{end}}</table>
{{end}}{{with .Latent}}<h2>Latent truth of the simulated customers</h2>
<p>{{.Rows}} rows, {{num .Gone}} of them have left for good.</p>
<table><tr><th>having left<th>ROC-AUC<th>ahead of numbers alone</tr>
{{range .DropOut}}<tr><td>{{.Name}}<td>{{fig .Figure}}<td>{{fig .Ahead}}</tr>
{{end}}</table>
<table><tr><th>expected spend<th>Spearman<th>ahead of numbers alone</tr>
{{range .Spend}}<tr><td>{{.Name}}<td>{{fig .Figure}}<td>{{fig .Ahead}}</tr>
{{end}}</table>{{end}}`))
