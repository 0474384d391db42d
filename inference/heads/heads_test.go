package heads

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"

	"pgregory.net/rapid"
)

// random draws a matrix and labels that follow from it.
func random(rows, cols int, seed uint64, loss Loss) (*Matrix, []float64) {
	rng := rand.New(rand.NewPCG(seed, 2))
	x, y := NewMatrix(rows, cols), make([]float64, rows)
	for i := range rows {
		for j := range x.Row(i) {
			x.Row(i)[j] = float32(rng.NormFloat64())
		}
		r := x.Row(i)
		z := float64(r[0]) - float64(r[1]) + float64(r[0]*r[2])
		if loss == Squared {
			y[i] = z + .1*rng.NormFloat64()
		} else if rng.Float64() < Sigmoid(2*z) {
			y[i] = 1
		}
	}
	return x, y
}

func TestMulTDoesNotDependOnTheTile(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 1))
	const k, n = 37, 11
	w, bias := make([]float32, n*k), make([]float32, n)
	for i := range w {
		w[i] = rng.Float32() - .5
	}
	for i := range bias {
		bias[i] = rng.Float32()
	}
	x, _ := random(9, k, 3, Squared)
	whole := NewMatrix(9, n)
	MulT(whole, x, w, bias)
	for i := range 9 {
		one := NewMatrix(1, n)
		MulT(one, x.Select([]int{i}), w, bias)
		for j := range n {
			var exact float64
			for p := range k {
				exact += float64(x.Row(i)[p]) * float64(w[j*k+p])
			}
			if one.Data[j] != whole.Row(i)[j] || math.Abs(exact+float64(bias[j])-float64(one.Data[j])) > 1e-4 {
				t.Fatalf("row %d output %d: %v alone, %v among others, %v exactly", i, j, one.Data[j], whole.Row(i)[j], exact)
			}
		}
	}
}

func TestLinearGradient(t *testing.T) {
	t.Parallel()
	for _, loss := range []Loss{Logistic, Squared} {
		x, y := random(40, 5, 4, loss)
		w, g := []float64{.3, -.2, .5, .1, -.7, .2}, make([]float64, 6)
		linearLoss(x, y, loss, .1, 1./40, w, g)
		for j := range w {
			const h = 1e-6
			at := func(d float64) float64 {
				v := append([]float64(nil), w...)
				v[j] += d
				return linearLoss(x, y, loss, .1, 1./40, v, make([]float64, 6))
			}
			if want := (at(h) - at(-h)) / (2 * h); math.Abs(want-g[j]) > 1e-6 {
				t.Errorf("loss %d: gradient %d is %v, numerically %v", loss, j, g[j], want)
			}
		}
	}
}

func TestMLPGradient(t *testing.T) {
	t.Parallel()
	for _, loss := range []Loss{Logistic, Squared} {
		x, y := random(32, 6, 5, loss)
		rng := rand.New(rand.NewPCG(9, 9))
		m := newMLP(6, 7, rng)
		for j := range m.B1 {
			m.B1[j] = float32(rng.NormFloat64()) * .3
		}
		// Rows on which a unit is about to open or close have no gradient to
		// compare.
		var rows []int
		hidden := NewMatrix(32, 7)
		m.Score(x, hidden, make([]float64, 32))
		for i := range 32 {
			if !slices.ContainsFunc(hidden.Row(i), func(h float32) bool { return h > -.05 && h < .05 }) {
				rows = append(rows, i)
			}
		}
		if len(rows) < 10 {
			t.Fatalf("only %d rows are away from the kinks", len(rows))
		}
		tr := newMLPTrainer(m, 6, MLPOptions{})
		tr.batch(x, y, rows, loss, rng)
		for p, params := range tr.params {
			for i := range params {
				const h = 1e-3
				at := func(d float32) float64 {
					was := params[i]
					params[i] = was + d
					defer func() { params[i] = was }()
					return newMLPTrainerLike(tr).batch(x, y, rows, loss, rng)
				}
				got, want := float64(tr.grads[p][i]), (at(h)-at(-h))/(2*h)
				if math.Abs(got-want) > 5e-3*(1+math.Abs(want)) {
					t.Errorf("loss %d: gradient %d of part %d is %v, numerically %v", loss, i, p, got, want)
				}
			}
		}
	}
}

// newMLPTrainerLike shares the parameters and has gradients of its own.
func newMLPTrainerLike(t *mlpTrainer) *mlpTrainer {
	c := newMLPTrainer(t.m, t.d, t.o)
	c.b2, c.params = t.b2, t.params
	return c
}

