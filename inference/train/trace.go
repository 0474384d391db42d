package train

import "math"

// watch ends a fold's training when its held-out loss has not fallen for long.
type watch struct {
	best           float64
	at, last, wait int
}

func newWatch(wait int) *watch { return &watch{best: math.Inf(1), wait: wait} }

func (w *watch) on(step int, loss float64) (goOn bool) {
	w.last = step
	if loss < w.best {
		w.best, w.at = loss, step
	}
	return step-w.at < w.wait
}

// trace holds the held-out scores after each epoch or round, in float32 to
// bound its memory. A fold that ended early keeps its last scores.
type trace struct{ score [][]float32 }

func newTrace(steps, rows int) *trace {
	t := &trace{score: make([][]float32, steps)}
	for i := range t.score {
		t.score[i] = make([]float32, rows)
	}
	return t
}

func (t *trace) put(step int, z []float64, at []int) {
	for k, i := range at {
		t.score[step-1][i] = float32(z[k])
	}
}

// extend repeats the scores of the last step of a fold.
func (t *trace) extend(last int, at []int) {
	for n := max(1, last); n < len(t.score); n++ {
		for _, i := range at {
			t.score[n][i] = t.score[last-1][i]
		}
	}
}

// best is the step with the least loss over all rows.
func (t *trace) best(p *problem) (step int, held []float64, loss float64) {
	loss = math.Inf(1)
	z := make([]float64, len(p.y))
	for n := range t.score {
		for i, v := range t.score[n] {
			z[i] = float64(v)
		}
		if l := p.loss.Mean(z, p.y); l < loss {
			step, loss = n+1, l
			held = append(held[:0], z...)
		}
	}
	return step, held, loss
}
