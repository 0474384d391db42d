package console

import "math"

// chart is what charts.js draws. X holds UTC seconds, rising; every series has a
// value for each of them, nil where none is known.
type chart struct {
	// Stacked lays each series on the ones before it.
	Stacked bool     `json:"stacked,omitempty"`
	X       []int64  `json:"x"`
	Series  []series `json:"series"`
	// Unit of the values: count, percent or money.
	Unit string `json:"unit"`
	// Currency stands before values of money.
	Currency string `json:"currency,omitempty"`
	// Sync moves the cursors of the charts of one name together.
	Sync string `json:"sync,omitempty"`
}

type series struct {
	Label string `json:"label"`
	// Color names a custom property of the style sheet, without its dashes.
	Color  string     `json:"color"`
	Values []*float64 `json:"values"`
	// Stepped holds a value until the next one; Bars draws one bar a value.
	Stepped bool `json:"stepped,omitempty"`
	Bars    bool `json:"bars,omitempty"`
}

// add appends a value; what is no number is not known.
func (s *series) add(v float64) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		s.Values = append(s.Values, nil)
		return
	}
	s.Values = append(s.Values, &v)
}
