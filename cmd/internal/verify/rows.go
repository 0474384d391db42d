package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// row is what is compared of a row; features stand for their hash.
type row struct {
	User            string
	AsOf            time.Time
	Digest, Content uint64
	Model, Config   string
	Degraded        bool
	Churn, Value    float32
	ChurnBand       string
	ValueBand       string
	Sentiment       float32 // -9: NULL
	Categories      []string
	Weights         []float32
	Features        []string
	Effects         []float32
	LogOffset       int64
	table           string
}

// stream reads a chunk's rows in the order of their keys.
type stream struct {
	rows driver.Rows
	at   row
	more bool
}

func (v *verification) open(ctx context.Context, s *side, c chunk) (*stream, error) {
	query := fmt.Sprintf(`SELECT user_id, as_of, digest, %s, toString(model_version), toString(config_version), degraded, churn_probability, value_expected,
		toString(churn_band), toString(value_band), assumeNotNull(ifNull(sentiment, -9)), mapKeys(interests), mapValues(interests),
		arrayMap(r -> r.1, reasons), arrayMap(r -> r.2, reasons), log_offset
		FROM %s FINAL WHERE %s ORDER BY user_id, as_of`, v.contentHash(s), s.table(c.table), v.where(c))
	rows, err := v.conn.Query(ctx, query+reading)
	if err != nil {
		return nil, err
	}
	return &stream{rows: rows, at: row{table: c.table}}, nil
}

// next moves to the next row.
func (s *stream) next() error {
	if s.more = s.rows.Next(); !s.more {
		return s.rows.Err()
	}
	r := &s.at
	return s.rows.Scan(&r.User, &r.AsOf, &r.Digest, &r.Content, &r.Model, &r.Config, &r.Degraded, &r.Churn, &r.Value,
		&r.ChurnBand, &r.ValueBand, &r.Sentiment, &r.Categories, &r.Weights, &r.Features, &r.Effects, &r.LogOffset)
}

// rows merges both sides of a chunk by key and notes what differs.
func (v *verification) rows(ctx context.Context, c chunk, total int) error {
	a, err := v.open(ctx, v.a, c)
	if err != nil {
		return err
	}
	defer a.rows.Close()
	b, err := v.open(ctx, v.b, c)
	if err != nil {
		return err
	}
	defer b.rows.Close()
	if err := errors.Join(a.next(), b.next()); err != nil {
		return err
	}
	stage := c.String()
	for done := 0; a.more || b.more; done++ {
		if done%4096 == 0 {
			v.Progress(stage, done, total)
		}
		left, right := a.more, b.more
		if left && right {
			k := c.compare(&a.at, &b.at)
			left, right = k <= 0, k >= 0
		}
		if err := v.pair(ctx, one(left, &a.at), one(right, &b.at)); err != nil {
			return err
		}
		if left {
			err = a.next()
		}
		if right && err == nil {
			err = b.next()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func one(there bool, r *row) *row {
	if there {
		return r
	}
	return nil
}

// String names what is read.
func (c chunk) String() string {
	if c.month == 0 {
		return "reading latest rows"
	}
	return fmt.Sprintf("reading days of %04d-%02d", c.month/100, c.month%100)
}

// compare orders rows by the table's key.
func (c chunk) compare(a, b *row) int {
	if k := cmp.Compare(a.User, b.User); k != 0 || c.table == profiles {
		return k
	}
	return a.AsOf.Compare(b.AsOf)
}

// sameContent says that digests and features are equal.
func sameContent(a, b *row) bool { return a.Digest == b.Digest && a.Content == b.Content }

// sameScores says that scores lie within Tolerance of each other. Bands follow
// from the scores: at equal scores they must be equal.
func sameScores(a, b *row) bool {
	switch {
	case !near(a.Churn, b.Churn, 1) || !near(a.Value, b.Value, math.Abs(float64(a.Value))) || !near(a.Sentiment, b.Sentiment, 1):
		return false
	case a.Churn == b.Churn && a.ChurnBand != b.ChurnBand, a.Value == b.Value && a.ValueBand != b.ValueBand:
		return false
	}
	return sameWeights(a.Categories, a.Weights, b.Categories, b.Weights) && sameWeights(a.Features, a.Effects, b.Features, b.Effects)
}

func near(a, b float32, scale float64) bool {
	return math.Abs(float64(a)-float64(b)) <= Tolerance*max(1, scale)
}

// sameWeights compares what both lists name. The lists are cut at a length: at a
// tie one may hold another name, of a weight no larger than its smallest.
func sameWeights(namesA []string, a []float32, namesB []string, b []float32) bool {
	if len(a) != len(b) {
		return false
	}
	other := make(map[string]float32, len(b))
	for i, name := range namesB {
		other[name] = b[i]
	}
	smallest := math.Inf(1)
	for _, w := range b {
		smallest = min(smallest, math.Abs(float64(w)))
	}
	for i, name := range namesA {
		w, ok := other[name]
		if ok && !near(a[i], w, 1) || !ok && math.Abs(float64(a[i])) > smallest+Tolerance {
			return false
		}
	}
	return true
}
