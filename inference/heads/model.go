package heads

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"

	"profilestream/inference/features"
)

// FormatVersion is the version of the heads file. Another one is refused.
const FormatVersion = 2

// Bands are the thresholds of the two words of a row.
type Bands struct {
	ChurnMedium float64 `json:"churn_medium"` // from here on medium
	ChurnHigh   float64 `json:"churn_high"`
	ValueMid    float64 `json:"value_mid"`
	ValueHigh   float64 `json:"value_high"`
}

// Churn is the band of a churn probability: low, medium or high.
func (b *Bands) Churn(p float64) string {
	switch {
	case p >= b.ChurnHigh:
		return "high"
	case p >= b.ChurnMedium:
		return "medium"
	}
	return "low"
}

// Value is the band of an expected spend: low, mid or high.
func (b *Bands) Value(v float64) string {
	switch {
	case v >= b.ValueHigh:
		return "high"
	case v >= b.ValueMid:
		return "mid"
	}
	return "low"
}

// Model is everything that turns inputs and embeddings into scores. Its file is
// JSON: an object with the fields below, numbers in the shortest decimal that
// gives the same float back.
type Model struct {
	Format      int                `json:"format"`
	FeatureHash string             `json:"feature_hash"` // features.Hash at training
	Inputs      []string           `json:"inputs"`       // features.Names at training
	Rendering   string             `json:"rendering"`    // version of the texts at training
	Dim         int                `json:"dim"`          // length of the embeddings
	Seed        uint64             `json:"seed"`
	Standard    *features.Standard `json:"standard"`
	Text        *Projection        `json:"text"`
	Full        Set                `json:"full"`    // numeric inputs, then text components
	Numeric     Set                `json:"numeric"` // numeric inputs only: the degraded mode
	Sentiment   *Sentiment         `json:"sentiment,omitempty"`
	Moods       bool               `json:"moods,omitempty"` // MoodInputs follow the text components
	Interests   Interests          `json:"interests"`
	Next        *Next              `json:"next,omitempty"` // nil: interests weigh recent entries
	Returns     []Return           `json:"returns,omitempty"`
	Bands       Bands              `json:"bands"`
}

// Validate checks that the parts fit each other and this program's features,
// and that every weight is finite.
func (m *Model) Validate() error {
	if m.Format != FormatVersion {
		return fmt.Errorf("heads of format %d, this program reads %d", m.Format, FormatVersion)
	}
	if h := features.Hash(); m.FeatureHash != h {
		return fmt.Errorf("heads were trained on the features %q, this program has %q", m.FeatureHash, h)
	}
	if m.Standard == nil || m.Text == nil {
		return fmt.Errorf("heads lack the standardisation or the text projection")
	}
	if err := m.Standard.Validate(); err != nil {
		return err
	}
	if err := m.Text.validate(); err != nil {
		return err
	}
	if m.Text.Dim != m.Dim {
		return fmt.Errorf("text projection reads %d dimensions, the heads %d", m.Text.Dim, m.Dim)
	}
	n := len(features.Inputs)
	if m.Numeric.Cols != n || m.Full.Cols != n+m.TextCols() {
		return fmt.Errorf("heads read %d and %d inputs, want %d and %d", m.Numeric.Cols, m.Full.Cols, n, n+m.TextCols())
	}
	if err := m.Full.validate(); err != nil {
		return err
	}
	if err := m.Numeric.validate(); err != nil {
		return fmt.Errorf("numbers only: %w", err)
	}
	if m.Sentiment != nil {
		if err := m.Sentiment.validate(m.Dim); err != nil {
			return err
		}
	}
	if err := m.Interests.validate(m.Dim); err != nil {
		return err
	}
	if m.Moods && m.Sentiment == nil {
		return fmt.Errorf("heads read moods and have none")
	}
	if m.Next != nil {
		if err := m.Next.validate(len(m.Interests.Categories), len(m.Text.Bias)); err != nil {
			return err
		}
	}
	if err := validateReturns(m.Returns, m.Full.Cols); err != nil {
		return err
	}
	return m.Bands.validate()
}

func (b *Bands) validate() error {
	for _, v := range []float64{b.ChurnMedium, b.ChurnHigh, b.ValueMid, b.ValueHigh} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("bands: %w", errNotFinite)
		}
	}
	if b.ChurnMedium > b.ChurnHigh || b.ValueMid > b.ValueHigh {
		return fmt.Errorf("bands fall: churn %v..%v, value %v..%v", b.ChurnMedium, b.ChurnHigh, b.ValueMid, b.ValueHigh)
	}
	return nil
}

// TextCols is the number of inputs of Full beyond the numeric ones: what the
// encoder reads.
func (m *Model) TextCols() int {
	if m.Moods {
		return len(m.Text.Bias) + NumMoods
	}
	return len(m.Text.Bias)
}

// Encode writes the heads file.
func (m *Model) Encode() ([]byte, error) {
	if err := m.Validate(); err != nil {
		return nil, fmt.Errorf("encoding heads: %w", err)
	}
	b, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encoding heads: %w", err)
	}
	return append(b, '\n'), nil
}

// Decode reads and validates a heads file; unknown fields are errors.
func Decode(b []byte) (*Model, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	m := new(Model)
	if err := d.Decode(m); err != nil {
		return nil, fmt.Errorf("decoding heads: %w", err)
	}
	if err := m.Validate(); err != nil {
		return nil, fmt.Errorf("decoding heads: %w", err)
	}
	return m, nil
}
