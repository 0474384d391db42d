package train

import (
	"sort"
	"time"

	"github.com/zeebo/xxh3"
)

// share maps a user to [0,1) by a seeded hash.
func share(user string, seed uint64) float64 {
	return float64(xxh3.HashStringSeed(user, seed)>>11) / (1 << 53)
}

// split is the rows that one model is fitted on and the rows it is judged on.
type split struct {
	words       string
	train, test []int
}

// hold keeps a share of the customers, at the last cut-off where there are
// several, for the test. Where enough cut-offs lie a horizon before the last, only
// those are trained on, so that the labels of training end before the test begins.
func (s *sample) hold(testShare float64, horizon time.Duration, seed uint64) split {
	day := func(i int) int64 { return s.cutoff[i] / dayMillis }
	days := map[int64]int{}
	for i := range s.n {
		days[day(i)]++
	}
	order := make([]int64, 0, len(days))
	for d := range days {
		order = append(order, d)
	}
	sort.Slice(order, func(a, b int) bool { return order[a] < order[b] })
	if len(order) == 0 {
		return split{}
	}
	last := order[len(order)-1]
	limit := last
	sp := split{words: "customers"}
	if len(order) > 1 {
		sp.words = "customers and time"
		limit = last - 1
		before := 0
		strict := last - int64(horizon/(24*time.Hour))
		for _, d := range order {
			if d <= strict {
				before += days[d]
			}
		}
		if horizon > 0 && before >= s.n/5 {
			limit = strict
			sp.words = "customers and time, labels of training end before the test"
		}
	}
	for i := range s.n {
		held := share(s.users[i], seed^0x7465737400) < testShare
		switch {
		case held && day(i) == last:
			sp.test = append(sp.test, i)
		case !held && day(i) <= limit:
			sp.train = append(sp.train, i)
		}
	}
	return sp
}

const dayMillis = 24 * 60 * 60 * 1000

// folds gives every row of rows a fold by its customer.
func (s *sample) folds(rows []int, n int, seed uint64) []int {
	out := make([]int, len(rows))
	for k, i := range rows {
		out[k] = int(share(s.users[i], seed^0x666f6c6400) * float64(n))
	}
	return out
}
