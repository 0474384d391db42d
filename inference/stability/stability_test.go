package stability

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"profilestream/inference/features"
	"profilestream/inference/internal/fixture"
)

// draw gives n values: mostly a lognormal, a third zero, a tenth missing.
func draw(rng *rand.Rand, n int, shift float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		switch u := rng.Float64(); {
		case u < .1:
			out[i] = math.NaN()
		case u < .4:
			out[i] = 0
		default:
			out[i] = math.Exp(rng.NormFloat64() + shift)
		}
	}
	return out
}

// TestPSI: rows of the same kind do not drift, planted drifts do.
func TestPSI(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	h := Fit("x", draw(rng, 4000, 0))
	for name, c := range map[string]struct {
		values   []float64
		from, to float64
	}{
		"none":            {draw(rng, 2000, 0), 0, Moved},
		"none, few rows":  {draw(rng, MinRows, 0), 0, Moved},
		"larger":          {draw(rng, 2000, 1.2), Shifted, math.Inf(1)},
		"smaller":         {draw(rng, 2000, -1.2), Shifted, math.Inf(1)},
		"a little larger": {draw(rng, 20000, .5), Moved, Shifted},
		"all missing":     {slices.Repeat([]float64{math.NaN()}, 500), Shifted, math.Inf(1)},
		"all zero":        {make([]float64, 500), Shifted, math.Inf(1)},
	} {
		if got := h.PSI(h.Count(c.values)); !(got >= c.from && got < c.to) {
			t.Errorf("%s: PSI %.3f, want within %v..%v", name, got, c.from, c.to)
		}
	}
	if got := h.PSI(h.Count(draw(rng, MinRows-1, 0))); !math.IsNaN(got) {
		t.Errorf("too few rows: PSI %v", got)
	}
}

// TestPSIIsTheSumOverShares checks a hand-made case: three bins and no missing.
func TestPSIIsTheSumOverShares(t *testing.T) {
	t.Parallel()
	h := Histogram{Edges: []float64{1, 2}, Counts: []int64{1000, 2000, 1000, 0}}
	want := (.5-.25)*math.Log(.5/.25) + (.25-.5)*math.Log(.25/.5)
	if got := h.PSI([]int64{2000, 1000, 1000, 0}); math.Abs(got-want) > 1e-3 {
		t.Errorf("PSI %.4f, want %.4f", got, want)
	}
	if got := h.PSI(h.Counts); got != 0 {
		t.Errorf("against itself: PSI %v", got)
	}
}

func TestFit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		values []float64
		edges  int
	}{
		"nothing":     {nil, 0},
		"one value":   {[]float64{3, 3, 3}, 0},
		"all missing": {[]float64{math.NaN()}, 0},
		"two values":  {[]float64{0, 0, 0, 1}, 1},
		"ten values":  {[]float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 8},
		"neighbours":  {[]float64{1, math.Nextafter(1, 2), math.Nextafter(1, 2)}, 1},
	} {
		h := Fit(name, c.values)
		if len(h.Edges) != c.edges {
			t.Errorf("%s: edges %v, want %d", name, h.Edges, c.edges)
		}
		if err := h.validate(int64(len(c.values))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	rng := rand.New(rand.NewPCG(3, 4))
	values := draw(rng, 5000, 0)
	h := Fit("x", values)
	for _, x := range values {
		if slices.Contains(h.Edges, x) {
			t.Errorf("the value %v lies on an edge", x)
		}
	}
}

func TestReferenceRoundTrip(t *testing.T) {
	t.Parallel()
	rows := fixture.New(300, 1, 4).Rows
	table := new(features.Table)
	if err := table.Bind(rows); err != nil {
		t.Fatal(err)
	}
	score := make([]float64, table.Rows())
	for i := range score {
		score[i] = float64(i)
	}
	r := New([]*features.Table{table}, score, score, 90)
	raw, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := got.Encode(); err != nil || string(again) != string(raw) {
		t.Errorf("%v; encoded again:\n%s\nwant\n%s", err, again, raw)
	}
	for name, change := range map[string]func(r *Reference){
		"format":   func(r *Reference) { r.Format = 2 },
		"horizon":  func(r *Reference) { r.HorizonDays = 0 },
		"columns":  func(r *Reference) { r.Columns = r.Columns[1:] },
		"a name":   func(r *Reference) { r.Columns[0].Name = "x" },
		"a count":  func(r *Reference) { r.Columns[0].Counts[0]++ },
		"negative": func(r *Reference) { r.Columns[0].Counts[0] -= 1000; r.Columns[0].Counts[1] += 1000 },
		"an edge":  func(r *Reference) { r.Columns[0].Edges = append(r.Columns[0].Edges, 1) },
	} {
		c, _ := Decode(raw)
		change(c)
		b, err := c.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Decode(b); err == nil {
			t.Errorf("%s: was accepted", name)
		}
	}
	if _, err := Decode([]byte(strings.Replace(string(raw), `"rows"`, `"row"`, 1))); err == nil {
		t.Error("an unknown field was accepted")
	}
}

// FuzzDecode: what is accepted encodes to the same bytes again, and can be counted by.
func FuzzDecode(f *testing.F) {
	raw, err := New(nil, nil, nil, 90).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(`{"format":1,"rows":-1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Decode(b)
		if err != nil {
			return
		}
		for i := range r.Columns {
			h := &r.Columns[i]
			if n := len(h.Count([]float64{0, math.NaN(), math.Inf(1)})); n != len(h.Counts) {
				t.Fatalf("%s counts into %d bins of %d", h.Name, n, len(h.Counts))
			}
			h.PSI(h.Counts)
		}
		if _, err := r.Encode(); err != nil {
			t.Fatal(err)
		}
	})
}
