package eval

import (
	"encoding/json"
	"fmt"
)

// Cost is what a training took: cost.json. It differs from run to run, so it is
// kept apart from the report.
type Cost struct {
	Seconds    float64 `json:"seconds"`     // of the clock
	CPUSeconds float64 `json:"cpu_seconds"` // user and system, of the process
	PeakMiB    float64 `json:"peak_memory_mib"`
	Cores      int     `json:"cores"`
	Events     int     `json:"events"` // of the history
	Rows       int     `json:"rows"`   // cut from it
	Texts      int64   `json:"texts"`  // asked of the encoder
	Encoded    int64   `json:"texts_encoded"`
	Stages     []Stage `json:"stages"`
}

// Stage is a part of the work.
type Stage struct {
	Name       string  `json:"name"`
	Seconds    float64 `json:"seconds"`
	CPUSeconds float64 `json:"cpu_seconds"`
}

// Encode writes cost.json.
func (c *Cost) Encode() ([]byte, error) {
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding the cost of training: %w", err)
	}
	return append(b, '\n'), nil
}
