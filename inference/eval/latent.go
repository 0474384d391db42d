package eval

// LatentTask compares scores with a simulator's truth, for held-out customers
// who are no bots.
type LatentTask struct {
	Rows    int           `json:"rows"`
	Gone    Number        `json:"dropped_out"` // share of the rows
	DropOut []LatentModel `json:"drop_out"`    // ROC-AUC of having left for good
	Spend   []LatentModel `json:"spend"`       // Spearman with the expected spend of 90 days
}

// LatentModel is the figure of one model.
type LatentModel struct {
	Name   string `json:"name"`
	Figure Figure `json:"figure"`
	// Ahead is its figure less that of the numbers alone, by paired bootstrap: for
	// a model that reads text too, what the encoder adds.
	Ahead Figure `json:"ahead_of_numbers"`
}

// Latent measures scores of churn by how they tell who has left for good (gone is
// 0 or 1), and scores of value by their rank correlation with the spend expected
// of a customer. reference names the model that the others are compared with.
func Latent(churn, value []Prediction, gone, spend []float64, groups []string, reference string, seed uint64) *LatentTask {
	t := &LatentTask{Rows: len(gone), Gone: Number(mean(gone, ones(len(gone))))}
	p := new(panel)
	t.DropOut = p.latent(churn, gone, reference, (*column).auc)
	t.Spend = p.latent(value, spend, reference, (*column).spearman)
	p.run(groups, samples, seed)
	return t
}

func (p *panel) latent(models []Prediction, y []float64, reference string, metric func(*column, []float64) float64) []LatentModel {
	out, at, of := make([]LatentModel, len(models)), 0, make([]int, len(models))
	for m, model := range models {
		col := newColumn(model.Score, y)
		out[m].Name = model.Name
		of[m] = p.measure(&out[m].Figure, func(w []float64) float64 { return metric(col, w) })
		if model.Name == reference {
			at = m
		}
	}
	for m := range models {
		p.less(&out[m].Ahead, of[m], of[at])
	}
	return out
}
