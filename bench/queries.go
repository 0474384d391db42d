package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"profilestream/e2e/queries"
	"profilestream/schemas"
	"profilestream/stream/clickhouse"
)

// queriesLimit is how long a board may wait for one query.
const queriesLimit = time.Second

// prepareQueries fills an engine with 1,000,000 profiles (-users) and thirty
// times as many rows of history, refreshes the summaries, and measures each
// named query of schemas.Queries.
func prepareQueries(s *session) func() []sample {
	ctx, profiles := context.Background(), s.users
	if profiles == 0 {
		profiles = 1_000_000
	}
	db := queries.DB{Addr: s.engine().Addr(), Name: "shop"}
	c, err := clickhouse.Open(clickhouse.Config{Addr: []string{db.Addr}, Database: db.Name, Run: "live", BatchRows: 1, BatchInterval: time.Second})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = c.Close() })
	if _, err := clickhouse.Migrate(ctx, c); err != nil {
		s.Fatal(err)
	}
	done := 0
	err = queries.Fill(ctx, db, profiles, func(share float64) {
		if n := int(10 * share); n > done {
			done = n
			s.progress("queries: %d %% of %d profiles and %d rows of history", 10*n, profiles, profiles*queries.RowsPerProfile)
		}
	})
	if err != nil {
		s.Fatal(err)
	}
	size := fmt.Sprintf("%d profiles, %d day rows, no embeddings", profiles, profiles*queries.RowsPerProfile)
	return func() []sample { return s.askQueries(ctx, db, size) }
}

// askQueries refreshes the summaries one after the other, then asks each query
// three times and keeps the median.
func (s *session) askQueries(ctx context.Context, db queries.DB, size string) []sample {
	var out []sample
	for _, name := range schemas.Summaries {
		start := time.Now()
		for _, verb := range []string{"WAIT", "REFRESH", "WAIT"} {
			if err := db.Do(ctx, "SYSTEM "+verb+" VIEW "+name); err != nil {
				s.Fatalf("refreshing %s: %v", name, err)
			}
		}
		out = append(out, sample{"queries_refresh_" + name, time.Since(start).Seconds(), "s", size})
		s.progress("queries: summary %s refreshed in %.1f s", name, time.Since(start).Seconds())
	}
	all, err := schemas.Queries()
	if err != nil {
		s.Fatal(err)
	}
	slow := 0
	for _, q := range all {
		var seconds []float64
		var a queries.Answer
		for range 3 {
			if a, err = db.Ask(ctx, q, map[string]string{"user": "customer-0000007", "prefix": "customer-00012"}); err != nil {
				s.Fatal(err)
			}
			seconds = append(seconds, a.Seconds)
		}
		middle, _ := median(seconds)
		if middle > queriesLimit.Seconds() {
			slow++
		}
		s.progress("%-30s %7.3f s (%s) %6d rows, read %9d rows, %7.1f MB", q.Name, middle, strings.Join(texts(seconds), ", "), len(a.Rows), a.RowsRead, float64(a.BytesRead)/1e6)
		out = append(out, sample{"queries_" + q.Name, middle, "s", fmt.Sprintf("%s; %.1f MB read", size, float64(a.BytesRead)/1e6)})
	}
	return append(out, sample{"queries_over_a_second", float64(slow), "queries", fmt.Sprintf("of %d; %s", len(all), size)})
}

func texts(values []float64) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = fmt.Sprintf("%.3f", v)
	}
	return out
}
