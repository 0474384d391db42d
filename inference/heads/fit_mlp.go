package heads

import (
	"context"
	"math"
	"math/rand/v2"
)

// MLPOptions are the hyper-parameters of an MLP.
type MLPOptions struct {
	Hidden      int
	Epochs      int
	Batch       int
	Rate        float64 // of learning
	WeightDecay float64
	Dropout     float64 // of hidden units
	// SGD takes plain gradient steps instead of AdamW's; Rate is then best some
	// fifty times as large.
	SGD  bool
	Seed uint64
}

// FitMLP fits an MLP by AdamW or plain SGD with the given loss. After each epoch it calls
// epoch, whose false ends the training; the model it is given changes later.
func FitMLP(ctx context.Context, x *Matrix, y []float64, loss Loss, o MLPOptions, epoch func(n int, m *MLP) bool) (*MLP, error) {
	rng := rand.New(rand.NewPCG(o.Seed, 0x6d6c70))
	m := newMLP(x.Cols, o.Hidden, rng)
	if loss == Squared {
		m.B2 = float32(mean(y))
	}
	t := newMLPTrainer(m, x.Cols, o)
	order := make([]int, x.Rows)
	for i := range order {
		order[i] = i
	}
	for n := 1; n <= o.Epochs; n++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		rng.Shuffle(len(order), func(a, b int) { order[a], order[b] = order[b], order[a] })
		for lo := 0; lo < len(order); lo += o.Batch {
			t.batch(x, y, order[lo:min(lo+o.Batch, len(order))], loss, rng)
			t.step()
		}
		if epoch != nil && !epoch(n, m) {
			break
		}
	}
	return m, nil
}

// newMLP draws He-initialised weights.
func newMLP(d, hidden int, rng *rand.Rand) *MLP {
	m := &MLP{Hidden: hidden, W1: make([]float32, hidden*d), B1: make([]float32, hidden), W2: make([]float32, hidden)}
	for i := range m.W1 {
		m.W1[i] = float32(rng.NormFloat64() * math.Sqrt(2/float64(d)))
	}
	for i := range m.W2 {
		m.W2[i] = float32(rng.NormFloat64() * math.Sqrt(1/float64(hidden)))
	}
	return m
}

func mean(v []float64) float64 {
	var s float64
	for _, x := range v {
		s += x
	}
	return s / math.Max(1, float64(len(v)))
}

// mlpTrainer holds gradients and AdamW's moments. Parameters lie in the order
// W1, B1, W2, B2.
type mlpTrainer struct {
	m      *MLP
	d      int
	o      MLPOptions
	b2     []float32 // m.B2 as a slice, copied back after each step
	params [4][]float32
	grads  [4][]float32
	first  [4][]float32
	second [4][]float32
	decay  [4]float32
	steps  int
	x, h   Matrix // of a batch
	keep   []float32
}

func newMLPTrainer(m *MLP, d int, o MLPOptions) *mlpTrainer {
	t := &mlpTrainer{m: m, d: d, o: o, b2: []float32{m.B2}, keep: make([]float32, m.Hidden)}
	t.params = [4][]float32{m.W1, m.B1, m.W2, t.b2}
	for p, v := range t.params {
		t.grads[p], t.first[p], t.second[p] = make([]float32, len(v)), make([]float32, len(v)), make([]float32, len(v))
	}
	t.decay = [4]float32{float32(o.WeightDecay), 0, float32(o.WeightDecay), 0}
	return t
}

// batch adds the gradient of the mean loss of the rows, and returns that loss.
func (t *mlpTrainer) batch(x *Matrix, y []float64, rows []int, loss Loss, rng *rand.Rand) float64 {
	m := t.m
	t.x.Resize(len(rows), t.d)
	for k, i := range rows {
		copy(t.x.Row(k), x.Row(i))
	}
	t.h.Resize(len(rows), m.Hidden)
	MulT(&t.h, &t.x, m.W1, m.B1)
	inv := 1 / float64(len(rows))
	var total float64
	for k, i := range rows {
		h := t.h.Row(k)
		t.drop(h, rng)
		z := t.b2[0]
		for j, v := range h {
			z += v * m.W2[j]
		}
		l, e := loss.at(float64(z), y[i])
		total += l
		t.back(t.x.Row(k), h, float32(e*inv))
	}
	return total * inv
}

// drop applies the ReLU and inverted dropout to the hidden units of a row, and
// leaves in keep what multiplies their gradients.
func (t *mlpTrainer) drop(h []float32, rng *rand.Rand) {
	scale := float32(1 / (1 - t.o.Dropout))
	for j, v := range h {
		t.keep[j] = scale
		if v <= 0 || t.o.Dropout > 0 && rng.Float64() < t.o.Dropout {
			t.keep[j] = 0
			v = 0
		}
		h[j] = v * scale
	}
}

// back adds the gradients of a row whose score has the gradient dz.
func (t *mlpTrainer) back(row, h []float32, dz float32) {
	t.grads[3][0] += dz
	for j, k := range t.keep {
		if k == 0 {
			continue
		}
		t.grads[2][j] += dz * h[j]
		dh := dz * t.m.W2[j] * k
		t.grads[1][j] += dh
		g := t.grads[0][j*t.d : (j+1)*t.d]
		for c, v := range row {
			g[c] += dh * v
		}
	}
}

// step moves the parameters along the gathered gradients and clears them.
func (t *mlpTrainer) step() {
	if t.o.SGD {
		t.descend()
	} else {
		t.adamw()
	}
	t.m.B2 = t.b2[0]
}

// descend is a step of SGD with decoupled weight decay.
func (t *mlpTrainer) descend() {
	rate := float32(t.o.Rate)
	for p, w := range t.params {
		g := t.grads[p]
		for i := range w {
			w[i] -= rate * (t.decay[p]*w[i] + g[i])
			g[i] = 0
		}
	}
}

// adamw is a step of AdamW (Loshchilov, Hutter 2019).
func (t *mlpTrainer) adamw() {
	const b1, b2, eps = .9, .999, 1e-8
	t.steps++
	c1 := 1 - math.Pow(b1, float64(t.steps))
	c2 := float32(1 / math.Sqrt(1-math.Pow(b2, float64(t.steps))))
	rate := float32(t.o.Rate)
	a := float32(t.o.Rate / c1)
	for p, w := range t.params {
		g, m1, m2 := t.grads[p], t.first[p], t.second[p]
		for i := range w {
			m1[i] = b1*m1[i] + (1-b1)*g[i]
			m2[i] = b2*m2[i] + (1-b2)*g[i]*g[i]
			w[i] -= rate*t.decay[p]*w[i] + a*m1[i]/(float32(math.Sqrt(float64(m2[i])))*c2+eps)
			g[i] = 0
		}
	}
}

// Bag joins MLPs of the same inputs into one whose score is the mean of theirs.
func Bag(members []*MLP) *MLP {
	b := new(MLP)
	share := 1 / float32(len(members))
	for _, m := range members {
		b.Hidden += m.Hidden
		b.W1, b.B1 = append(b.W1, m.W1...), append(b.B1, m.B1...)
		for _, w := range m.W2 {
			b.W2 = append(b.W2, w*share)
		}
		b.B2 += m.B2 * share
	}
	return b
}
