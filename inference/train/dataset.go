package train

import (
	"fmt"
	"math"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"profilestream/inference/features"
	"profilestream/inference/heads"
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
	// Groups cut the rows into groups that the report looks at one by one: the name
	// of a dimension, such as country, to the group of each row.
	Groups map[string][]string
	// Category is that of each row's next purchase in the horizon, "" if none, and
	// Bought what its customer had bought before it; without them there is no head
	// for the next category.
	Category []string
	Bought   [][]Count
	// Returns label purchases within some days, which rise.
	Returns []Return
	// Latent, where the customers are simulated, is what they are judged against.
	Latent *Latent
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
	groups     map[string][]string
	moods      [][heads.NumMoods]float32 // inputs of each row; nil without a head for sentiment
	tasks      *tasks                    // nil: churn and spend alone
}

func open(d *Dataset, texts score.Texts) (*sample, error) {
	s := &sample{groups: d.Groups}
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
	if err := checkGroups(d.Groups, s.n); err != nil {
		return nil, err
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

// pick copies the elements of v at rows.
func pick[T any](v []T, rows []int) []T {
	out := make([]T, len(rows))
	for k, i := range rows {
		out[k] = v[i]
	}
	return out
}