func TestFitsLearn(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	x, y := random(1500, 5, 6, Logistic)
	constant := Logistic.Mean(make([]float64, 1500), y)
	z := make([]float64, 1500)
	lin, err := FitLinear(ctx, x, y, Logistic, 1e-3, nil)
	if err != nil {
		t.Fatal(err)
	}
	lin.Score(x, z)
	linear := Logistic.Mean(z, y)
	mlp, err := FitMLP(ctx, x, y, Logistic, MLPOptions{Hidden: 12, Epochs: 20, Batch: 64, Rate: 5e-3}, nil)
	if err != nil {
		t.Fatal(err)
	}
	mlp.Score(x, new(Matrix), z)
	hidden := Logistic.Mean(z, y)
	all := make([]int, 1500)
	for i := range all {
		all[i] = i
	}
	var last []float64
	forest, err := FitForest(ctx, Bin(x), y, all, Logistic, BoostOptions{Rounds: 60, Depth: 3, Rate: .1, Lambda: 1, MinWeight: 1, RowShare: .8, ColShare: .8}, func(_ int, s []float64) bool {
		last = s
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	forest.Score(x, z)
	trees := Logistic.Mean(z, y)
	for i := range z {
		if math.Abs(z[i]-last[i]) > 1e-5 {
			t.Fatalf("row %d: the forest scores %v, boosting saw %v", i, z[i], last[i])
		}
	}
	if !(linear < constant-.05 && hidden < linear-.02 && trees < linear-.02) {
		t.Errorf("losses: constant %v, linear %v, hidden %v, trees %v", constant, linear, hidden, trees)
	}
}

// ensemble fits one of each part, mixed.
func ensemble(t *testing.T) (*Ensemble, *Matrix, []float64) {
	t.Helper()
	ctx := context.Background()
	x, y := random(400, 6, 7, Logistic)
	lin, err := FitLinear(ctx, x, y, Logistic, 1e-2, nil)
	if err != nil {
		t.Fatal(err)
	}
	mlp, err := FitMLP(ctx, x, y, Logistic, MLPOptions{Hidden: 9, Epochs: 5, Batch: 32, Rate: 1e-2, Dropout: .2}, nil)
	if err != nil {
		t.Fatal(err)
	}
	all := make([]int, 400)
	for i := range all {
		all[i] = i
	}
	f, err := FitForest(ctx, Bin(x), y, all, Logistic, BoostOptions{Rounds: 20, Depth: 4, Rate: .1, Lambda: 1, MinWeight: 2, RowShare: .7, ColShare: .5}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &Ensemble{Linear: *lin, MLP: mlp, Forest: *f, Mix: [NumParts]float64{.3, .3, .4}}, x, y
}

func TestEffectsAddUp(t *testing.T) {
	t.Parallel()
	e, x, y := ensemble(t)
	z, plain := make([]float64, x.Rows), make([]float64, x.Rows)
	effects := NewMatrix(x.Rows, x.Cols)
	e.Score(x, &Scratch{}, plain)
	explain := NewExplainer(e)
	explain.Explain(x, &Scratch{}, z, effects)
	for _, c := range []Classifier{
		{Ensemble: *e, Calibration: *FitPlatt(z, y)},
		{Ensemble: *e, Calibration: *FitIsotonic(z, y)},
	} {
		base := explain.Base()
		for i := range z {
			if z[i] != plain[i] {
				t.Fatalf("row %d: %v explained, %v scored", i, z[i], plain[i])
			}
			var sum float64
			for _, v := range effects.Row(i) {
				sum += float64(v)
			}
			if math.Abs(base+sum-z[i]) > 1e-4 {
				t.Fatalf("row %d: base and effects give %v, the score is %v", i, base+sum, z[i])
			}
			got := Logit(c.Calibration.Probability(base)) + sum*c.EffectScale(z[i], base)
			if want := Logit(c.Calibration.Probability(z[i])); math.Abs(got-want) > 2e-3 {
				t.Fatalf("row %d, %s: effects reach log-odds %v, the probability has %v", i, c.Calibration.Kind(), got, want)
			}
		}
	}
}

// TestIntegratedGradients compares the closed form with a fine sum.
func TestIntegratedGradients(t *testing.T) {
	t.Parallel()
	e, x, _ := ensemble(t)
	m := e.MLP
	hidden, slopes := NewMatrix(1, m.Hidden), make([]float32, x.Cols)
	for i := range 20 {
		row := x.Row(i)
		m.Score(x.Select([]int{i}), hidden, make([]float64, 1))
		m.slopes(hidden.Row(0), slopes)
		sums := make([]float64, x.Cols)
		const steps = 4000
		for s := range steps {
			at := (float32(s) + .5) / steps
			for j := range m.Hidden {
				h := m.B1[j]
				for k, v := range row {
					h += at * v * m.W1[j*x.Cols+k]
				}
				if h > 0 {
					for k := range row {
						sums[k] += float64(m.W2[j]*m.W1[j*x.Cols+k]) / steps
					}
				}
			}
		}
		for k := range row {
			if math.Abs(sums[k]-float64(slopes[k])) > 2e-3 {
				t.Fatalf("row %d input %d: closed form %v, sum %v", i, k, slopes[k], sums[k])
			}
		}
	}
}

func TestCalibrationIsMonotoneAndInside(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 80).Draw(t, "rows")
		z, y := make([]float64, n), make([]float64, n)
		for i := range z {
			z[i] = float64(rapid.IntRange(-20, 20).Draw(t, "z")) / 4
			y[i] = float64(rapid.IntRange(0, 1).Draw(t, "y"))
		}
		probe := []float64{-1e9, -7, 1e9}
		for range 20 {
			probe = append(probe, rapid.Float64Range(-8, 8).Draw(t, "probe"))
		}
		sort.Float64s(probe)
		for _, c := range []*Calibration{FitPlatt(z, y), FitIsotonic(z, y)} {
			if err := c.validate(); err != nil {
				t.Fatalf("%s: %v", c.Kind(), err)
			}
			was := 0.0
			for _, q := range probe {
				p := c.Probability(q)
				if !(p > 0 && p < 1) || p < was {
					t.Fatalf("%s: %v after %v", c.Kind(), p, was)
				}
				was = p
			}
		}
	})
}

