package heads

import "fmt"

// Return is the calibrated probability that a customer buys within Days days.
// Its score is linear in the standardised inputs (and text components, where
// they lower the held-out loss; their weights are 0 otherwise), so the effect of
// an input on the log-odds is exactly Calibration.A times weight times value.
type Return struct {
	Days        int         `json:"days"`
	Linear      Linear      `json:"linear"`
	Calibration Calibration `json:"calibration"`
}

// Probabilities writes the probability of each row of x, which has the columns
// of Model.Full.
func (r *Return) Probabilities(x *Matrix, dst []float64) {
	r.Linear.Score(x, dst)
	for i, z := range dst[:x.Rows] {
		dst[i] = r.Calibration.Probability(z)
	}
}

func validateReturns(rs []Return, cols int) error {
	for i := range rs {
		r := &rs[i]
		if r.Days < 1 || i > 0 && r.Days <= rs[i-1].Days {
			return fmt.Errorf("return within %d days at %d: days must rise from 1", r.Days, i)
		}
		if err := r.Linear.validate(cols); err != nil {
			return fmt.Errorf("return within %d days: %w", r.Days, err)
		}
		if err := r.Calibration.validate(); err != nil {
			return fmt.Errorf("return within %d days: %w", r.Days, err)
		}
		if len(r.Calibration.X) > 0 {
			return fmt.Errorf("return within %d days: calibrated by %s, want platt", r.Days, r.Calibration.Kind())
		}
	}
	return nil
}
