package heads

import (
	"context"
	"math"

	"profilestream/inference/lbfgs"
)

// Choice is what one user could buy and did.
type Choice struct {
	Inputs     []float32 // of Next.Inputs
	Components []float32 // nil: the text components are not read
	Category   int       // bought
}

// FitNext fits the weights of n, which has its Prior and Affinity, by the mean
// log loss of the choices plus l2/2 times the squares of bias and text weights
// and a tenth of that for the inputs, which all categories share. The search
// begins at n's own weights where it has some.
func FitNext(ctx context.Context, n *Next, choices []Choice, l2 float64) error {
	c, k := len(n.Prior), 0
	if len(choices) > 0 {
		k = len(choices[0].Components)
	}
	f := &nextFit{choices: choices, categories: c, components: k, l2: l2, p: make([]float64, c)}
	w := make([]float64, NumNextInputs+c+c*k)
	for j, v := range n.Weights {
		w[j] = float64(v)
	}
	for j, v := range n.Bias {
		w[NumNextInputs+j] = float64(v)
	}
	for j, v := range n.Text[:min(len(n.Text), c*k)] {
		w[NumNextInputs+c+j] = float64(v)
	}
	if err := lbfgs.Minimise(ctx, w, 80, 1e-6, f.loss); err != nil {
		return err
	}
	narrow := func(v []float64) []float32 {
		out := make([]float32, len(v))
		for j, x := range v {
			out[j] = float32(x)
		}
		return out
	}
	n.Weights, n.Bias, n.Text = narrow(w[:NumNextInputs]), narrow(w[NumNextInputs:NumNextInputs+c]), nil
	if k > 0 {
		n.Text = narrow(w[NumNextInputs+c:])
	}
	return nil
}

type nextFit struct {
	choices                []Choice
	categories, components int
	l2                     float64
	p                      []float64 // of the categories
}

// loss is the objective; w and g hold input weights, biases, text weights.
func (f *nextFit) loss(w, g []float64) float64 {
	clear(g)
	c, k := f.categories, f.components
	bias, text := w[NumNextInputs:NumNextInputs+c], w[NumNextInputs+c:]
	gBias, gText := g[NumNextInputs:NumNextInputs+c], g[NumNextInputs+c:]
	inv := 1 / math.Max(1, float64(len(f.choices)))
	var total float64
	for i := range f.choices {
		ch := &f.choices[i]
		top := math.Inf(-1)
		for a := range c {
			z := bias[a] + mixed(ch.Inputs[a*NumNextInputs:(a+1)*NumNextInputs], w)
			if k > 0 {
				z += mixed(ch.Components, text[a*k:(a+1)*k])
			}
			f.p[a] = z
			top = math.Max(top, z)
		}
		var sum float64
		chosen := f.p[ch.Category]
		for a, z := range f.p {
			f.p[a] = math.Exp(z - top)
			sum += f.p[a]
		}
		total += top + math.Log(sum) - chosen
		for a, e := range f.p {
			d := e / sum
			if a == ch.Category {
				d--
			}
			d *= inv
			gBias[a] += d
			for j, v := range ch.Inputs[a*NumNextInputs : (a+1)*NumNextInputs] {
				g[j] += d * float64(v)
			}
			if k > 0 {
				row := gText[a*k : (a+1)*k]
				for j, v := range ch.Components {
					row[j] += d * float64(v)
				}
			}
		}
	}
	total *= inv
	for j, v := range w {
		by := f.l2
		if j < NumNextInputs {
			by /= 10
		}
		total += by / 2 * v * v
		g[j] += by * v
	}
	return total
}