func TestPlattFindsTheCurve(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 3))
	z, y := make([]float64, 20000), make([]float64, 20000)
	for i := range z {
		z[i] = 2 * rng.NormFloat64()
		if rng.Float64() < Sigmoid(.6*z[i]-.4) {
			y[i] = 1
		}
	}
	if c := FitPlatt(z, y); math.Abs(c.A-.6) > .05 || math.Abs(c.B+.4) > .05 {
		t.Errorf("found %v %v, want .6 -.4", c.A, c.B)
	}
}

func TestTopWeights(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := rapid.SliceOfN(rapid.Float64Range(0, 10), 0, 30).Draw(t, "weights")
		got := Top(nil, w)
		var sum, total float64
		for _, v := range w {
			total += v
		}
		if total == 0 {
			if len(got) != 0 {
				t.Fatalf("nothing weighs, got %v", got)
			}
			return
		}
		for i, n := range got {
			sum += float64(n.Weight)
			if i > 0 && n.Weight > got[i-1].Weight {
				t.Fatalf("not falling: %v", got)
			}
		}
		if len(got) > MaxInterests || len(got) > 0 && math.Abs(sum-1) > 1e-5 {
			t.Fatalf("%d weights sum to %v", len(got), sum)
		}
	})
}

func TestProjectionFindsTheDirections(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(8, 8))
	x := NewMatrix(800, 20)
	for i := range x.Rows {
		a, b := rng.NormFloat64()*5, rng.NormFloat64()*2
		for j := range x.Row(i) {
			x.Row(i)[j] = float32(.1*rng.NormFloat64() + 3)
		}
		x.Row(i)[4] += float32(a)
		x.Row(i)[9] += float32(b)
	}
	p, err := FitProjection(context.Background(), x, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	out := NewMatrix(800, 2)
	p.Apply(out, x)
	for c, j := range []int{4, 9} {
		var s, xx, xy, m float64
		for i := range x.Rows {
			m += float64(x.Row(i)[j]) / 800
		}
		for i := range x.Rows {
			o, v := float64(out.Row(i)[c]), float64(x.Row(i)[j])-m
			s += o * o / 800
			xx += v * v / 800
			xy += o * v / 800
		}
		if math.Abs(s-1) > .02 || math.Abs(xy)/math.Sqrt(s*xx) < .99 {
			t.Errorf("component %d has variance %v and correlation %v with its direction", c, s, xy/math.Sqrt(s*xx))
		}
	}
}
