package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// sample is what one run says about one figure.
type sample struct {
	name  string
	value float64
	unit  string
	note  string // the input, and how it was measured
}

// Figure is the median of a figure's samples. Spread is the distance between
// the largest and the smallest, relative to the median; N is how many there are.
type Figure struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	N      int     `json:"n"`
	Spread float64 `json:"spread"`
	Note   string  `json:"note"`
}

// series collects the samples of several runs, in the order of their names.
type series struct {
	order   []string
	samples map[string][]sample
}

func newSeries() *series { return &series{samples: map[string][]sample{}} }

func (s *series) add(samples []sample) {
	for _, x := range samples {
		if len(s.samples[x.name]) == 0 {
			s.order = append(s.order, x.name)
		}
		s.samples[x.name] = append(s.samples[x.name], x)
	}
}

func (s *series) figures() []Figure {
	var out []Figure
	for _, name := range s.order {
		xs := s.samples[name]
		values := make([]float64, len(xs))
		for i, x := range xs {
			values[i] = x.value
		}
		mid, spread := median(values)
		last := xs[len(xs)-1]
		out = append(out, Figure{Name: name, Value: mid, Unit: last.unit, N: len(xs), Spread: spread, Note: last.note})
	}
	return out
}

// median returns the median and the relative spread of at least one value.
func median(values []float64) (mid, spread float64) {
	v := slices.Clone(values)
	slices.Sort(v)
	n := len(v)
	mid = (v[(n-1)/2] + v[n/2]) / 2
	if mid != 0 {
		spread = (v[n-1] - v[0]) / math.Abs(mid)
	}
	return mid, spread
}

// quantile returns the q-quantile of at least one value, by nearest rank.
func quantile(values []float64, q float64) float64 {
	v := slices.Clone(values)
	slices.Sort(v)
	return v[min(len(v)-1, max(0, int(math.Ceil(q*float64(len(v))))-1))]
}

// slope is that of the least-squares line through the points.
func slope(x, y []float64) float64 {
	var mx, my float64
	for i := range x {
		mx += x[i] / float64(len(x))
		my += y[i] / float64(len(x))
	}
	var xy, xx float64
	for i := range x {
		xy += (x[i] - mx) * (y[i] - my)
		xx += (x[i] - mx) * (x[i] - mx)
	}
	return xy / xx
}

// write puts the figure into a file of its name, whole or not at all.
func (f Figure) write(dir string) error {
	b, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("figure %s: %w", f.Name, err)
	}
	path := filepath.Join(dir, f.Name+".json")
	if err := os.WriteFile(path+".tmp", append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing figure %s: %w", f.Name, err)
	}
	return os.Rename(path+".tmp", path)
}

func describe(samples []sample) string {
	var parts []string
	for _, x := range samples {
		parts = append(parts, fmt.Sprintf("%s %s %s", x.name, short(x.value), x.unit))
	}
	return strings.Join(parts, ", ")
}

func short(v float64) string {
	switch a := math.Abs(v); {
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.4f", v)
}
