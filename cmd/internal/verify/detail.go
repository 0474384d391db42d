package verify

import (
	"context"
	"fmt"
	"strings"

	"profilestream/schemas"
)

// named is how many features a difference names.
const named = 3

// describe adds to a difference of content which features differ, and how.
func (v *verification) describe(ctx context.Context, d *Difference) error {
	if !d.content || !d.inA || !d.inB {
		return nil
	}
	a, err := v.values(ctx, v.a, d)
	if err != nil {
		return err
	}
	b, err := v.values(ctx, v.b, d)
	if err != nil {
		return err
	}
	if len(a) == 0 || len(b) == 0 {
		return nil // the row has changed since
	}
	var differ []string
	for i, f := range v.features {
		if a[i] != b[i] {
			differ = append(differ, fmt.Sprintf("%s %s -> %s", f, a[i], b[i]))
		}
	}
	switch n := len(differ); {
	case n == 0 && d.Cause == Content:
		d.Detail += "; all features equal: flags, newest products or feedback differ, or the digest alone"
	case n == 0:
	case n > named:
		d.Detail += fmt.Sprintf("; %s and %d more features", strings.Join(differ[:named], ", "), n-named)
	default:
		d.Detail += "; " + strings.Join(differ, ", ")
	}
	return nil
}

// values reads the features of a row as words.
func (v *verification) values(ctx context.Context, s *side, d *Difference) ([]string, error) {
	columns := make([]string, len(v.features))
	for i, f := range v.features {
		columns[i] = "ifNull(toString(" + schemas.QuoteIdentifier(f) + "), 'NULL')"
	}
	query := fmt.Sprintf("SELECT [%s] FROM %s FINAL WHERE user_id = ?", strings.Join(columns, ", "), s.table(d.Table))
	args := []any{d.User}
	if d.Table == history {
		query += " AND as_of = fromUnixTimestamp64Milli(toInt64(?), 'UTC')"
		args = append(args, d.AsOf.UnixMilli())
	}
	rows, err := v.conn.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	var values []string
	err = each(rows, func() error { return rows.Scan(&values) })
	return values, err
}
