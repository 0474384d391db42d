package heads

import (
	"fmt"
	"math"
)

// Parts of an ensemble, the positions of its weights.
const (
	PartLinear = iota
	PartMLP
	PartForest
	NumParts
)

// Ensemble is a weighted sum of the scores of a linear part, an MLP and a
// forest on the same inputs. A part that is absent has weight 0.
type Ensemble struct {
	Linear Linear            `json:"linear"`
	MLP    *MLP              `json:"mlp,omitempty"`
	Forest Forest            `json:"forest"`
	Mix    [NumParts]float64 `json:"mix"`
}

// Scratch is the working memory of one goroutine.
type Scratch struct {
	hidden Matrix
	part   []float64
	slopes []float32
}

func (s *Scratch) sized(rows, cols int) {
	if cap(s.part) < rows {
		s.part = make([]float64, rows)
	}
	if cap(s.slopes) < cols {
		s.slopes = make([]float32, cols)
	}
	s.part, s.slopes = s.part[:rows], s.slopes[:cols]
}

func (e *Ensemble) validate(cols int) error {
	for _, m := range e.Mix {
		if math.IsNaN(m) || math.IsInf(m, 0) {
			return fmt.Errorf("mix: %w", errNotFinite)
		}
	}
	if e.MLP == nil && e.Mix[PartMLP] != 0 {
		return fmt.Errorf("the mix weighs a hidden layer that is absent")
	}
	if e.MLP != nil {
		if err := e.MLP.validate(cols); err != nil {
			return err
		}
	}
	if err := e.Linear.validate(cols); err != nil {
		return err
	}
	return e.Forest.validate(cols)
}

// Score writes the score of each row to dst.
func (e *Ensemble) Score(x *Matrix, s *Scratch, dst []float64) {
	s.sized(x.Rows, x.Cols)
	e.Linear.Score(x, dst)
	for i := range dst[:x.Rows] {
		dst[i] *= e.Mix[PartLinear]
	}
	if e.MLP != nil {
		e.MLP.Score(x, &s.hidden, s.part)
		addScaled(dst, s.part, e.Mix[PartMLP])
	}
	e.Forest.Score(x, s.part)
	addScaled(dst, s.part, e.Mix[PartForest])
}

func addScaled(dst, part []float64, by float64) {
	for i, v := range part {
		dst[i] += by * v
	}
}

// Classifier is an ensemble whose score is calibrated to a probability.
type Classifier struct {
	Ensemble    Ensemble    `json:"ensemble"`
	Calibration Calibration `json:"calibration"`
}

// EffectScale turns effects on the raw score z into effects on the calibrated
// log-odds: the slope of the calibration between the base and z. Scaled so, the
// effects of a row add up to the difference of its log-odds and the base's. base is
// the ensemble's Base.
func (c *Classifier) EffectScale(z, base float64) float64 {
	if len(c.Calibration.X) == 0 {
		return c.Calibration.A
	}
	if math.Abs(z-base) < 1e-6 {
		return 1
	}
	return (Logit(c.Calibration.Probability(z)) - Logit(c.Calibration.Probability(base))) / (z - base)
}

// Spend expects the money spent in the horizon in two stages: the probability of
// any spending, a second calibration of the churn score, times the expected
// spending of those who spend: exp of the expected logarithm times Factor, which
// makes the sum of the expectations equal the sum spent (smearing).
type Spend struct {
	Any    Calibration `json:"any"` // of the negated churn score
	Amount Ensemble    `json:"amount"`
	Factor float64     `json:"factor"`
	// MinLog and MaxLog bound the logarithm to what training has seen.
	MinLog float64 `json:"min_log"`
	MaxLog float64 `json:"max_log"`
}

// Value combines the churn score and the score of Amount.
func (s *Spend) Value(churn, amount float64) float64 {
	return s.Any.Probability(-churn) * s.Factor * math.Exp(s.bounded(amount))
}

func (s *Spend) bounded(amount float64) float64 { return min(s.MaxLog, max(s.MinLog, amount)) }

// Set is the heads for one kind of input: with text components, or numbers only.
type Set struct {
	Cols  int        `json:"cols"`
	Churn Classifier `json:"churn"`
	Spend Spend      `json:"spend"`
	// Intervals of the spend; nil where none were fitted.
	Intervals *Intervals `json:"intervals,omitempty"`
}

func (s *Set) validate() error {
	if s.Cols < 1 {
		return fmt.Errorf("heads on %d inputs", s.Cols)
	}
	if err := s.Churn.Ensemble.validate(s.Cols); err != nil {
		return fmt.Errorf("churn: %w", err)
	}
	if err := s.Churn.Calibration.validate(); err != nil {
		return fmt.Errorf("churn: %w", err)
	}
	if err := s.Spend.Any.validate(); err != nil {
		return fmt.Errorf("spend: %w", err)
	}
	if err := s.Spend.Amount.validate(s.Cols); err != nil {
		return fmt.Errorf("spend: %w", err)
	}
	for _, v := range []float64{s.Spend.Factor, s.Spend.MinLog, s.Spend.MaxLog} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("spend: %w", errNotFinite)
		}
	}
	if s.Spend.Factor < 0 || s.Spend.MinLog > s.Spend.MaxLog || s.Spend.MaxLog > 60 {
		return fmt.Errorf("spend: factor %v, logarithm in [%v,%v]", s.Spend.Factor, s.Spend.MinLog, s.Spend.MaxLog)
	}
	return s.Intervals.validate()
}

// Widened returns the same heads reading more inputs, which they ignore.
func (s *Set) Widened(cols int) Set {
	w := *s
	w.Cols = cols
	w.Churn.Ensemble = s.Churn.Ensemble.widened(s.Cols, cols)
	w.Spend.Amount = s.Spend.Amount.widened(s.Cols, cols)
	return w
}

func (e *Ensemble) widened(from, to int) Ensemble {
	w := *e
	w.Linear.Weights = append(append([]float32(nil), e.Linear.Weights...), make([]float32, to-from)...)
	if e.MLP != nil {
		m := *e.MLP
		m.W1 = make([]float32, m.Hidden*to)
		for h := range m.Hidden {
			copy(m.W1[h*to:], e.MLP.W1[h*from:(h+1)*from])
		}
		w.MLP = &m
	}
	return w
}
