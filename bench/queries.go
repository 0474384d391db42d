package main

import (
	"context"
	"fmt"
	"time"

	"profilestream/e2e/queries"
	"profilestream/schemas"
	"profilestream/stream/clickhouse"
)

// queriesLimit is how long a board may wait for one query.
const queriesLimit = time.Second

// boards are a shop in an engine, and what is asked of it.
type boards struct {
	*session
	ctx  context.Context
	db   queries.DB
	c    *clickhouse.Client
	size string // of the shop, for the notes
	out  []sample
	slow int // questions over the limit
	all  int
}

// prepareQueries fills an engine with 1,000,000 profiles (-users) and thirty
// times as many rows of history. A run refreshes the summaries, asks each named
// query of schemas.Queries, and then the console for its pages.
func prepareQueries(s *session) func() []sample {
	profiles := s.users
	if profiles == 0 {
		profiles = 1_000_000
	}
	b := &boards{session: s, ctx: context.Background(), db: queries.DB{Addr: s.engine().Addr(), Name: "shop"},
		size: fmt.Sprintf("%d profiles, %d day rows, no embeddings", profiles, profiles*queries.RowsPerProfile)}
	var err error
	b.c, err = clickhouse.Open(clickhouse.Config{Addr: []string{b.db.Addr}, Database: b.db.Name, Run: schemas.BaseRun, BatchRows: 1, BatchInterval: time.Second})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = b.c.Close() })
	if _, err := clickhouse.Migrate(b.ctx, b.c); err != nil {
		s.Fatal(err)
	}
	// No refresh may begin beside what is measured.
	b.do("ALTER TABLE " + schemas.Summaries[0] + " MODIFY REFRESH AFTER 1 YEAR")
	switch kept := b.one("SELECT toUInt32(count()) FROM profiles_latest"); kept {
	case 0.0:
		b.fill(profiles)
	case float64(profiles):
	default:
		s.Fatalf("the shop in %s has %v profiles, not %d", s.shop, kept, profiles)
	}
	b.settle()
	s.progress("queries: %s", b.describe())
	return func() []sample {
		b.out, b.slow, b.all = nil, 0, 0
		b.refresh()
		b.ask()
		b.pages()
		return append(b.out, sample{"queries_over_a_second", float64(b.slow), "queries", fmt.Sprintf("of %d; %s", b.all, b.size)})
	}
}

func (b *boards) fill(profiles int) {
	done := 0
	var err error
	peak := b.engine().PeakBytesOf(b, func() {
		err = queries.Fill(b.ctx, b.db, profiles, func(share float64) {
			if n := int(10 * share); n > done {
				done = n
				b.progress("queries: %d %% of %s", 10*n, b.size)
			}
		})
	})
	if err != nil {
		b.Fatal(err)
	}
	b.progress("queries: %d MiB resident at most while filling", peak>>20)
}

func (b *boards) do(statement string) {
	if err := b.db.Do(b.ctx, statement); err != nil {
		b.Fatalf("%s: %v", statement, err)
	}
}

// one is the answer to a statement with one value.
func (b *boards) one(sql string) any {
	a, err := b.db.Ask(b.ctx, schemas.Query{Name: "the engine about itself", SQL: sql}, nil)
	if err != nil || len(a.Rows) != 1 {
		b.Fatalf("%d rows, %v", len(a.Rows), err)
	}
	return a.Rows[0][0]
}

// settle waits until the engine merges no more, as it does after some hours of a
// day: what is measured is then the questions alone.
func (b *boards) settle() {
	for quiet := 0; quiet < 5; time.Sleep(time.Second) {
		if quiet++; b.one("SELECT toUInt32(count()) FROM system.merges") != 0.0 {
			quiet = 0
		}
	}
}

func (b *boards) describe() string {
	return fmt.Sprint(b.one(`SELECT arrayStringConcat(groupArray(t), '; ') FROM (SELECT table || ' ' || toString(sum(rows)) || ' rows in ' || toString(count()) || ' parts, '
		|| formatReadableSize(sum(bytes_on_disk)) AS t FROM system.parts WHERE active AND database = currentDatabase() AND table IN ('profiles', 'profile_history') GROUP BY table ORDER BY table)`))
}

// spent is how long f takes, and the engine's processor time meanwhile.
func (b *boards) spent(f func() error) (seconds, cpu float64) {
	cpu = b.engine().CPUSeconds(b)
	start := time.Now()
	if err := f(); err != nil {
		b.Fatal(err)
	}
	return time.Since(start).Seconds(), b.engine().CPUSeconds(b) - cpu
}

// refresh fills the summaries anew, one after the other as the server does.
func (b *boards) refresh() {
	var seconds, cpu float64
	peak := b.engine().PeakBytesOf(b, func() {
		seconds, cpu = b.spent(func() error { return clickhouse.RefreshSummaries(b.ctx, b.c, b.db.Name) })
	})
	b.progress("refresh of the summaries: %.1f s, %.1f CPU s, %d MiB resident at most, load %s", seconds, cpu, peak>>20, load())
	b.out = append(b.out, sample{"queries_refresh", seconds, "s", fmt.Sprintf("%s; %.1f CPU s, %d MiB resident at most", b.size, cpu, peak>>20)})
	for _, name := range schemas.Summaries {
		millis := b.one("SELECT toFloat64(last_success_duration_ms) FROM system.view_refreshes WHERE database = currentDatabase() AND view = '" + name + "'").(float64)
		b.progress("of these %-13s %6.1f s", name, millis/1000)
		b.out = append(b.out, sample{"queries_refresh_" + name, millis / 1000, "s", b.size})
	}
}

// asked measures a question three times and keeps the median; limited ones count if they are over the limit. f returns
// what was read and came of it.
func (b *boards) asked(name string, limited bool, f func() (queries.Answer, error)) {
	const times = 3
	var a queries.Answer
	seconds := make([]float64, times)
	_, cpu := b.spent(func() (err error) {
		for i := range seconds {
			start := time.Now()
			if a, err = f(); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			seconds[i] = time.Since(start).Seconds()
		}
		return nil
	})
	middle, _ := median(seconds)
	if b.all++; limited && middle > queriesLimit.Seconds() {
		b.slow++
	}
	read := float64(a.BytesRead) / 1e6
	b.progress("%-30s %6.2f s (%.2f to %.2f), %5.2f CPU s, %6d rows, read %9d rows, %7.1f MB, load %s", name, middle, quantile(seconds, 0), quantile(seconds, 1), cpu/times,
		len(a.Rows), a.RowsRead, read, load())
	b.out = append(b.out, sample{"queries_" + name, middle, "s", fmt.Sprintf("%s; %.2f CPU s, %.1f MB read", b.size, cpu/times, read)})
}

// ask asks each named query.
func (b *boards) ask() {
	all, err := schemas.Queries()
	if err != nil {
		b.Fatal(err)
	}
	for _, q := range all {
		b.asked(q.Name, true, func() (queries.Answer, error) {
			return b.db.Ask(b.ctx, q, map[string]string{"user": "customer-0000007", "prefix": "customer-00012"})
		})
	}
}
