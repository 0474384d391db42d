package stability

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"profilestream/inference/features"
	"profilestream/schemas"
)

// FormatVersion is the version of reference.json. Another one is refused.
const FormatVersion = 1

// Names of the scores in a reference.
const (
	Churn = "churn_probability"
	Value = "value_expected"
)

// Reference is reference.json: how features and scores lay in training.
type Reference struct {
	Format int   `json:"format"`
	Rows   int64 `json:"rows"`
	// HorizonDays is how far the labels looked ahead.
	HorizonDays int         `json:"horizon_days"`
	Columns     []Histogram `json:"columns"` // the features in their order, then Churn and Value
}

// Names are the columns of a reference.
func Names() []string {
	out := make([]string, 0, schemas.NumFeatures+2)
	for _, f := range schemas.Features {
		out = append(out, f.Name)
	}
	return append(out, Churn, Value)
}

// New makes a reference of training rows. churn and value are what models that did
// not see a row's customer said of it.
func New(tables []*features.Table, churn, value []float64, horizonDays int) *Reference {
	r := &Reference{Format: FormatVersion, Rows: int64(len(churn)), HorizonDays: horizonDays}
	for f := range schemas.Features {
		var values []float64
		for _, t := range tables {
			for i := range t.Rows() {
				values = append(values, Reading(t, f, i))
			}
		}
		r.Columns = append(r.Columns, Fit(schemas.Features[f].Name, values))
	}
	r.Columns = append(r.Columns, Fit(Churn, churn), Fit(Value, value))
	return r
}

// Reading is the value of a feature that is compared: a time is its age in days as
// of the row, NULL is NaN.
func Reading(t *features.Table, feature, row int) float64 {
	if schemas.Features[feature].Type == schemas.Time {
		return t.Age(feature, row)
	}
	return t.Value(feature, row)
}

// Encode writes reference.json.
func (r *Reference) Encode() ([]byte, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encoding the reference of drift: %w", err)
	}
	return append(b, '\n'), nil
}

// Decode reads and checks reference.json.
func Decode(b []byte) (*Reference, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	r := new(Reference)
	if err := d.Decode(r); err != nil {
		return nil, err
	}
	return r, r.validate()
}

func (r *Reference) validate() error {
	names := Names()
	switch {
	case r.Format != FormatVersion:
		return fmt.Errorf("reference of format %d, this program reads %d", r.Format, FormatVersion)
	case r.Rows < 0 || r.HorizonDays < 1 || r.HorizonDays > 3650:
		return fmt.Errorf("reference of %d rows and a horizon of %d days", r.Rows, r.HorizonDays)
	case len(r.Columns) != len(names):
		return fmt.Errorf("reference of %d columns, want %d", len(r.Columns), len(names))
	}
	for i := range r.Columns {
		h := &r.Columns[i]
		if h.Name != names[i] {
			return fmt.Errorf("column %d of the reference is %q, want %q", i, h.Name, names[i])
		}
		if err := h.validate(r.Rows); err != nil {
			return fmt.Errorf("reference of %s: %w", h.Name, err)
		}
	}
	return nil
}

func (h *Histogram) validate(rows int64) error {
	if len(h.Edges) >= bins || len(h.Counts) != len(h.Edges)+2 {
		return fmt.Errorf("%d edges and %d counts", len(h.Edges), len(h.Counts))
	}
	if !slices.IsSorted(h.Edges) || slices.ContainsFunc(h.Edges, func(e float64) bool { return math.IsNaN(e) || math.IsInf(e, 0) }) {
		return errors.New("its edges do not rise")
	}
	var n int64
	for _, c := range h.Counts {
		if c < 0 {
			return errors.New("a count is negative")
		}
		n += c
	}
	if n != rows {
		return fmt.Errorf("its counts sum to %d of %d rows", n, rows)
	}
	return nil
}
