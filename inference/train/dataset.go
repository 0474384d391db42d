package train

import (
	"fmt"
	"math"
	"sort"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/zeebo/xxh3"

	"profilestream/inference/features"
	"profilestream/inference/score"
	"profilestream/schemas"
)

// Dataset is what the heads learn from. Rows are as of their column as_of; the
// labels of row i, counted through all records in order, come from the time
// after it only.
type Dataset struct {
	Rows  []arrow.Record // of schemas.WindowRows
	Churn []bool         // no purchase in the horizon
	Spend []float64      // purchases less refunds in the horizon, in the currency
	// Horizon is the time that the labels look ahead; 90 days where it is 0.
	Horizon time.Duration
	// Feedback teaches sentiment; without it the bundle has none.
	Feedback []Labelled
	// Catalogue gives the categories of interests; without it there are none.
	Catalogue []Category
}

// Labelled is a text and whether its mood is positive.
type Labelled struct {
	Text     string
	Positive bool
}

// Category is a category of the catalogue and names of some of its products.
type Category struct {
	Name     string
	Products []string
}

// sample is the dataset as the fits read it.
type sample struct {
	n          int
	users      []string
	cutoff     []int64 // as_of in ms
	churn      []float64
	spend      []float64
	tables     []*features.Table
	first      []int // row number of each table's first row
	texts      []string
	embeddings [][]float32
}

func open(d *Dataset, texts score.Texts) (*sample, error) {
	s := &sample{}
	for _, rec := range d.Rows {
		t := new(features.Table)
		if err := t.Bind(rec); err != nil {
			return nil, err
		}
		ids, ok := rec.Column(schemas.ColUserID).(*array.String)
		if !ok {
			return nil, fmt.Errorf("reading window rows: column user_id is %s", rec.Column(schemas.ColUserID).DataType())
		}
		at := rec.Column(schemas.ColAsOf).(*array.Timestamp).TimestampValues()
		if texts != nil {
			if err := texts.Bind(rec); err != nil {
				return nil, err
			}
		}
		s.tables, s.first = append(s.tables, t), append(s.first, s.n)
		for i := range t.Rows() {
			s.users = append(s.users, ids.Value(i))
			s.cutoff = append(s.cutoff, int64(at[i]))
			if texts != nil {
				s.texts = append(s.texts, texts.User(i))
			}
		}
		s.n += t.Rows()
	}
	if len(d.Churn) != s.n || len(d.Spend) != s.n {
		return nil, fmt.Errorf("training: %d rows have %d churn and %d spend labels", s.n, len(d.Churn), len(d.Spend))
	}
	s.churn, s.spend = make([]float64, s.n), make([]float64, s.n)
	for i, c := range d.Churn {
		if c {
			s.churn[i] = 1
		}
		v := d.Spend[i]
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("training: the spend label of row %d is not finite", i)
		}
		s.spend[i] = math.Max(0, v)
	}
	return s, nil
}

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

// pick copies the elements of v at rows.
func pick[T any](v []T, rows []int) []T {
	out := make([]T, len(rows))
	for k, i := range rows {
		out[k] = v[i]
	}
	return out
}
