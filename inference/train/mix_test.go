package train

import (
	"math/rand/v2"
	"testing"

	"profilestream/inference/heads"
)

// mixed mixes candidates of which each says the truth with its own noise.
func mixed(noise [numCandidates]float64) *fitted {
	rng := rand.New(rand.NewPCG(4, 4))
	p := &problem{x: heads.NewMatrix(2000, 1), y: make([]float64, 2000), loss: heads.Squared}
	f := &fitted{ensemble: heads.Ensemble{Linear: heads.Linear{Weights: []float32{1}, Bias: 1}}, compact: heads.Linear{Weights: []float32{3}, Bias: 5}}
	for i := range p.y {
		p.y[i] = rng.NormFloat64()
		for k, n := range noise {
			if n >= 0 {
				f.parts[k] = append(f.parts[k], p.y[i]+n*rng.NormFloat64())
			}
		}
	}
	f.mix(p)
	return f
}

func TestMixWeighsByHeldOutLoss(t *testing.T) {
	t.Parallel()
	const gone = -1
	for name, c := range map[string]struct {
		noise  [numCandidates]float64 // linear, MLP, trees, compact
		linear [2]float64             // bounds of the weight of both linear parts
		mlp    [2]float64
	}{
		"the compact part has its share among equals": {[...]float64{.02, .02, .02, .02}, [2]float64{.4, .8}, [2]float64{.05, .3}},
		"a part that is clearly better takes it":      {[...]float64{2, .01, 2, 2}, [2]float64{0, .05}, [2]float64{.9, 1}},
		"a part that is absent has no weight":         {[...]float64{.02, gone, .02, .02}, [2]float64{.4, .9}, [2]float64{0, 0}},
	} {
		f := mixed(c.noise)
		m := f.ensemble.Mix
		if m[heads.PartLinear] < c.linear[0] || m[heads.PartLinear] > c.linear[1] || m[heads.PartMLP] < c.mlp[0] || m[heads.PartMLP] > c.mlp[1] {
			t.Errorf("%s: %v", name, m)
		}
	}
	// Both linear parts are one in the ensemble, weighed among themselves.
	f := mixed([...]float64{2, gone, 2, .01})
	if l := f.ensemble.Linear; l.Weights[0] < 2.9 || l.Bias < 4.8 {
		t.Errorf("the joint linear part is %+v, the compact one has all weight", l)
	}
}

// TestTextHasToEarnItsPlace: a gain within the noise of the customers is none.
func TestTextHasToEarnItsPlace(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 5))
	users, without := make([]string, 3000), make([]float64, 3000)
	noisy, better := make([]float64, 3000), make([]float64, 3000)
	for i := range users {
		users[i] = string(rune('a' + i%1000))
		without[i] = rng.Float64()
		e := .3 * rng.NormFloat64()
		noisy[i], better[i] = without[i]+e+.01, without[i]+e-.05
	}
	if earns(without, noisy, users) || earns(without, without, users) {
		t.Error("text that adds nothing is used")
	}
	if !earns(without, better, users) {
		t.Error("text that adds is left out")
	}
}
