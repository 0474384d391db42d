package demo

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"profilestream/cmd/internal/stage"
	"profilestream/stream/clickhouse"
)

// query is one table that the demo prints.
type query struct{ title, sql string }

var queries = []query{
	{"Valuable customers most at risk: expected loss = churn probability x expected value", `
SELECT user_id AS customer, toString(round(churn_probability, 2)) AS churn, churn_band AS band, toString(round(value_expected, 2)) AS value_90d,
       toString(round(churn_probability * value_expected, 2)) AS at_risk, toString(days_since_last_order) AS days_since_order,
       arrayStringConcat(arrayMap(r -> r.1, arraySlice(reasons, 1, 2)), ', ') AS because
FROM {db}.profiles_latest WHERE orders_total > 0 AND NOT has(flags, 'bot')
ORDER BY churn_probability * value_expected DESC, user_id LIMIT 8`},
	{"Most valuable customers", `
SELECT user_id AS customer, toString(round(value_expected, 2)) AS value_90d, toString(round(churn_probability, 2)) AS churn, toString(orders_total) AS orders,
       toString(revenue_total) AS revenue, arrayStringConcat(arraySlice(mapKeys(interests), 1, 3), ', ') AS interests
FROM {db}.profiles_latest WHERE NOT has(flags, 'bot') ORDER BY value_expected DESC, user_id LIMIT 8`},
	{"Nothing is lost: what became of every record", `
SELECT source_topic AS source, toString(sum(records)) AS records, toString(sum(applied)) AS applied, toString(sum(duplicates)) AS duplicates,
       toString(sum(late)) AS late, toString(sum(dead_lettered)) AS dead_lettered
FROM {db}.accounting GROUP BY source_topic ORDER BY source_topic`},
}

// tables prints the demo's tables from ClickHouse.
func (d *demo) tables(ctx context.Context) error {
	c, err := stage.ClickHouse(d.cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := clickhouse.RefreshSummaries(ctx, c, d.cfg.Database()); err != nil {
		return err
	}
	for _, q := range queries {
		rows, err := c.Conn().Query(ctx, strings.ReplaceAll(q.sql, "{db}", d.cfg.Database()))
		if err != nil {
			return fmt.Errorf("%s: %w", q.title, err)
		}
		fmt.Fprintf(d.o.Out, "\n%s\n", q.title)
		t := tabwriter.NewWriter(d.o.Out, 0, 4, 2, ' ', 0)
		for _, name := range rows.Columns() {
			fmt.Fprintf(t, "%s\t", name)
		}
		fmt.Fprintln(t)
		n := 0
		for ; rows.Next(); n++ {
			values := make([]string, len(rows.Columns()))
			into := make([]any, len(values))
			for i := range values {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				return fmt.Errorf("%s: %w", q.title, err)
			}
			for _, v := range values {
				fmt.Fprintf(t, "%s\t", v)
			}
			fmt.Fprintln(t)
		}
		if err := rows.Err(); err != nil {
			return fmt.Errorf("%s: %w", q.title, err)
		}
		if err := t.Flush(); err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("%s: ClickHouse holds no such rows", q.title)
		}
	}
	return nil
}
