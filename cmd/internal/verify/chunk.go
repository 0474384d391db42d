package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"profilestream/schemas"
)

// chunk is a table, or a month of it as YYYYMM.
type chunk struct {
	table string
	month uint32
}

// summary tells whether two chunks are equal, but for hash collisions of 64
// bits: row hashes are summed up, so their order does not matter.
type summary struct {
	rows, days, content, scores uint64
}

// reading bounds a query's memory and merges row versions month by month.
const reading = " SETTINGS do_not_merge_across_partitions_select_final = 1, max_bytes_before_external_sort = 268435456, max_bytes_before_external_group_by = 268435456"

// where selects a chunk within the period asked for.
func (v *verification) where(c chunk) string {
	conditions := []string{"1"}
	if c.month != 0 {
		conditions = append(conditions, fmt.Sprintf("toYYYYMM(as_of) = %d", c.month))
	}
	return strings.Join(append(conditions, v.period()...), " AND ")
}

func (v *verification) period() (conditions []string) {
	if !v.From.IsZero() {
		conditions = append(conditions, fmt.Sprintf("as_of >= fromUnixTimestamp64Milli(toInt64(%d), 'UTC')", v.From.UnixMilli()))
	}
	if !v.To.IsZero() {
		conditions = append(conditions, fmt.Sprintf("as_of <= fromUnixTimestamp64Milli(toInt64(%d), 'UTC')", v.To.UnixMilli()))
	}
	return conditions
}

// months lists the months that either side has rows of.
func (v *verification) months(ctx context.Context) ([]uint32, error) {
	var months []uint32
	for _, s := range []*side{v.a, v.b} {
		rows, err := v.conn.Query(ctx, "SELECT DISTINCT toYYYYMM(as_of) FROM "+s.table(history)+" WHERE "+v.where(chunk{history, 0}))
		if err != nil {
			return nil, err
		}
		err = each(rows, func() error {
			var m uint32
			err := rows.Scan(&m)
			months = append(months, m)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(months)
	return slices.Compact(months), nil
}

// both counts the distinct users of a table on each side.
func (v *verification) both(ctx context.Context, table string) (a, b uint64, err error) {
	count := func(s *side) (n uint64, err error) {
		err = v.conn.QueryRow(ctx, "SELECT uniqExact(user_id) FROM "+s.table(table)+" WHERE "+v.where(chunk{table, 0})).Scan(&n)
		return n, err
	}
	if a, err = count(v.a); err == nil {
		b, err = count(v.b)
	}
	return a, b, err
}

// summarise hashes a chunk in ClickHouse.
func (v *verification) summarise(ctx context.Context, s *side, c chunk) (m summary, err error) {
	query := fmt.Sprintf("SELECT count(), uniqExact(as_of), sum(%s), sum(%s) FROM %s FINAL WHERE %s", v.contentHash(s), scoreHash, s.table(c.table), v.where(c))
	err = v.conn.QueryRow(ctx, query+reading).Scan(&m.rows, &m.days, &m.content, &m.scores)
	return m, err
}

// contentHash is the hash of a row's digest and features.
func (v *verification) contentHash(s *side) string {
	columns := []string{"user_id", "as_of", "digest", "flags"}
	for _, f := range v.features {
		columns = append(columns, s.present(f))
	}
	return "cityHash64(" + strings.Join(columns, ", ") + ")"
}

// scoreHash is that of the scores and what made them, bit by bit.
const scoreHash = "cityHash64(user_id, as_of, toString(model_version), degraded, churn_probability, value_expected, toString(churn_band), toString(value_band), " +
	"ifNull(sentiment, -9), mapKeys(interests), mapValues(interests), reasons)"

// Columns lists the columns that Compare compares besides the features.
func Columns() []string {
	return []string{"user_id", "as_of", "digest", "flags", "churn_probability", "churn_band", "value_expected", "value_band", "interests", "sentiment", "reasons", "degraded", "model_version"}
}

// NotCompared lists the columns that it leaves out.
func NotCompared() (names []string) {
	for _, name := range schemas.RowFrame() {
		if !slices.Contains(Columns(), name) {
			names = append(names, name)
		}
	}
	return names
}
