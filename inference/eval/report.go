package eval

import (
	"encoding/json"
	"fmt"
)

// Report is evaluation.json; docs/evaluation.md explains each field. It holds no
// times and no costs, so that one seed gives the same bytes.
type Report struct {
	Format      int               `json:"format"`
	Split       Split             `json:"split"`
	TrainRows   int               `json:"train_rows"` // of the bundle's model
	TestRows    int               `json:"test_rows"`
	TestUsers   int               `json:"test_users"`
	ChurnRate   Number            `json:"test_churn_rate"`
	Gate        *Gate             `json:"gate"`
	Churn       []Classifier      `json:"churn"`
	Value       []Spender         `json:"value"`
	Thresholds  []Threshold       `json:"thresholds"`
	Bands       []Band            `json:"bands"`
	ValueBands  []Band            `json:"value_bands"`
	Ranges      []Ranges          `json:"value_ranges"`
	Reliability []Bin             `json:"reliability"`
	Deciles     []Decile          `json:"deciles"`
	Curves      Curves            `json:"curves"`
	Groups      []Group           `json:"groups"`
	Fairness    []Gap             `json:"fairness"`
	Text        *Ablation         `json:"text,omitempty"`
	Tasks       *Tasks            `json:"tasks,omitempty"`
	Notes       map[string]string `json:"notes"`
}

// Split says how the test rows were held out.
type Split struct {
	Words string `json:"words"`
	// Folds is in how many parts the customers were cut; each part is tested with
	// a model fitted on the others.
	Folds   int      `json:"folds"`
	Origins []Origin `json:"origins"`
}

// Origin is a time of testing: rows as of it are predicted from earlier ones.
type Origin struct {
	At        string `json:"at"` // the day whose beginning is the cut-off
	TestRows  int    `json:"test_rows"`
	TrainRows int    `json:"train_rows"` // mean over the folds
	// Apart is true where the labels of training end before the test begins.
	Apart bool `json:"labels_apart"`
}

// Classifier is how well one model tells who churns.
type Classifier struct {
	Name    string `json:"name"`
	Kind    string `json:"kind"` // model, baseline or variant
	AUC     Figure `json:"roc_auc"`
	AP      Figure `json:"pr_auc"`
	Brier   Figure `json:"brier"`
	LogLoss Figure `json:"log_loss"`
	ECE     Figure `json:"ece"`
	Lift    Figure `json:"lift_10"`
	// AUCAhead is this model's AUC less the first model's, paired.
	AUCAhead Figure `json:"auc_ahead_of_first"`
}

// Spender is how well one model tells what is spent.
type Spender struct {
	Name     string `json:"name"`
	Kind     string `json:"kind"`
	Spearman Figure `json:"spearman"`
	Gini     Figure `json:"normalised_gini"`
	Lift     Figure `json:"lift_10"`
	Absolute Figure `json:"mean_absolute_error"`
	// Ratio is the sum expected over the sum spent.
	Ratio Figure `json:"sum_ratio"`
}

// Ablation is the paired difference of the model's figures with the text's
// components less those without.
type Ablation struct {
	Used     bool   `json:"used"` // by the bundle's model
	AUC      Figure `json:"roc_auc"`
	AP       Figure `json:"pr_auc"`
	Brier    Figure `json:"brier"`
	LogLoss  Figure `json:"log_loss"`
	Spearman Figure `json:"spearman"`
	Gini     Figure `json:"normalised_gini"`
}

// Ranges measures the intervals of value of one level.
type Ranges struct {
	Level    Number `json:"level"` // the share of rows that they are made to hold
	Coverage Figure `json:"coverage"`
	Width    Figure `json:"mean_width"`
}

// Encode writes evaluation.json.
func (r *Report) Encode() ([]byte, error) {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding evaluation: %w", err)
	}
	return append(b, '\n'), nil
}

// FormatVersion is the version of evaluation.json.
const FormatVersion = 1
