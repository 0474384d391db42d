package eval

// Curves are what the plots draw.
type Curves struct {
	ROC    []Point `json:"roc"`         // x: false-positive rate, y: true-positive rate
	PR     []Point `json:"pr"`          // x: recall, y: precision
	Churn  []Point `json:"churn_gains"` // x: share of rows, y: share of churners
	Spend  []Point `json:"spend_gains"` // x: share of rows, y: share of spend
	Oracle []Point `json:"spend_gains_perfect"`
}

// gainSteps is the number of steps of a gain curve.
const gainSteps = 20

// curveSteps is about how many points a curve keeps.
const curveSteps = 100

func (t *Test) curves(model *column) Curves {
	c := Curves{
		Churn: Gains(t.Model.Score, t.Churn, gainSteps), Spend: Gains(t.Value.Score, t.Spend, gainSteps),
		Oracle: Gains(t.Spend, t.Spend, gainSteps),
	}
	var pos, neg float64
	for _, y := range t.Churn {
		pos += y
		neg += 1 - y
	}
	if pos == 0 || neg == 0 {
		return c
	}
	c.ROC = []Point{{}}
	var tp, fp float64
	every, last := float64(len(t.Churn))/curveSteps, 0.0
	model.byScore.runs(func(rows []int) {
		for _, i := range rows {
			tp += t.Churn[i]
			fp += 1 - t.Churn[i]
		}
		if tp+fp-last >= every || tp+fp == pos+neg {
			last = tp + fp
			c.ROC = append(c.ROC, Point{Number(fp / neg), Number(tp / pos)})
			c.PR = append(c.PR, Point{Number(tp / pos), Number(tp / (tp + fp))})
		}
	})
	return c
}
