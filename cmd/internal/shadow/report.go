package shadow

import (
	"encoding/json"
	"fmt"

	"profilestream/inference/eval"
)

// FormatVersion is the version of the report's JSON.
const FormatVersion = 1

// Report is what a shadow run found.
type Report struct {
	Format    int      `json:"format"`
	Candidate string   `json:"candidate"` // bundle ids
	Current   string   `json:"current"`
	Refused   []string `json:"candidate_refused"` // the gate's reasons; none: it passed
	Days      []Day    `json:"days"`              // in order
	Last      Last     `json:"last_day"`
	Moves     []Move   `json:"moves"` // of every day
	Costs     Costs    `json:"cost"`
	Notes     []string `json:"notes"`
}

// Day compares the customers as of the end of a day.
type Day struct {
	Day            string  `json:"day"`
	Users          int     `json:"users"`
	ChurnCurrent   float64 `json:"mean_churn_current"`
	ChurnCandidate float64 `json:"mean_churn_candidate"`
	ValueCurrent   float64 `json:"sum_value_current"`
	ValueCandidate float64 `json:"sum_value_candidate"`
	ChurnMoved     float64 `json:"share_of_churn_band_moved"`
	ValueMoved     float64 `json:"share_of_value_band_moved"`
	SegmentMoved   float64 `json:"share_of_segment_moved"`
}

// Last tells more of the last day.
type Last struct {
	// Quantiles of how far churn_probability moves, and the most.
	Median float64 `json:"churn_moves_by_median"`
	P95    float64 `json:"churn_moves_by_p95"`
	Most   float64 `json:"churn_moves_by_most"`
	// Spearman's correlations of the two bundles' churn_probability and
	// value_expected.
	ChurnRank eval.Number `json:"churn_rank_correlation"`
	ValueRank eval.Number `json:"value_rank_correlation"`
	Shifts    []Shift     `json:"shifts"` // churn_probability of the candidate less that of the current bundle
}

// Shift is a bar of the histogram of differences.
type Shift struct {
	From  float64 `json:"from"` // up to the next one's
	Users int     `json:"users"`
}

// Kinds of moves.
const (
	KindChurn   = "churn_band"
	KindValue   = "value_band"
	KindSegment = "segment" // churn band and value band, as high/low
)

// Move is how many customers go from one band to another, those who stay included.
type Move struct {
	Day            string  `json:"day"`
	Kind           string  `json:"kind"`
	From           string  `json:"from"`
	To             string  `json:"to"`
	Users          uint64  `json:"users"`
	ChurnCurrent   float64 `json:"sum_churn_current"`
	ChurnCandidate float64 `json:"sum_churn_candidate"`
	ValueCurrent   float64 `json:"sum_value_current"`
	ValueCandidate float64 `json:"sum_value_candidate"`
}

// Costs are what the two bundles took here, on the same rows.
type Costs struct {
	Current     Cost `json:"current"`
	Candidate   Cost `json:"candidate"`
	SameEncoder bool `json:"same_encoder"` // then the candidate found the texts of the current one in the cache
	Cores       int  `json:"cores"`
	// RescoreSeconds is how long a promotion would take to score every customer of
	// the last day again, at the candidate's rate here.
	RescoreSeconds float64 `json:"rescore_seconds"`
}

// Cost is what one bundle took.
type Cost struct {
	Rows       int     `json:"rows"`
	Seconds    float64 `json:"seconds"`
	CPUSeconds float64 `json:"cpu_seconds"`
	Texts      int64   `json:"texts"` // asked of the encoder
	Encoded    int64   `json:"texts_encoded"`
	FromDisk   int64   `json:"texts_from_disk"`
}

// PerThousand is the CPU seconds for a thousand rows.
func (c Cost) PerThousand() float64 { return 1000 * c.CPUSeconds / float64(max(1, c.Rows)) }

// Encode writes the report as JSON.
func (r *Report) Encode() ([]byte, error) {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding the report of a shadow run: %w", err)
	}
	return append(b, '\n'), nil
}
