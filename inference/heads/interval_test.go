package heads

import (
	"math"
	"math/rand/v2"
	"testing"
)

// spenders draws churn scores, amount scores and what was spent. The spread of
// the amounts is not the lognormal that the intervals start from.
func spenders(n int, seed uint64) (churn, amount, spend []float64) {
	rng := rand.New(rand.NewPCG(seed, 6))
	for range n {
		z, a := 1.5*rng.NormFloat64(), 4+rng.NormFloat64()
		v := 0.0
		if rng.Float64() > Sigmoid(z) {
			v = math.Exp(a + rng.ExpFloat64() - 1)
		}
		churn, amount, spend = append(churn, z), append(amount, a), append(spend, v)
	}
	return churn, amount, spend
}

func TestIntervalsCoverNewRows(t *testing.T) {
	t.Parallel()
	set := &Set{Spend: Spend{Any: Calibration{A: 1}, Factor: 1, MinLog: -2, MaxLog: 12}}
	set.Intervals = set.Spend.FitIntervals(spenders(4000, 1))
	if err := set.Intervals.validate(); err != nil {
		t.Fatal(err)
	}
	churn, amount, spend := spenders(4000, 2)
	for _, c := range Coverages {
		in := 0
		for i, v := range spend {
			low, high, ok := set.Interval(churn[i], amount[i], c)
			if !ok || low < 0 || high < low || math.IsInf(high, 0) {
				t.Fatalf("row %d has the interval [%v,%v], %v", i, low, high, ok)
			}
			if v >= low && v <= high {
				in++
			}
		}
		// Who spends nothing is on the safe side of both ends, so a little more
		// may be covered.
		if got := float64(in) / 4000; got < c-.02 || got > c+.04 {
			t.Errorf("%v of the rows lie in the interval of %v", got, c)
		}
	}
	if _, _, ok := set.Interval(0, 0, .5); ok {
		t.Error("an interval that was not fitted is there")
	}
}

// TestIntervalsOfFewRowsStayFinite: with too few rows to miss one, an interval
// is as wide as the law.
func TestIntervalsOfFewRowsStayFinite(t *testing.T) {
	t.Parallel()
	set := &Set{Spend: Spend{Any: Calibration{A: 1}, Factor: 1, MinLog: 0, MaxLog: 8}}
	set.Intervals = set.Spend.FitIntervals([]float64{0, 1}, []float64{3, 4}, []float64{20, 0})
	for _, c := range Coverages {
		low, high, ok := set.Interval(.5, 3, c)
		if !ok || low != 0 || !(high > 20) || math.IsInf(high, 0) {
			t.Errorf("coverage %v: [%v,%v], %v", c, low, high, ok)
		}
	}
}

func TestSGDLearns(t *testing.T) {
	t.Parallel()
	x, y := random(1200, 5, 6, Logistic)
	m, err := FitMLP(t.Context(), x, y, Logistic, MLPOptions{Hidden: 12, Epochs: 25, Batch: 32, Rate: .1, SGD: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	z := make([]float64, x.Rows)
	m.Score(x, new(Matrix), z)
	lin, err := FitLinear(t.Context(), x, y, Logistic, 1e-3, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := make([]float64, x.Rows)
	lin.Score(x, w)
	if got, linear := Logistic.Mean(z, y), Logistic.Mean(w, y); got > linear-.02 {
		t.Errorf("the loss is %v, a line has %v", got, linear)
	}
}

func TestABagScoresTheMean(t *testing.T) {
	t.Parallel()
	x, _ := random(20, 5, 6, Squared)
	rng := rand.New(rand.NewPCG(1, 1))
	a, b := newMLP(5, 4, rng), newMLP(5, 7, rng)
	a.B2, b.B2 = 3, -1
	za, zb, z := make([]float64, 20), make([]float64, 20), make([]float64, 20)
	a.Score(x, new(Matrix), za)
	b.Score(x, new(Matrix), zb)
	bag := Bag([]*MLP{a, b})
	if err := bag.validate(5); err != nil {
		t.Fatal(err)
	}
	bag.Score(x, new(Matrix), z)
	for i := range z {
		if math.Abs(z[i]-(za[i]+zb[i])/2) > 1e-5 {
			t.Fatalf("row %d: %v, its members %v and %v", i, z[i], za[i], zb[i])
		}
	}
}
