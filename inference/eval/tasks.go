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
	out, p, first := make([]Chooser, len(models)), new(panel), 0
	for m, model := range models {
		hit, near, loss := make([]float64, len(label)), make([]float64, len(label)), make([]float64, len(label))
		for i, q := range model.P {
			rank := rankOf(q, label[i])
			hit[i], near[i], loss[i] = indicator(rank < 1), indicator(rank < 3), surprise(q[label[i]])
		}
		c := &out[m]
		c.Name, c.LogLoss = model.Name, unknown()
		top := p.measure(&c.Top1, meanOf(hit))
		p.measure(&c.Top3, meanOf(near))
		if !model.Ranks {
			p.measure(&c.LogLoss, meanOf(loss))
		}
		if m == 0 {
			first = top
		}
		p.less(&c.Ahead, top, first)
	}
	p.run(groups, samples, seed)
	return out
}

// Adds is the top-1 accuracy and the log loss of b less those of a, by paired
// bootstrap.
func Adds(a, b Choices, label []int, groups []string, seed uint64) (top1, loss Figure) {
	hit, lost := make([]float64, len(label)), make([]float64, len(label))
	for i, l := range label {
		hit[i] = indicator(rankOf(b.P[i], l) < 1) - indicator(rankOf(a.P[i], l) < 1)
		lost[i] = surprise(b.P[i][l]) - surprise(a.P[i][l])
	}
	p := new(panel)
	p.measure(&top1, meanOf(hit))
	p.measure(&loss, meanOf(lost))
	p.run(groups, samples, seed)
	return top1, loss
}

// surprise is the negative logarithm of a probability, kept finite.
func surprise(p float64) float64 { return -math.Log(math.Max(1e-9, p)) }

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
	out, p := make([]Mood, len(models)), new(panel)
	for m, model := range models {
		right := make([]float64, len(label))
		for i, q := range model.Score {
			if right[i] = indicator((q > .5) == (label[i] > .5)); q == .5 {
				right[i] = .5
			}
		}
		out[m].Name = model.Name
		p.measure(&out[m].Accuracy, meanOf(right))
		p.measure(&out[m].AUC, newColumn(model.Score, label).auc)
	}
	p.run(texts, samples, seed)
	return out
}

// meanOf is the statistic that is the mean of v.
func meanOf(v []float64) statistic {
	return func(w []float64) float64 { return mean(v, w) }
}

func indicator(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
