package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMedianAndSpread(t *testing.T) {
	for _, c := range []struct {
		name        string
		values      []float64
		mid, spread float64
	}{
		{"one", []float64{4}, 4, 0},
		{"three in any order", []float64{9, 8, 12}, 9, 4.0 / 9},
		{"two", []float64{1, 3}, 2, 1},
		{"zero", []float64{0, 0, 0}, 0, 0},
		{"negative", []float64{-2, -1, -3}, -2, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			if mid, spread := median(c.values); mid != c.mid || math.Abs(spread-c.spread) > 1e-12 {
				t.Fatalf("median %v, spread %v, want %v, %v", mid, spread, c.mid, c.spread)
			}
		})
	}
}

func TestQuantileIsNearestRank(t *testing.T) {
	v := make([]float64, 100)
	for i := range v {
		v[99-i] = float64(i + 1)
	}
	for q, want := range map[float64]float64{0: 1, .5: 50, .99: 99, 1: 100} {
		if got := quantile(v, q); got != want {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
}

func TestSlope(t *testing.T) {
	if got := slope([]float64{0, 1, 2, 3}, []float64{5, 7, 9, 11}); math.Abs(got-2) > 1e-12 {
		t.Fatalf("slope is %v, want 2", got)
	}
}

func TestFigureFile(t *testing.T) {
	all := newSeries()
	for _, v := range []float64{10, 11, 12} {
		all.add([]sample{{name: "a", value: v, unit: "rows/s", note: "input"}})
	}
	dir := t.TempDir()
	for _, f := range all.figures() {
		if err := f.write(dir); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, "a.json"))
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{"name": "a", "value": 11.0, "unit": "rows/s", "n": 3.0, "note": "input"} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if _, ok := got["spread"]; !ok || len(got) != 6 {
		t.Errorf("the object is %s", b)
	}
}

func TestMetricsSumOverLabels(t *testing.T) {
	m, err := parseMetrics(strings.NewReader("# HELP x y\n# TYPE x counter\nx{a=\"1\",b=\"c d\"} 3\nx{a=\"2\",b=\"c\"} 4.5\nxy 9\nz 1e+06\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, label string
		want        float64
	}{{"x", "", 7.5}, {"x", `a="2"`, 4.5}, {"xy", "", 9}, {"z", "", 1e6}, {"absent", "", 0}} {
		if got := m.sum(c.name, c.label); got != c.want {
			t.Errorf("%s %s is %v, want %v", c.name, c.label, got, c.want)
		}
	}
}
