package lifetime

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// data opens a file of the folder with public data.
func data(t *testing.T, name string) *os.File {
	t.Helper()
	folder := os.Getenv("PROFILESTREAM_DATA")
	if folder == "" {
		t.Skip("SKIPPED: PROFILESTREAM_DATA does not name the folder with " + name + ", so BG/NBD is not held to the published figures")
	}
	f, err := os.Open(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// cdnow makes histories in weeks up to 1997-09-30 of the sample's customers, in
// order of their id. Weeks have two decimals, as in the golden file.
func cdnow(t *testing.T) []History {
	t.Helper()
	end := time.Date(1997, 9, 30, 0, 0, 0, 0, time.UTC)
	type customer struct{ first, last time.Time }
	var out []History
	var at []customer
	lines := bufio.NewScanner(data(t, "CDNOW_sample.txt"))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 5 {
			continue
		}
		id, err1 := strconv.Atoi(f[1])
		day, err2 := time.Parse("20060102", f[2])
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		if day.After(end) {
			continue
		}
		if id > len(out) {
			out, at = append(out, History{Age: weeks(end.Sub(day))}), append(at, customer{day, day})
			continue
		}
		c, h := &at[id-1], &out[id-1]
		if day.After(c.last) {
			c.last = day
			h.Repeats++
			h.Last = weeks(day.Sub(c.first))
		}
	}
	return out
}

func weeks(d time.Duration) float64 { return math.Round(d.Hours()/24/7*100) / 100 }

// TestCDNOW holds the fit to the published parameters and the expectations to
// the golden file.
func TestCDNOW(t *testing.T) {
	t.Parallel()
	hs := cdnow(t)
	golden, err := csv.NewReader(data(t, "golden_bgnbd_sample.csv")).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	golden = golden[1:]
	if len(hs) != 2357 || len(golden) != len(hs) {
		t.Fatalf("%d customers, %d golden", len(hs), len(golden))
	}
	m, err := FitBGNBD(context.Background(), hs)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name             string
		got, want, about float64
	}{
		{"r", m.R, .2426, 1e-3}, {"alpha", m.Alpha, 4.4135, 1e-3}, {"a", m.A, .7929, 1e-3}, {"b", m.B, 2.4258, 1e-3},
		{"log-likelihood", m.LogLikelihood, -9582.43, .1},
	} {
		if math.Abs(c.got-c.want) > c.about {
			t.Errorf("%s is %v, want %v", c.name, c.got, c.want)
		}
	}
	for i, g := range golden {
		num := func(k int) float64 {
			v, err := strconv.ParseFloat(g[k], 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		if math.Abs(hs[i].Repeats-num(1)) > 0 || math.Abs(hs[i].Last-num(2)) > .006 || math.Abs(hs[i].Age-num(3)) > .006 {
			t.Fatalf("customer %d has %+v, golden %v", i+1, hs[i], g)
		}
		if got := m.Alive(hs[i]); math.Abs(got-num(4)) > 1e-3 {
			t.Fatalf("customer %d is alive with %v, golden %v", i+1, got, num(4))
		}
		if got := m.Expected(hs[i], 39); math.Abs(got-num(5)) > 1e-3 {
			t.Fatalf("customer %d is expected to buy %v, golden %v", i+1, got, num(5))
		}
	}
}

// simulate draws customers of a known model over a number of weeks.
func simulate(n int, m BGNBD, weeks float64, seed uint64) []History {
	rng := rand.New(rand.NewPCG(seed, 4))
	gamma := func(shape float64) float64 { // Marsaglia and Tsang, boosted below 1
		boost := 1.0
		if shape < 1 {
			boost = math.Pow(rng.Float64(), 1/shape)
			shape++
		}
		d := shape - 1./3
		for {
			x := rng.NormFloat64()
			v := math.Pow(1+x/math.Sqrt(9*d), 3)
			if v > 0 && math.Log(rng.Float64()) < x*x/2+d-d*v+d*math.Log(v) {
				return boost * d * v
			}
		}
	}
	out := make([]History, n)
	for i := range out {
		rate := gamma(m.R) / m.Alpha
		x, y := gamma(m.A), gamma(m.B)
		p := x / (x + y)
		h := History{Age: weeks}
		for t := rng.ExpFloat64() / rate; t < weeks; t += rng.ExpFloat64() / rate {
			h.Repeats++
			h.Last = t
			if rng.Float64() < p {
				break
			}
		}
		out[i] = h
	}
	return out
}

func TestFitFindsTheModel(t *testing.T) {
	t.Parallel()
	want := BGNBD{R: .8, Alpha: 6, A: .6, B: 2}
	m, err := FitBGNBD(context.Background(), simulate(8000, want, 52, 1))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string][2]float64{"r": {m.R, .8}, "alpha": {m.Alpha, 6}, "drop-out": {m.A / (m.A + m.B), .6 / 2.6}} {
		if math.Abs(c[0]/c[1]-1) > .15 {
			t.Errorf("%s is %v, want about %v", name, c[0], c[1])
		}
	}
	if m.NoDropOut {
		t.Error("a model with drop-out was found without")
	}
}

func TestFitSaysWhenNobodyDropsOut(t *testing.T) {
	t.Parallel()
	hs := simulate(3000, BGNBD{R: 2, Alpha: 6, A: 1e-7, B: 10}, 52, 2)
	m, err := FitBGNBD(context.Background(), hs)
	if err != nil {
		t.Fatal(err)
	}
	if !m.NoDropOut || m.Alive(hs[0]) != 1 {
		t.Errorf("fitted %+v", m)
	}
	if e := m.Expected(hs[0], 10); math.IsNaN(e) || e <= 0 {
		t.Errorf("expects %v purchases", e)
	}
}

// TestOddHistoriesStayInBounds: histories that pull a parameter to infinity or
// to nothing give finite expectations, of who bought often too.
func TestOddHistoriesStayInBounds(t *testing.T) {
	t.Parallel()
	for name, hs := range map[string][]History{
		"all bought at once and were gone":    {{Repeats: 1, Last: 0, Age: 50}, {Repeats: 2, Last: 0, Age: 50}, {Repeats: 1, Last: 0, Age: 50}},
		"all bought as regularly as clocks":   {{Repeats: 50, Last: 50, Age: 50.5}, {Repeats: 50, Last: 50, Age: 50.5}, {Repeats: 50, Last: 50, Age: 50.5}},
		"one of few bought again":             {{Age: 3}, {Age: 5}, {Age: 1}, {Repeats: 1, Last: 2, Age: 4}},
		"all seen for no time":                {{}, {}, {Repeats: 1}},
		"one bought a thousand times":         {{Repeats: 1000, Last: 10, Age: 10}, {Age: 50}, {Age: 20}, {Repeats: 1, Last: 1, Age: 90}},
		"all left after the second purchase ": {{Repeats: 1, Last: 1, Age: 90}, {Repeats: 1, Last: 2, Age: 90}, {Repeats: 1, Last: 1, Age: 80}},
	} {
		m, err := FitBGNBD(context.Background(), hs)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, p := range []float64{m.R, m.Alpha, m.A, m.B} {
			if !(p > 1e-5 && p < 1e5) {
				t.Errorf("%s: fitted %+v", name, m)
			}
		}
		for _, h := range append(hs, History{}, History{Repeats: 200, Last: 100, Age: 101}) {
			s, n := m.Silent(h, 13), m.Expected(h, 13)
			if !(s >= 0 && s <= 1) || !(n >= 0) || math.IsInf(n, 0) {
				t.Errorf("%s: %+v of %+v is silent with %v and buys %v times", name, h, m, s, n)
			}
		}
	}
}

func TestUnusableHistoriesAreRefused(t *testing.T) {
	t.Parallel()
	for name, hs := range map[string][]History{
		"none":        nil,
		"no repeats":  {{Age: 3}, {Age: 5}},
		"last > age":  {{Repeats: 1, Last: 9, Age: 3}},
		"not numbers": {{Repeats: math.NaN(), Last: 1, Age: 3}},
	} {
		if _, err := FitBGNBD(context.Background(), hs); !errors.Is(err, ErrHistory) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestSilentFallsWithTime(t *testing.T) {
	t.Parallel()
	m := BGNBD{R: .24, Alpha: 4.4, A: .79, B: 2.4}
	h := History{Repeats: 3, Last: 20, Age: 30}
	if s := m.Silent(h, 0); s != 1 {
		t.Errorf("no purchase in no time has the probability %v", s)
	}
	was := 1.0
	for w := 1.0; w < 200; w *= 2 {
		s := m.Silent(h, w)
		if s >= was || s < 1-m.Alive(h) {
			t.Errorf("silent for %v weeks: %v after %v, alive %v", w, s, was, m.Alive(h))
		}
		was = s
	}
}

func TestGammaGammaFindsTheModel(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 5))
	gamma := func(shape int) (s float64) {
		for range shape {
			s += rng.ExpFloat64()
		}
		return s
	}
	var ss []Spending
	for range 6000 {
		n := 1 + rng.IntN(8)
		rate := gamma(4) / 60 // q 4, v 60
		s := Spending{Purchases: float64(n)}
		for range n {
			s.Mean += gamma(6) / rate / float64(n) // p 6
		}
		ss = append(ss, s)
	}
	m, err := FitGammaGamma(context.Background(), ss)
	if err != nil {
		t.Fatal(err)
	}
	// P and V trade off against each other, so the likelihood is compared, and
	// what the parameters say.
	truth := GammaGamma{P: 6, Q: 4, V: 60}
	if at := truth.likelihood(ss); m.LogLikelihood < at || m.LogLikelihood > at+15 {
		t.Errorf("fitted %+v, the truth has the log-likelihood %v", m, at)
	}
	if math.Abs(m.Q/4-1) > .15 {
		t.Errorf("fitted %+v, want q 4", m)
	}
	// Nobody's mean: p v / (q - 1).
	if a := m.Amount(Spending{}); math.Abs(a/120-1) > .05 {
		t.Errorf("a newcomer's amount is %v, want about 120", a)
	}
}
