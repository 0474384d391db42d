package bundle

import (
	"encoding/json"
	"fmt"

	"profilestream/inference/eval"
)

// Refused says why the gate refused the bundle, a line a reason. It is empty
// where the bundle passed. A bundle that was never judged is refused.
func (b *Bundle) Refused() []string { return b.refused }

// Forced is the same bundle, to be used although it was refused: every row that
// it scores shows that in its model_version.
func (b *Bundle) Forced() *Bundle {
	c := *b
	c.forced = true
	return &c
}

// judge reads the gate's verdict out of evaluation.json.
func (b *Bundle) judge() error {
	var e struct {
		Gate *eval.Gate `json:"gate"`
	}
	if err := json.Unmarshal(b.Evaluation, &e); err != nil {
		return fmt.Errorf("loading bundle: %s: %w", EvaluationFile, err)
	}
	b.refused = e.Gate.Reasons()
	return nil
}
