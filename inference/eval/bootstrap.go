package eval

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"sort"
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

// Figure is a figure with its 95 % bootstrap interval.
type Figure struct {
	Value Number `json:"value"`
	Low   Number `json:"low"`
	High  Number `json:"high"`
}

// Bootstrap draws samples of whole groups (customers, so that several rows of
// one do not pass for independent) and calls f with the rows of each.
func Bootstrap(groups []string, samples int, seed uint64, f func(rows []int)) {
	at := map[string]int{}
	var members [][]int
	for i, g := range groups {
		k, ok := at[g]
		if !ok {
			k = len(members)
			at[g] = k
			members = append(members, nil)
		}
		members[k] = append(members[k], i)
	}
	rng := rand.New(rand.NewPCG(seed, 0x626f6f74))
	rows := make([]int, 0, len(groups))
	for range samples {
		rows = rows[:0]
		for range members {
			rows = append(rows, members[rng.IntN(len(members))]...)
		}
		f(rows)
	}
}

// interval gives the 2.5 % and 97.5 % quantiles of the determined values.
func interval(value float64, samples []float64) Figure {
	v := samples[:0:0]
	for _, s := range samples {
		if !math.IsNaN(s) {
			v = append(v, s)
		}
	}
	sort.Float64s(v)
	if len(v) == 0 {
		return Figure{Number(value), Number(math.NaN()), Number(math.NaN())}
	}
	at := func(q float64) Number { return Number(v[min(len(v)-1, int(q*float64(len(v))))]) }
	return Figure{Number(value), at(.025), at(.975)}
}

// pick copies the rows of v.
func pick(dst, v []float64, rows []int) []float64 {
	dst = dst[:0]
	for _, i := range rows {
		dst = append(dst, v[i])
	}
	return dst
}
