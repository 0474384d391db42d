package eval

import "math"

// Tasks is how well the heads beside churn and value do. A task that the data
// do not have is absent.
type Tasks struct {
	Next      *NextTask    `json:"next_category,omitempty"`
	Returns   []ReturnTask `json:"returns,omitempty"`
	Sentiment *MoodTask    `json:"sentiment,omitempty"`
	// Latent compares the scores with what a simulator knows of its customers.
	Latent *LatentTask `json:"latent,omitempty"`
}

// NextTask is the category of the next purchase of those who buy in the horizon.
type NextTask struct {
	Rows       int            `json:"rows"`
	Categories int            `json:"categories"`
	Used       map[string]int `json:"used"` // splits by what interests are made of in them
	Models     []Chooser      `json:"models"`
	// TextAdds is the top-1 accuracy, and the log loss, of the model that reads
	// text less those of the one that reads counts alone, on the same rows.
	TextAdds     *Figure `json:"text_adds_top_1,omitempty"`
	TextAddsLoss *Figure `json:"text_adds_log_loss,omitempty"`
}

// ReturnTask is a purchase within some days.
type ReturnTask struct {
	Days   int          `json:"days"`
	Rate   Number       `json:"rate"`
	Models []Classifier `json:"models"`
}

// MoodTask is the mood of feedback, on folds by text.
type MoodTask struct {
	Texts  int    `json:"texts"`
	Models []Mood `json:"models"`
}

// Mood is how well one model tells a text's mood. Accuracy counts a text of which
// it says nothing as half right.
type Mood struct {
	Name     string `json:"name"`
	Accuracy Figure `json:"accuracy"`
	AUC      Figure `json:"roc_auc"`
}

// Chooser is how well one model tells which of several categories comes.
type Chooser struct {
	Name    string `json:"name"`
	Top1    Figure `json:"top_1"`
	Top3    Figure `json:"top_3"`
	LogLoss Figure `json:"log_loss"`
	// Ahead is the top-1 accuracy less the first model's, by paired bootstrap.
	Ahead Figure `json:"top_1_ahead_of_first"`
}

// Choices is what one model says: for each row a weight of each category, which
// are probabilities unless Ranks is set.
type Choices struct {
	Name  string
	P     [][]float64
	Ranks bool
}

// Choosers measures models on the same rows and samples. label is the position
// of the category that came. The first model is the one the others are compared
// with.
func Choosers(models []Choices, label []int, groups []string, seed uint64) []Chooser {
	marks := make([][3][]float64, len(models)) // hit, hit among three, loss
	for m, model := range models {
		for i, p := range model.P {
			rank := rankOf(p, label[i])
			marks[m][0] = append(marks[m][0], indicator(rank < 1))
			marks[m][1] = append(marks[m][1], indicator(rank < 3))
			marks[m][2] = append(marks[m][2], -math.Log(math.Max(1e-9, p[label[i]])))
		}
	}
	drawn := make([][3][]float64, len(models))
	Bootstrap(groups, samples, seed, func(rows []int) {
		for m := range models {
			for k := range marks[m] {
				drawn[m][k] = append(drawn[m][k], meanOf(marks[m][k], rows))
			}
		}
	})
	out := make([]Chooser, len(models))
	for m, model := range models {
		value := func(m, k int) float64 { return meanOf(marks[m][k], nil) }
		fig := func(k int) Figure { return interval(value(m, k), drawn[m][k]) }
		c := Chooser{Name: model.Name, Top1: fig(0), Top3: fig(1), LogLoss: fig(2)}
		if model.Ranks {
			c.LogLoss = unknown()
		}
		c.Ahead = interval(value(m, 0)-value(0, 0), less(drawn[m][0], drawn[0][0]))
		out[m] = c
	}
	return out
}

// Adds is the top-1 accuracy and the log loss of b less those of a, by paired
// bootstrap.
func Adds(a, b Choices, label []int, groups []string, seed uint64) (top1, loss Figure) {
	hit, lost := make([]float64, len(label)), make([]float64, len(label))
	for i, l := range label {
		hit[i] = indicator(rankOf(b.P[i], l) < 1) - indicator(rankOf(a.P[i], l) < 1)
		lost[i] = math.Log(math.Max(1e-9, a.P[i][l])) - math.Log(math.Max(1e-9, b.P[i][l]))
	}
	var hits, losses []float64
	Bootstrap(groups, samples, seed, func(rows []int) {
		hits, losses = append(hits, meanOf(hit, rows)), append(losses, meanOf(lost, rows))
	})
	return interval(meanOf(hit, nil), hits), interval(meanOf(lost, nil), losses)
}

// rankOf is the rank of category c from 0; a tie is won by the first in order.
func rankOf(p []float64, c int) (rank int) {
	for k, v := range p {
		if v > p[c] || v == p[c] && k < c {
			rank++
		}
	}
	return rank
}

// Moods measures readers of mood on the same texts. A score of exactly .5 says
// nothing.
func Moods(models []Prediction, label []float64, texts []string, seed uint64) []Mood {
	accuracy := func(p, y []float64) float64 {
		var right float64
		for i, q := range p {
			switch {
			case q == .5:
				right += .5
			case (q > .5) == (y[i] > .5):
				right++
			}
		}
		return right / float64(len(p))
	}
	values, drawn := resample(models, label, texts, samples, seed, []func(p, y []float64) float64{accuracy, AUC})
	out := make([]Mood, len(models))
	for m := range models {
		out[m] = Mood{Name: models[m].Name, Accuracy: interval(values[m][0], drawn[m][0]), AUC: interval(values[m][1], drawn[m][1])}
	}
	return out
}

// meanOf is the mean of the given elements; of all where rows is nil.
func meanOf(v []float64, rows []int) float64 {
	if rows == nil {
		return sum(v) / float64(len(v))
	}
	var s float64
	for _, i := range rows {
		s += v[i]
	}
	return s / float64(len(rows))
}

func less(a, b []float64) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		out[i] = a[i] - b[i]
	}
	return out
}

func indicator(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
