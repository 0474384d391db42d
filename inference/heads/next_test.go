package heads

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"profilestream/schemas"
)

const nextCategories = 5

func nextModel(affinity bool) (*Next, *Interests) {
	n := &Next{Affinity: affinity, Prior: []float64{.4, .3, .1, .1, .1}}
	in := &Interests{Categories: []string{"a", "b", "c", "d", "e"}, HalfLifeDays: 21, Kinds: []float64{0, 1, 2, 3, 0, 1, .5}}
	return n, in
}

// TestNextInputsSayWhatHappened pins the meaning of the inputs.
func TestNextInputsSayWhatHappened(t *testing.T) {
	t.Parallel()
	n, in := nextModel(true)
	x := make([]float32, nextCategories*NumNextInputs)
	if n.Inputs(in, []Sight{{Kind: schemas.RecentSearch, Category: -1}, {Kind: 200, Category: 1}, {Category: 1}}, x) {
		t.Error("entries that say nothing were read")
	}
	if got, want := float64(x[2*NumNextInputs+nextPrior]), math.Log(.1); math.Abs(got-want) > 1e-6 {
		t.Errorf("prior input %v, want %v", got, want)
	}
	sights := []Sight{
		{Kind: schemas.RecentView, Category: 1, AgeDays: 3},
		{Kind: schemas.RecentSearch, Category: -1, AgeDays: 1, Affinity: []float32{0, 0, .75, .25, 0}},
		{Kind: schemas.RecentPurchase, Category: 0, AgeDays: 30},
	}
	if !n.Inputs(in, sights, x) {
		t.Fatal("nothing was read")
	}
	at := func(c, input int) float64 { return float64(x[c*NumNextInputs+input]) }
	view, bought, search := (int(schemas.RecentView)-1)*2, (int(schemas.RecentPurchase)-1)*2, (int(schemas.RecentSearch)-1)*2
	for what, pair := range map[string][2]float64{
		"a view, half after three days":        {at(1, view), .5 / (.5 + .5)},
		"a purchase, half after thirty days":   {at(0, bought+1), .5},
		"a search by what the encoder reads":   {at(2, search), .75 * math.Exp2(-1./3) / (.75*math.Exp2(-1./3) + .5)},
		"nothing of another category":          {at(4, view) + at(4, search), 0},
		"the newest entry is the search":       {at(2, nextLast), .75},
		"the newest purchase":                  {at(0, nextLast+1), 1},
		"the newest search":                    {at(3, nextLast+2), .25},
		"the posterior adds the user's weight": {at(0, nextPosterior), math.Log(.4 + 3*.5)},
	} {
		if math.Abs(pair[0]-pair[1]) > 1e-6 {
			t.Errorf("%s: %v, want %v", what, pair[0], pair[1])
		}
	}
	n.Affinity = false
	n.Inputs(in, sights, x)
	if at(2, search) != 0 || at(1, nextLast) != 1 {
		t.Error("a head that reads counts alone reads a search")
	}
}

// world draws users who buy what they last searched for, or their old taste.
func world(n *Next, in *Interests, users int, seed uint64) []Choice {
	rng := rand.New(rand.NewPCG(seed, 1))
	var out []Choice
	for range users {
		taste, need := rng.IntN(nextCategories), rng.IntN(nextCategories)
		a := make([]float32, nextCategories)
		a[need] = 1
		sights := []Sight{
			{Kind: schemas.RecentSearch, Category: -1, AgeDays: 5 * rng.Float64(), Affinity: a},
			{Kind: schemas.RecentPurchase, Category: taste, AgeDays: 60 * rng.Float64()},
			{Kind: schemas.RecentView, Category: rng.IntN(nextCategories), AgeDays: 60 * rng.Float64()},
		}
		c := Choice{Inputs: make([]float32, nextCategories*NumNextInputs), Category: taste, Components: []float32{float32(rng.NormFloat64())}}
		if n.Inputs(in, sights, c.Inputs); rng.Float64() < .6 {
			c.Category = need
		}
		if c.Components[0] > 1 {
			c.Category = 4 // told by the text alone
		}
		out = append(out, c)
	}
	return out
}

