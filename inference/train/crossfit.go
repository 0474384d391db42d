package train

import (
	"context"
	"math"
	"runtime"

	"golang.org/x/sync/errgroup"

	"profilestream/inference/heads"
)

// problem is one target on one matrix of inputs.
type problem struct {
	x       *heads.Matrix
	y       []float64
	fold    []int
	loss    heads.Loss
	mlp     bool      // fit MLPs too
	compact []int     // columns of the compact part
	shrink  []float32 // of the columns, for what is fitted on even; see drift
	even    *heads.Matrix
	folds   []fold
}

// fold is rows to fit on and rows held out, positions in the problem.
type fold struct{ in, out []int }

// prepare cuts the folds and shrinks the inputs.
func (p *problem) prepare() {
	n := 0
	for _, f := range p.fold {
		n = max(n, f+1)
	}
	for k := range n {
		var f fold
		for i, of := range p.fold {
			if of == k {
				f.out = append(f.out, i)
			} else {
				f.in = append(f.in, i)
			}
		}
		if len(f.in) > 0 && len(f.out) > 0 {
			p.folds = append(p.folds, f)
		}
	}
	p.even = p.x
	if p.shrink == nil {
		return
	}
	p.even = heads.NewMatrix(p.x.Rows, p.x.Cols)
	for i := range p.x.Rows {
		from, to := p.x.Row(i), p.even.Row(i)
		for j, v := range from {
			to[j] = v * p.shrink[j]
		}
	}
}

// each runs f for every fold, as many at once as there are processors.
func (p *problem) each(ctx context.Context, f func(ctx context.Context, at *fold) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for k := range p.folds {
		g.Go(func() error { return f(ctx, &p.folds[k]) })
	}
	return g.Wait()
}

// Candidates of the mix: the parts of an ensemble, and a linear part on a few
// inputs, which is added to the other linear part.
const (
	partCompact = heads.NumParts + iota
	numCandidates
)

// fitted is an ensemble fitted on all rows, and what its candidates, fitted
// without a row's customer, say about that row.
type fitted struct {
	ensemble heads.Ensemble
	compact  heads.Linear
	held     []float64                // of the mix
	parts    [numCandidates][]float64 // of each candidate; nil where absent
}

// crossfit chooses every part's size on held-out folds, mixes the held-out
// scores, and fits each part again on all rows.
func crossfit(ctx context.Context, p *problem, o *Options, step func()) (*fitted, error) {
	p.prepare()
	f := &fitted{}
	if err := p.linear(ctx, f); err != nil {
		return nil, err
	}
	if err := p.small(ctx, f); err != nil {
		return nil, err
	}
	step()
	if p.mlp {
		if err := p.hidden(ctx, o, f, step); err != nil {
			return nil, err
		}
	}
	if err := p.forest(ctx, o, f, step); err != nil {
		return nil, err
	}
	f.mix(p)
	return f, nil
}

const (
	// nearBest is how far above the least held-out loss a mix may lie to count.
	nearBest = .001
	// steadyShare is the weight of the compact part that a mix should have, and
	// steadyPrice what it may cost in held-out loss, if not a standard error of that
	// cost. The folds hold customers out, not times: how the parts fare later, when
	// inputs have drifted, they cannot show, and there the compact part fares best.
	steadyShare = .4
	steadyPrice = .002
)

// mix weighs the candidates by their held-out loss: the mean of all weights on a
// grid of tenths whose loss is near the least. The single best point would follow
// the noise of the folds.
func (f *fitted) mix(p *problem) {
	grid := f.grid()
	losses := make([]float64, len(grid))
	best, steady, atBest, atSteady := math.Inf(1), math.Inf(1), 0, 0
	z := make([]float64, len(p.y))
	for g, w := range grid {
		f.blend(w, z)
		losses[g] = p.loss.Mean(z, p.y)
		if losses[g] < best {
			best, atBest = losses[g], g
		}
		if w[partCompact] >= steadyShare && losses[g] < steady {
			steady, atSteady = losses[g], g
		}
	}
	share := 0.0
	if steady <= best+max(steadyPrice, f.doubt(p, grid[atBest], grid[atSteady])) {
		share, best = steadyShare, steady
	}
	var sum [numCandidates]float64
	var n float64
	for g, w := range grid {
		if losses[g] <= best+nearBest && w[partCompact] >= share {
			n++
			for k := range sum {
				sum[k] += w[k]
			}
		}
	}
	for k := range sum {
		sum[k] /= n
	}
	f.held = make([]float64, len(p.y))
	f.blend(sum, f.held)
	copy(f.ensemble.Mix[:], sum[:])
	f.join(sum[heads.PartLinear], sum[partCompact])
}

// doubt is the standard error of the difference of two mixes' mean losses.
func (f *fitted) doubt(p *problem, a, b [numCandidates]float64) float64 {
	n := len(p.y)
	za, zb := make([]float64, n), make([]float64, n)
	f.blend(a, za)
	f.blend(b, zb)
	var sum, sq float64
	for i, y := range p.y {
		d := p.loss.Of(za[i], y) - p.loss.Of(zb[i], y)
		sum, sq = sum+d, sq+d*d
	}
	mean := sum / float64(n)
	return math.Sqrt(max(0, sq/float64(n)-mean*mean) / float64(n))
}

// join adds the compact part to the linear part.
func (f *fitted) join(linear, compact float64) {
	total := linear + compact
	f.ensemble.Mix[heads.PartLinear] = total
	if total == 0 {
		return
	}
	a, b := float32(linear/total), float32(compact/total)
	l := &f.ensemble.Linear
	for j := range l.Weights {
		l.Weights[j] = a*l.Weights[j] + b*f.compact.Weights[j]
	}
	l.Bias = a*l.Bias + b*f.compact.Bias
}

// grid lists weights in tenths of the candidates that are there. The compact
// part is the last and always there.
func (f *fitted) grid() [][numCandidates]float64 {
	var out [][numCandidates]float64
	var w [numCandidates]float64
	var fill func(k, left int)
	fill = func(k, left int) {
		if k == numCandidates-1 {
			w[k] = float64(left) / 10
			out = append(out, w)
			return
		}
		for n := 0; n <= left; n++ {
			if n > 0 && f.parts[k] == nil {
				break
			}
			w[k] = float64(n) / 10
			fill(k+1, left-n)
		}
		w[k] = 0
	}
	fill(0, 10)
	return out
}

func (f *fitted) blend(w [numCandidates]float64, dst []float64) {
	clear(dst)
	for k, part := range f.parts {
		if w[k] == 0 {
			continue
		}
		for i, v := range part {
			dst[i] += w[k] * v
		}
	}
}
