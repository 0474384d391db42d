package eval

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"runtime"
	"sort"
	"sync"
)

// Number is a figure that is null in JSON where it is not determined.
type Number float64

// MarshalJSON writes null for what is not finite.
func (n Number) MarshalJSON() ([]byte, error) {
	if f := float64(n); math.IsNaN(f) || math.IsInf(f, 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// UnmarshalJSON reads null as NaN.
func (n *Number) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*n = Number(math.NaN())
		return nil
	}
	return json.Unmarshal(b, (*float64)(n))
}

// Figure is a figure with its two-sided 95 % interval.
type Figure struct {
	Value Number `json:"value"`
	Low   Number `json:"low"`
	High  Number `json:"high"`
}

func unknown() Figure { n := Number(math.NaN()); return Figure{n, n, n} }

// statistic computes a figure of a sample, which gives each row a weight. It is
// called from several goroutines.
type statistic func(weight []float64) float64

// panel measures figures on all rows and on bootstrap samples that all figures
// share, so that differences are paired (Efron and Tibshirani 1993).
type panel struct {
	stats []statistic
	value []float64
	drawn [][]float64 // [figure][sample]
	fill  []func()
}

// measure has out filled with the statistic and returns its number.
func (p *panel) measure(out *Figure, f statistic) int {
	n := len(p.stats)
	p.stats = append(p.stats, f)
	p.fill = append(p.fill, func() { *out = interval(p.value[n], p.drawn[n]) })
	return n
}

// less has out filled with the paired difference of two figures.
func (p *panel) less(out *Figure, a, b int) {
	p.fill = append(p.fill, func() {
		d := make([]float64, len(p.drawn[a]))
		for s := range d {
			d[s] = p.drawn[a][s] - p.drawn[b][s]
		}
		*out = interval(p.value[a]-p.value[b], d)
	})
}

// run draws samples of whole customers, so that several rows of one do not pass
// for independent, and fills the figures in.
func (p *panel) run(customers []string, samples int, seed uint64) {
	all := ones(len(customers))
	p.value, p.drawn = make([]float64, len(p.stats)), make([][]float64, len(p.stats))
	for k, f := range p.stats {
		p.value[k], p.drawn[k] = f(all), make([]float64, samples)
	}
	of, n := numbered(customers)
	var work sync.WaitGroup
	workers := min(samples, runtime.GOMAXPROCS(0))
	for first := range workers {
		work.Go(func() {
			times, weight := make([]float64, n), make([]float64, len(customers))
			for s := first; s < samples; s += workers {
				drawTimes(times, seed, uint64(s))
				for i, k := range of {
					weight[i] = times[k]
				}
				for k, f := range p.stats {
					p.drawn[k][s] = f(weight)
				}
			}
		})
	}
	work.Wait()
	for _, f := range p.fill {
		f()
	}
}

// numbered gives equal names equal numbers, from 0 in order of appearance.
func numbered(names []string) (of []int, n int) {
	at := map[string]int{}
	of = make([]int, len(names))
	for i, c := range names {
		k, ok := at[c]
		if !ok {
			k = len(at)
			at[c] = k
		}
		of[i] = k
	}
	return of, len(at)
}

// drawTimes counts how often each customer is drawn in a sample, which follows
// from seed and number alone.
func drawTimes(times []float64, seed, number uint64) {
	clear(times)
	rng := rand.New(rand.NewPCG(seed^0x626f6f74, number))
	for range times {
		times[rng.IntN(len(times))]++
	}
}

// interval gives the 2.5 % and 97.5 % quantiles of the determined values.
func interval(value float64, samples []float64) Figure {
	v := make([]float64, 0, len(samples))
	for _, s := range samples {
		if !math.IsNaN(s) {
			v = append(v, s)
		}
	}
	if len(v) == 0 {
		return Figure{Number(value), Number(math.NaN()), Number(math.NaN())}
	}
	sort.Float64s(v)
	at := func(q float64) Number { return Number(v[min(len(v)-1, int(q*float64(len(v))))]) }
	return Figure{Number(value), at(.025), at(.975)}
}
