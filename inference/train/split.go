package train

import (
	"fmt"
	"slices"
	"time"

	"github.com/zeebo/xxh3"

	"profilestream/inference/eval"
)

// share maps a user to [0,1) by a seeded hash.
func share(user string, seed uint64) float64 {
	return float64(xxh3.HashStringSeed(user, seed)>>11) / (1 << 53)
}

// split is the rows that one model is fitted on and the rows it is judged on.
type split struct{ train, test []int }

// plan is every split of the test: each customer is held out once at each
// origin.
type plan struct {
	words  eval.Split
	splits []split
}

const (
	// maxOrigins bounds the times of testing, and so the number of fits.
	maxOrigins = 2
	// A time whose training rows with labels that end before it are at least
	// leastRows and one in enoughRows of all rows is tested with these alone.
	enoughRows = 5
	leastRows  = 200
)

// rolling cuts the customers into folds and tests each on the others, as of the
// last cut-offs that enough rows come a whole horizon before: so the labels of
// training end before the test begins. Where no cut-off has so many, the last one
// is tested with the rows of all earlier cut-offs; where these are too few, with
// its own too.
func (s *sample) rolling(folds int, horizon time.Duration, seed uint64) plan {
	days := map[int64]int{}
	for _, at := range s.cutoff {
		days[day(at)]++
	}
	order := make([]int64, 0, len(days))
	for d := range days {
		order = append(order, d)
	}
	slices.Sort(order)
	p := plan{words: eval.Split{Folds: folds}}
	if len(order) == 0 {
		return p
	}
	ahead := max(1, int64((horizon+dayLength-1)/dayLength))
	upTo := func(limit int64) (rows int) {
		for d, n := range days {
			if d <= limit {
				rows += n
			}
		}
		return rows
	}
	var apart []int64
	for _, d := range order {
		if n := upTo(d - ahead); n >= leastRows && n*enoughRows >= s.n {
			apart = append(apart, d)
		}
	}
	last := order[len(order)-1]
	switch {
	case len(apart) > 0:
		p.words.Words = "customers and time; labels of training end before the test"
		for _, d := range apart[max(0, len(apart)-maxOrigins):] {
			s.origin(&p, d, d-ahead, folds, seed, true)
		}
	case upTo(last-1) >= leastRows:
		p.words.Words = "customers and time; too few rows lie a horizon before the test, so labels of training overlap it, of other customers"
		s.origin(&p, last, last-1, folds, seed, false)
	default:
		p.words.Words = "customers; there are too few rows of earlier cut-offs"
		s.origin(&p, last, last, folds, seed, false)
	}
	return p
}

// origin adds the splits that test the rows of a day with the other customers'
// rows up to limit.
func (s *sample) origin(p *plan, at, limit int64, folds int, seed uint64, apart bool) {
	parts := make([]split, folds)
	o := eval.Origin{At: time.UnixMilli((at + 1) * dayMillis).UTC().Format(time.DateOnly), Apart: apart}
	for i, user := range s.users {
		d, fold := day(s.cutoff[i]), int(share(user, seed^0x7465737400)*float64(folds))
		if d == at {
			parts[fold].test = append(parts[fold].test, i)
			o.TestRows++
		}
		for k := range parts {
			if d <= limit && k != fold {
				parts[k].train = append(parts[k].train, i)
				o.TrainRows++
			}
		}
	}
	o.TrainRows /= folds
	p.words.Origins = append(p.words.Origins, o)
	for _, sp := range parts {
		if len(sp.test) > 0 {
			p.splits = append(p.splits, sp)
		}
	}
}

// day is the UTC day of an as_of, whose cut-off is the midnight that ends it.
func day(asOf int64) int64 { return asOf / dayMillis }

const (
	dayMillis = 24 * 60 * 60 * 1000
	dayLength = 24 * time.Hour
)

// folds gives every row of rows a fold by its customer.
func (s *sample) folds(rows []int, n int, seed uint64) []int {
	out := make([]int, len(rows))
	for k, i := range rows {
		out[k] = int(share(s.users[i], seed^0x666f6c6400) * float64(n))
	}
	return out
}

func (p *plan) check() error {
	if len(p.splits) == 0 {
		return fmt.Errorf("training: no rows are left for the test: there are none")
	}
	return nil
}
