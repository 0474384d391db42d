package finetune

// Metrics of predictions. Recall and F1 are the positive class's where there are two
// classes, and else the mean over the classes.
type Metrics struct {
	Loss     float64 `json:"loss"`
	Accuracy float64 `json:"accuracy"`
	Recall   float64 `json:"recall"`
	F1       float64 `json:"f1"`
}

// ClassMetrics are one class's.
type ClassMetrics struct {
	Label     string  `json:"label"`
	Examples  int     `json:"examples"`
	Precision float64 `json:"precision"`
	Recall    float64 `json:"recall"`
	F1        float64 `json:"f1"`
}

// confusion counts examples by [truth][prediction].
type confusion [][]int

func newConfusion(classes int) confusion {
	c := make(confusion, classes)
	for i := range c {
		c[i] = make([]int, classes)
	}
	return c
}

// classes measures each class; what divides by zero is zero.
func (c confusion) classes(labels []string) []ClassMetrics {
	out := make([]ClassMetrics, len(c))
	for i := range c {
		var truth, said int
		for j := range c {
			truth += c[i][j]
			said += c[j][i]
		}
		m := &out[i]
		m.Label, m.Examples = labels[i], truth
		hit := float64(c[i][i])
		if truth > 0 {
			m.Recall = hit / float64(truth)
		}
		if said > 0 {
			m.Precision = hit / float64(said)
		}
		if truth+said > 0 {
			m.F1 = 2 * hit / float64(truth+said)
		}
	}
	return out
}

// metrics sums the classes up; positive is that of two classes.
func (c confusion) metrics(labels []string, positive int, loss float64) Metrics {
	m := Metrics{Loss: loss}
	var hits, all int
	per := c.classes(labels)
	for i := range c {
		hits += c[i][i]
		all += per[i].Examples
		m.Recall += per[i].Recall / float64(len(c))
		m.F1 += per[i].F1 / float64(len(c))
	}
	m.Accuracy = float64(hits) / float64(all)
	if len(c) == 2 {
		m.Recall, m.F1 = per[positive].Recall, per[positive].F1
	}
	return m
}

// positiveClass is the second of two classes, in the order of their names, which puts
// yes, true and 1 after no, false and 0.
const positiveClass = 1