func TestFitNextLearnsWhatIsTold(t *testing.T) {
	t.Parallel()
	n, in := nextModel(true)
	train, test := world(n, in, 800, 1), world(n, in, 800, 2)
	if err := FitNext(context.Background(), n, train, .01); err != nil {
		t.Fatal(err)
	}
	again, _ := nextModel(true)
	if err := FitNext(context.Background(), again, train, .01); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(n.Weights, again.Weights) || !slices.Equal(n.Text, again.Text) {
		t.Error("two fits differ")
	}
	if err := n.validate(nextCategories, 1); err != nil {
		t.Fatal(err)
	}
	hits, p := 0, make([]float64, nextCategories)
	for _, c := range test {
		n.Probabilities(c.Inputs, c.Components, p)
		var sum float64
		for _, v := range p {
			sum += v
		}
		if math.Abs(sum-1) > 1e-12 {
			t.Fatalf("probabilities sum to %v", sum)
		}
		if slices.Max(p) == p[c.Category] {
			hits++
		}
	}
	// The 16 % that the text tells, and the need of most of the others.
	if share := float64(hits) / float64(len(test)); share < .6 {
		t.Errorf("%.3f of the categories are told, want at least .6", share)
	}
}

// TestNextGradient compares the gradient of the loss with differences of it.
func TestNextGradient(t *testing.T) {
	t.Parallel()
	n, in := nextModel(true)
	f := &nextFit{choices: world(n, in, 40, 3), categories: nextCategories, components: 1, l2: .1, p: make([]float64, nextCategories)}
	rng := rand.New(rand.NewPCG(4, 1))
	w := make([]float64, NumNextInputs+2*nextCategories)
	for j := range w {
		w[j] = rng.NormFloat64()
	}
	g, other := make([]float64, len(w)), make([]float64, len(w))
	f.loss(w, g)
	const h = 1e-5
	for j := range w {
		keep := w[j]
		w[j] = keep + h
		up := f.loss(w, other)
		w[j] = keep - h
		down := f.loss(w, other)
		w[j] = keep
		if d := (up - down) / (2 * h); math.Abs(d-g[j]) > 1e-6 {
			t.Errorf("weight %d: gradient %v, difference %v", j, g[j], d)
		}
	}
}

func TestNextAndReturnsAreValidated(t *testing.T) {
	t.Parallel()
	good := func() *Next {
		return &Next{Weights: make([]float32, NumNextInputs), Bias: make([]float32, 2), Prior: []float64{.5, .5}, Text: make([]float32, 6)}
	}
	if err := good().validate(2, 3); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(n *Next){
		"few weights": func(n *Next) { n.Weights = n.Weights[1:] },
		"few biases":  func(n *Next) { n.Bias = n.Bias[1:] },
		"no share":    func(n *Next) { n.Prior[1] = 0 },
		"odd text":    func(n *Next) { n.Text = n.Text[1:] },
		"not finite":  func(n *Next) { n.Bias[0] = float32(math.NaN()) },
	} {
		n := good()
		spoil(n)
		if n.validate(2, 3) == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if good().validate(MaxCategories+1, 3) == nil {
		t.Error("too many categories are taken")
	}
	linear := Linear{Weights: []float32{1, 0}}
	for name, rs := range map[string][]Return{
		"days that fall":  {{Days: 30, Linear: linear}, {Days: 7, Linear: linear}},
		"no days":         {{Linear: linear}},
		"few weights":     {{Days: 7, Linear: Linear{Weights: []float32{1}}}},
		"a falling curve": {{Days: 7, Linear: linear, Calibration: Calibration{A: -1}}},
	} {
		if validateReturns(rs, 2) == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if err := validateReturns([]Return{{Days: 7, Linear: linear}, {Days: 30, Linear: linear}}, 2); err != nil {
		t.Error(err)
	}
}
