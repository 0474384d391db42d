package explain

import (
	"context"
	"math"
	"strconv"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"profilestream/inference/heads"
	"profilestream/inference/score"
	"profilestream/schemas"
)

// Options bound the search. Zero values mean the defaults.
type Options struct {
	Events   int    // most events that are left out in turn; 300
	Currency string // for words
	// Progress is called with the changed histories scored and to score; may be nil.
	Progress func(stage string, done, total int)
}

// Explanation is why a row has its score.
type Explanation struct {
	AsOf         time.Time `json:"as_of"`
	Digest       string    `json:"digest"` // in decimal, as ClickHouse shows it
	ModelVersion string    `json:"model_version"`
	Flags        []string  `json:"flags,omitempty"`

	Churn     float64 `json:"churn_probability"`
	ChurnBand string  `json:"churn_band"`
	Value     float64 `json:"value_expected"`
	ValueBand string  `json:"value_band"`
	// ValueInterval is there where the bundle has intervals.
	ValueInterval *score.Interval `json:"value_interval,omitempty"`
	// Returns are there where the bundle has such heads.
	Returns   []Return `json:"returns,omitempty"`
	Sentiment *float64 `json:"sentiment,omitempty"`

	// Features holds the windows: money in the currency, times as RFC 3339, nil
	// for NULL.
	Features map[string]any `json:"features"`
	Text     string         `json:"text"`

	Base    float64        `json:"base_log_odds"`
	LogOdds float64        `json:"log_odds"`
	Reasons []Reason       `json:"reasons"`
	Methods []heads.Method `json:"methods"`

	Events Attribution `json:"events"`
	Flips  []Flip      `json:"flips"` // least cost first; empty: no change of these kinds
}

// Return is the probability of a purchase in the days after the row.
type Return struct {
	Days        int     `json:"days"`
	Probability float64 `json:"probability"`
}

// Reason is the effect of a feature, and its share of the sizes of all effects.
type Reason struct {
	score.Effect
	Share float64 `json:"share"`
}

// outcome is the score of one row.
type outcome struct {
	churn, value    float64
	band, valueBand string
}

func (o *outcome) logOdds() float64 {
	const edge = 1e-7 // a float32 may round to 1
	return heads.Logit(min(1-edge, max(edge, o.churn)))
}

// Explain explains the one row of a record of schemas.WindowRows, which history
// replays. Errors are the scorer's and the history's.
func Explain(ctx context.Context, s *score.Scorer, row arrow.Record, h History, o Options) (*Explanation, error) {
	if o.Events <= 0 {
		o.Events = 300
	}
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	x, err := newExplanation(ctx, s, row)
	if err != nil {
		return nil, err
	}
	t := &search{s: s, h: h, o: o, events: h.Events(), now: outcome{churn: x.Churn, value: x.Value, band: x.ChurnBand, valueBand: x.ValueBand}, asOf: x.AsOf}
	if x.Events, err = t.attribute(ctx); err != nil {
		return nil, err
	}
	t.rhythm(x.Features)
	if x.Flips, err = t.flips(ctx); err != nil {
		return nil, err
	}
	return x, nil
}

func newExplanation(ctx context.Context, s *score.Scorer, row arrow.Record) (*Explanation, error) {
	scored, err := s.Score(ctx, row)
	if err != nil {
		return nil, err
	}
	defer scored.Release()
	why, err := s.Explain(ctx, row, 0)
	if err != nil {
		return nil, err
	}
	o := outcomes(scored)[0]
	x := &Explanation{
		AsOf:         at(row, schemas.ColAsOf),
		Digest:       strconv.FormatUint(row.Column(schemas.ColDigest).(*array.Uint64).Value(0), 10),
		ModelVersion: scored.Column(schemas.ColModelVersion).(*array.String).Value(0),
		Churn:        o.churn, ChurnBand: o.band, Value: o.value, ValueBand: o.valueBand,
		ValueInterval: why.Interval,
		Features:      featuresOf(row), Text: why.Text, Base: why.Base, LogOdds: why.LogOdds, Methods: why.Methods,
	}
	flags := row.Column(schemas.ColFlags).(*array.Uint32).Value(0)
	if flags&schemas.FlagBot != 0 {
		x.Flags = append(x.Flags, "bot")
	}
	if flags&schemas.FlagHot != 0 {
		x.Flags = append(x.Flags, "hot")
	}
	if mood := scored.Column(schemas.ColSentiment).(*array.Float32); mood.IsValid(0) {
		m := float64(mood.Value(0))
		x.Sentiment = &m
	}
	returns, err := s.Returns(ctx, row)
	if err != nil {
		return nil, err
	}
	for k, p := range returns {
		x.Returns = append(x.Returns, Return{s.Bundle().Heads.Returns[k].Days, p[0]})
	}
	var all float64
	for _, e := range why.Effects {
		all += math.Abs(e.Effect)
	}
	for _, e := range why.Effects {
		x.Reasons = append(x.Reasons, Reason{Effect: e, Share: math.Abs(e.Effect) / all})
	}
	return x, nil
}

func at(rec arrow.Record, col int) time.Time {
	return time.UnixMilli(int64(rec.Column(col).(*array.Timestamp).Value(0))).UTC()
}

// featuresOf reads the features of a record's first row.
func featuresOf(rec arrow.Record) map[string]any {
	out := make(map[string]any, schemas.NumFeatures)
	for i, f := range schemas.Features {
		col := rec.Column(schemas.ColFeatures + i)
		if col.IsNull(0) {
			out[f.Name] = nil
			continue
		}
		switch c := col.(type) {
		case *array.Timestamp:
			out[f.Name] = at(rec, schemas.ColFeatures+i)
		case *array.Float64:
			out[f.Name] = c.Value(0)
		case *array.Int64:
			out[f.Name] = c.Value(0)
			if f.Type == schemas.Money {
				out[f.Name] = float64(c.Value(0)) / 1e6
			}
		}
	}
	return out
}

func outcomes(scored arrow.Record) []outcome {
	churn := scored.Column(schemas.ColChurn).(*array.Float32)
	band := scored.Column(schemas.ColChurnBand).(*array.String)
	value := scored.Column(schemas.ColValue).(*array.Float32)
	valueBand := scored.Column(schemas.ColValueBand).(*array.String)
	out := make([]outcome, scored.NumRows())
	for i := range out {
		out[i] = outcome{float64(churn.Value(i)), float64(value.Value(i)), band.Value(i), valueBand.Value(i)}
	}
	return out
}
