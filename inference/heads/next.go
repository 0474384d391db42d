package heads

import (
	"fmt"
	"math"

	"profilestream/schemas"
)

// MaxCategories is the largest number of categories that a bundle weighs: its
// work for a row, and its memory for an item, grow with it.
const MaxCategories = 512

// An entry loses half of what it tells over two spans: the errand of the day, 3
// days, and the lasting taste, 30 days. The first is the tenth power of the second.
const (
	nextSpans   = 2
	lastingDays = 30
)

// Inputs of Next for a category. Those of entries are sums of evidence e, halved
// with age, as e/(e+1/2): the second view of a category says less than the first.
const (
	nextKinds = int(schemas.RecentAdClick) // a kind k of entry is at (k-1)*nextSpans
	nextLast  = nextKinds * nextSpans
	// From nextLast on: the newest entry of any kind, purchase and search.

	// Logarithm of the category's share of all next purchases, and of that share
	// together with the user's own entries, weighed by Interests.Kinds and their
	// age: the expectation of a Dirichlet prior after the entries.
	nextPrior     = nextLast + 3
	nextPosterior = nextLast + 4
	// NumNextInputs is the number of inputs a category.
	NumNextInputs = nextLast + 5
)

// Next is the probability that each category is the one a user buys next: a
// conditional logit (McFadden, 1974), whose score of category c is Weights·x(c)
// + Bias(c) + Text(c)·t, x being what the user's recent entries say about c and t
// the text components of the window. Categories are those of Interests.
type Next struct {
	Weights []float32 `json:"weights"` // NumNextInputs
	Bias    []float32 `json:"bias"`    // one a category
	// Text has one row of text components a category; none where they did not
	// lower the held-out loss.
	Text  []float32 `json:"text,omitempty"`
	Prior []float64 `json:"prior"` // share of each category among next purchases
	// Affinity says whether entries without a listed category, such as searches,
	// count by what the encoder reads in them.
	Affinity bool `json:"affinity"`
}

// Sight is a recent entry as Next reads it.
type Sight struct {
	Kind     uint8 // schemas.Recent*
	AgeDays  float64
	Category int       // position in Interests.Categories; -1 where it is not listed
	Affinity []float32 // of an entry without a listed category; nil: not read
}

// Reads says whether the encoder's reading of an entry is needed.
func (n *Next) Reads(category int) bool { return n.Affinity && category < 0 }

// Inputs writes the inputs of one user to dst, NumNextInputs a category, and says
// whether any entry tells something.
func (n *Next) Inputs(in *Interests, sights []Sight, dst []float32) (told bool) {
	clear(dst)
	newest := [3]int{-1, -1, -1} // of any kind, purchase, search
	for k := range sights {
		s := &sights[k]
		if s.Kind == 0 || int(s.Kind) > nextKinds || s.Category < 0 && (s.Affinity == nil || !n.Affinity) {
			continue
		}
		told = true
		for i, kind := range [...]uint8{s.Kind, schemas.RecentPurchase, schemas.RecentSearch} {
			if s.Kind == kind && (newest[i] < 0 || s.AgeDays < sights[newest[i]].AgeDays) {
				newest[i] = k
			}
		}
		lasting := math.Exp2(-max(0, s.AgeDays) / lastingDays)
		squared := lasting * lasting
		fourth := squared * squared
		at := (int(s.Kind) - 1) * nextSpans
		s.add(dst, at, fourth*fourth*squared)
		s.add(dst, at+1, lasting)
		if int(s.Kind) < len(in.Kinds) && in.Kinds[s.Kind] > 0 {
			s.add(dst, nextPosterior, in.Kinds[s.Kind]*lasting)
		}
	}
	for i, k := range newest {
		if k >= 0 {
			sights[k].add(dst, nextLast+i, 1)
		}
	}
	for c, p := range n.Prior {
		x := dst[c*NumNextInputs : (c+1)*NumNextInputs]
		for j, e := range x[:nextLast] {
			if e != 0 {
				x[j] = e / (e + .5)
			}
		}
		x[nextPrior] = float32(math.Log(p))
		x[nextPosterior] = float32(math.Log(p + float64(x[nextPosterior])))
	}
	return told
}

// add counts the entry's evidence for every category at an input.
func (s *Sight) add(dst []float32, input int, by float64) {
	if s.Category >= 0 {
		dst[s.Category*NumNextInputs+input] += float32(by)
		return
	}
	for c, a := range s.Affinity {
		dst[c*NumNextInputs+input] += float32(by * float64(a))
	}
}

// Probabilities turns inputs (see Inputs) and the text components of the window
// into the probability of each category. components may be nil where Text is.
func (n *Next) Probabilities(x, components []float32, dst []float64) {
	top := math.Inf(-1)
	for c := range dst {
		z := dot(x[c*NumNextInputs:(c+1)*NumNextInputs], n.Weights, n.Bias[c])
		if k := len(components); len(n.Text) > 0 {
			z = dot(components, n.Text[c*k:(c+1)*k], z)
		}
		dst[c] = float64(z)
		top = max(top, dst[c])
	}
	var sum float64
	for c, z := range dst {
		dst[c] = math.Exp(z - top)
		sum += dst[c]
	}
	for c := range dst {
		dst[c] /= sum
	}
}

func (n *Next) validate(categories, components int) error {
	switch {
	case categories == 0 || categories > MaxCategories:
		return fmt.Errorf("next category: %d categories, want 1 to %d", categories, MaxCategories)
	case len(n.Weights) != NumNextInputs || len(n.Bias) != categories || len(n.Prior) != categories:
		return fmt.Errorf("next category: %d weights, %d biases and %d shares for %d inputs of %d categories", len(n.Weights), len(n.Bias), len(n.Prior), NumNextInputs, categories)
	case len(n.Text) != 0 && len(n.Text) != categories*components:
		return fmt.Errorf("next category: %d weights of %d text components", len(n.Text), components)
	}
	for _, p := range n.Prior {
		if !(p > 0 && p <= 1) {
			return fmt.Errorf("next category: a share of %v", p)
		}
	}
	return finite("next category", n.Weights, n.Bias, n.Text)
}
