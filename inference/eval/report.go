package eval

import (
	"encoding/json"
	"fmt"
)

// Classifier is how well one model tells who churns.
type Classifier struct {
	Name    string `json:"name"`
	AUC     Figure `json:"roc_auc"`
	AP      Figure `json:"pr_auc"`
	Brier   Figure `json:"brier"`
	LogLoss Figure `json:"log_loss"`
	ECE     Figure `json:"ece"`
	Lift    Figure `json:"lift_10"`
	// AUCAhead is this model's AUC less the first model's, by paired bootstrap.
	AUCAhead Figure `json:"auc_ahead_of_first"`
}

// Spender is how well one model tells what is spent.
type Spender struct {
	Name     string `json:"name"`
	Spearman Figure `json:"spearman"`
	Gini     Figure `json:"normalised_gini"`
	Lift     Figure `json:"lift_10"`
	Absolute Figure `json:"mean_absolute_error"`
	// Ratio is the sum expected over the sum spent.
	Ratio Figure `json:"sum_ratio"`
}

// Band is one band of the churn probability and what became of it.
type Band struct {
	Name string  `json:"name"`
	From float64 `json:"from"`
	N    int     `json:"n"`
	Rate Number  `json:"observed_rate"`
}

// Report is evaluation.json. It holds no times and no costs, so that one seed
// gives the same bytes.
type Report struct {
	Format      int               `json:"format"`
	Split       string            `json:"split"` // how the test rows were held out
	TrainRows   int               `json:"train_rows"`
	TestRows    int               `json:"test_rows"`
	TestUsers   int               `json:"test_users"`
	ChurnRate   Number            `json:"test_churn_rate"`
	Gate        *Gate             `json:"gate"`
	Churn       []Classifier      `json:"churn"`
	Value       []Spender         `json:"value"`
	Bands       []Band            `json:"bands"`
	Reliability []Bin             `json:"reliability"`
	Gains       []Point           `json:"gains"`
	Sentiment   *Classifier       `json:"sentiment,omitempty"`
	Notes       map[string]string `json:"notes"`
}

// samples is the number of bootstrap samples behind each interval.
const samples = 300

// Prediction is what one model says about the test rows.
type Prediction struct {
	Name  string
	Score []float64
	// Probability is false where the scores only rank (baselines), so that
	// calibration is not judged.
	Probability bool
}

// Classifiers measures models on the same rows and samples. The first is the one
// the others are compared with.
func Classifiers(models []Prediction, label []float64, groups []string, seed uint64) []Classifier {
	metrics := []func(p, y []float64) float64{AUC, AveragePrecision, Brier, LogLoss, ECE,
		func(p, y []float64) float64 { return Lift(p, y, .1) }}
	values, drawn := resample(models, label, groups, samples, seed, metrics)
	out := make([]Classifier, len(models))
	for m, model := range models {
		fig := func(k int) Figure { return interval(values[m][k], drawn[m][k]) }
		c := Classifier{Name: model.Name, AUC: fig(0), AP: fig(1), Brier: fig(2), LogLoss: fig(3), ECE: fig(4), Lift: fig(5)}
		if !model.Probability {
			c.Brier, c.LogLoss, c.ECE = unknown(), unknown(), unknown()
		}
		ahead := make([]float64, len(drawn[m][0]))
		for s := range ahead {
			ahead[s] = drawn[m][0][s] - drawn[0][0][s]
		}
		c.AUCAhead = interval(values[m][0]-values[0][0], ahead)
		out[m] = c
	}
	return out
}

// Spenders measures models of spending on the same rows and samples.
func Spenders(models []Prediction, amount []float64, groups []string, seed uint64) []Spender {
	metrics := []func(p, y []float64) float64{Spearman, Gini,
		func(p, y []float64) float64 { return Lift(p, y, .1) }, MeanAbsolute,
		func(p, y []float64) float64 { return ratio(sum(p), sum(y)) }}
	values, drawn := resample(models, amount, groups, samples, seed, metrics)
	out := make([]Spender, len(models))
	for m, model := range models {
		fig := func(k int) Figure { return interval(values[m][k], drawn[m][k]) }
		out[m] = Spender{Name: model.Name, Spearman: fig(0), Gini: fig(1), Lift: fig(2), Absolute: fig(3), Ratio: fig(4)}
		if !model.Probability {
			out[m].Absolute, out[m].Ratio = unknown(), unknown()
		}
	}
	return out
}

func unknown() Figure { n := Number(nan()); return Figure{n, n, n} }

func nan() float64 { var z float64; return z / z }

func sum(v []float64) (s float64) {
	for _, x := range v {
		s += x
	}
	return s
}

// resample computes every metric of every model on all rows and on each sample:
// values[model][metric] and drawn[model][metric][sample].
func resample(models []Prediction, y []float64, groups []string, samples int, seed uint64, metrics []func(p, y []float64) float64) (values [][]float64, drawn [][][]float64) {
	values, drawn = make([][]float64, len(models)), make([][][]float64, len(models))
	for m := range models {
		values[m], drawn[m] = make([]float64, len(metrics)), make([][]float64, len(metrics))
		for k, f := range metrics {
			values[m][k] = f(models[m].Score, y)
		}
	}
	var ps, ys []float64
	Bootstrap(groups, samples, seed, func(rows []int) {
		ys = pick(ys, y, rows)
		for m := range models {
			ps = pick(ps, models[m].Score, rows)
			for k, f := range metrics {
				drawn[m][k] = append(drawn[m][k], f(ps, ys))
			}
		}
	})
	return values, drawn
}

// Bands counts the rows of each band of probability. from rises; names has one
// more element.
func Bands(p, label, from []float64, names []string) []Band {
	out := make([]Band, len(names))
	for b, n := range names {
		out[b].Name = n
		if b > 0 {
			out[b].From = from[b-1]
		}
	}
	for i, q := range p {
		b := 0
		for b < len(from) && q >= from[b] {
			b++
		}
		out[b].N++
		out[b].Rate += Number(label[i])
	}
	for b := range out {
		out[b].Rate = Number(ratio(float64(out[b].Rate), float64(out[b].N)))
	}
	return out
}

// Encode writes evaluation.json.
func (r *Report) Encode() ([]byte, error) {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding evaluation: %w", err)
	}
	return append(b, '\n'), nil
}
