package features

import (
	"fmt"
	"math"
)

// limit bounds a standardised input, so that one absurd value cannot outweigh
// everything else the model knows.
const limit = 6

// Standard holds the training statistics of the inputs, in the order of Inputs.
type Standard struct {
	Mean    []float64 `json:"mean"`
	Inverse []float64 `json:"inverse"` // 1 / standard deviation; 0 for a constant input
	// Lifetime computes the lifetime inputs; nil where no model could be fitted.
	Lifetime *Lifetime `json:"lifetime,omitempty"`
}

// Validate checks shape and finiteness.
func (s *Standard) Validate() error {
	if len(s.Mean) != len(Inputs) || len(s.Inverse) != len(Inputs) {
		return fmt.Errorf("standardisation of %d inputs, want %d", len(s.Mean), len(Inputs))
	}
	for j := range s.Mean {
		if bad(s.Mean[j]) || bad(s.Inverse[j]) || s.Inverse[j] < 0 {
			return fmt.Errorf("standardisation of input %s is not usable", Inputs[j].Name)
		}
	}
	return s.Lifetime.validate()
}

func bad(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }

func squash(z float64) float32 {
	return float32(max(-limit, min(limit, z)))
}

// Fit computes the statistics over the given rows of each table. Missing values
// do not count. life may be nil.
func Fit(tables []*Table, rows [][]int, life *Lifetime) *Standard {
	d := len(Inputs)
	s := &Standard{Mean: make([]float64, d), Inverse: make([]float64, d), Lifetime: life}
	n, sum, sq, row := make([]float64, d), make([]float64, d), make([]float64, d), make([]float64, d)
	each := func(f func(j int, x float64)) {
		for k, t := range tables {
			for _, i := range rows[k] {
				t.Raw(life, i, row)
				for j, x := range row {
					if !bad(x) {
						f(j, x)
					}
				}
			}
		}
	}
	each(func(j int, x float64) { n[j]++; sum[j] += x })
	for j := range n {
		s.Mean[j] = sum[j] / math.Max(1, n[j])
	}
	each(func(j int, x float64) { e := x - s.Mean[j]; sq[j] += e * e })
	for j := range n {
		if sd := math.Sqrt(sq[j] / math.Max(1, n[j])); sd > 1e-9 {
			s.Inverse[j] = 1 / sd
		}
	}
	return s
}
