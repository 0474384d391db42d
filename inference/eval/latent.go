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
	return &LatentTask{
		Rows: len(gone), Gone: Number(sum(gone) / float64(len(gone))),
		DropOut: latentModels(churn, gone, groups, reference, seed, AUC),
		Spend:   latentModels(value, spend, groups, reference, seed, Spearman),
	}
}

func latentModels(models []Prediction, y []float64, groups []string, reference string, seed uint64, metric func(p, y []float64) float64) []LatentModel {
	values, drawn := resample(models, y, groups, samples, seed, []func(p, y []float64) float64{metric})
	at := 0
	for m := range models {
		if models[m].Name == reference {
			at = m
		}
	}
	out := make([]LatentModel, len(models))
	for m := range models {
		out[m] = LatentModel{
			Name: models[m].Name, Figure: interval(values[m][0], drawn[m][0]),
			Ahead: interval(values[m][0]-values[at][0], less(drawn[m][0], drawn[at][0])),
		}
	}
	return out
}
