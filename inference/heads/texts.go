package heads

import (
	"fmt"
	"math"
)

// Sentiment reads the mood of a text from its embedding.
type Sentiment struct {
	Linear      Linear      `json:"linear"`
	Calibration Calibration `json:"calibration"`
}

// Mood is in [-1,1], rising with the probability of a positive text.
func (s *Sentiment) Mood(embedding []float32) float32 {
	z := dot(embedding, s.Linear.Weights, s.Linear.Bias)
	return float32(2*s.Calibration.Probability(float64(z)) - 1)
}

// Inputs that tell moods: of the newest feedback, and of the newest search.
const (
	MoodFeedback = iota
	MoodSearch
	NumMoods
)

const (
	moodDays  = 30 // an age that halves what a mood tells
	moodScale = 2  // brings moods to about the spread of the other inputs
)

// MoodInput is the input that a mood (see Sentiment.Mood) of some age makes; 0,
// which is neither good nor bad, stands for none.
func MoodInput(mood float32, ageDays float64) float32 {
	return moodScale * mood * float32(math.Exp2(-max(0, ageDays)/moodDays))
}

// MaxInterests is the largest number of categories of a row.
const MaxInterests = 8

// Interests weighs the catalogue's categories by what a user lately dealt with.
type Interests struct {
	Categories []string  `json:"categories"`
	Embeddings []float32 `json:"embeddings"` // one unit-length row a category
	// Sharpness multiplies cosines before the softmax over categories.
	Sharpness    float32 `json:"sharpness"`
	HalfLifeDays float64 `json:"half_life_days"`
	// Kinds is what an entry counts by its kind (schemas.Recent*): buying says
	// more than looking.
	Kinds []float64 `json:"kinds"`
}

// Affinity writes the probability that an item of this embedding belongs to
// each category to dst (one element a category).
func (n *Interests) Affinity(embedding []float32, dst []float32) {
	d := len(embedding)
	top := float32(math.Inf(-1))
	for c := range dst {
		dst[c] = n.Sharpness * dot(embedding, n.Embeddings[c*d:(c+1)*d], 0)
		top = max(top, dst[c])
	}
	var sum float64
	for c, v := range dst {
		e := math.Exp(float64(v - top))
		sum += e
		dst[c] = float32(e)
	}
	for c := range dst {
		dst[c] = float32(float64(dst[c]) / sum)
	}
}

// Weight is what an entry counts: by its kind, halved every HalfLifeDays.
func (n *Interests) Weight(kind uint8, ageDays float64) float64 {
	if int(kind) >= len(n.Kinds) || n.Kinds[kind] == 0 {
		return 0
	}
	return n.Kinds[kind] * math.Exp2(-max(0, ageDays)/n.HalfLifeDays)
}

// Interest is a category (position in Categories) and its weight.
type Interest struct {
	Category int
	Weight   float32
}

// Top appends the largest weights to dst, at most MaxInterests, largest first
// and among equals the first in the list, scaled to sum 1. Weights under a
// fiftieth of the total are noise of the softmax and left out. None is appended
// where nothing weighs.
func Top(dst []Interest, weights []float64) []Interest {
	var total float64
	for _, w := range weights {
		total += w
	}
	if !(total > 0) {
		return dst
	}
	start := len(dst)
	for c, w := range weights {
		if w < total/50 {
			continue
		}
		at := len(dst)
		for at > start && float64(dst[at-1].Weight) < w {
			at--
		}
		if at-start >= MaxInterests {
			continue
		}
		if len(dst)-start < MaxInterests {
			dst = append(dst, Interest{})
		}
		copy(dst[at+1:], dst[at:len(dst)-1])
		dst[at] = Interest{Category: c, Weight: float32(w)}
	}
	var kept float32
	for _, n := range dst[start:] {
		kept += n.Weight
	}
	for i := range dst[start:] {
		dst[start+i].Weight /= kept
	}
	return dst
}

func (s *Sentiment) validate(dim int) error {
	if err := s.Linear.validate(dim); err != nil {
		return fmt.Errorf("sentiment: %w", err)
	}
	if err := s.Calibration.validate(); err != nil {
		return fmt.Errorf("sentiment: %w", err)
	}
	return nil
}

func (n *Interests) validate(dim int) error {
	if len(n.Categories) == 0 {
		return nil
	}
	if len(n.Embeddings) != dim*len(n.Categories) {
		return fmt.Errorf("interests: %d categories have %d weights of %d dimensions", len(n.Categories), len(n.Embeddings), dim)
	}
	if !(n.HalfLifeDays > 0) || math.IsInf(n.HalfLifeDays, 0) {
		return fmt.Errorf("interests: half-life of %v days", n.HalfLifeDays)
	}
	for _, k := range n.Kinds {
		if !(k >= 0) || math.IsInf(k, 0) {
			return fmt.Errorf("interests: an entry of weight %v", k)
		}
	}
	return finite("interests", n.Embeddings, []float32{n.Sharpness})
}
