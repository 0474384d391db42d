package queries

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"regexp"
	"strings"
	"text/template"
)

//go:embed state.sql
var stateSQL string

// state renders SELECT of the customers' state on a day; its columns have the
// names of the tables' columns.
var state = template.Must(template.New("state").Parse(stateSQL))

const (
	weeks    = 40  // of history
	lastDay  = 279 // counted from the first Monday, 2025-05-26
	joinDays = 140 // within the first of these each customer is first seen
)

// RowsPerProfile is the mean number of day rows of a customer: one in each week
// from joining on.
const RowsPerProfile = weeks - joinDays/14

// slice is a part of the customers on their day of a week.
type slice struct {
	Day          string // SQL, of the customer's number
	First, Count int
	Where        string
}

// Fill inserts a made-up shop of that many customers into the tables of an
// empty, migrated database: profiles, and RowsPerProfile times as many rows of
// history, without embeddings. A twentieth of the profiles and some of the
// history come twice, as corrections do, and count once. Parts stay as
// ClickHouse's merges leave them. progress is told the share that is done.
func Fill(ctx context.Context, db DB, profiles int, progress func(share float64)) error {
	type insert struct {
		table string
		slice slice
	}
	var inserts []insert
	day := func(week int) string { return fmt.Sprintf("%d + cityHash64(number) %% 7", 7*week) }
	for week := range weeks {
		inserts = append(inserts, insert{"profile_history", slice{day(week), 0, profiles, ""}})
	}
	for week := 0; week < weeks; week += 4 {
		inserts = append(inserts, insert{"profile_history", slice{day(week), 0, profiles, "u % 50 = 7"}})
	}
	const blocks = 10
	today := fmt.Sprint(lastDay)
	for b := range blocks {
		first := b * profiles / blocks
		inserts = append(inserts, insert{"profiles", slice{today, first, (b+1)*profiles/blocks - first, ""}})
	}
	inserts = append(inserts, insert{"profiles", slice{today, 0, profiles, "u % 20 = 3"}})
	for i, in := range inserts {
		statement, err := in.slice.insert(in.table)
		if err != nil {
			return err
		}
		if err := db.Do(ctx, statement); err != nil {
			return fmt.Errorf("filling %s: %w", in.table, err)
		}
		progress(float64(i+1) / float64(len(inserts)))
	}
	tenth := fmt.Sprintf("(%d)", profiles/10)
	for _, statement := range []string{books, deadLetters + tenth, lateEvents + tenth, drift, quality, moves} {
		if err := db.Do(ctx, statement); err != nil {
			return fmt.Errorf("filling the books and what is known of the models: %w", err)
		}
	}
	return nil
}

// The books of 16 source partitions by 8 log partitions, and a tenth as many
// dead letters and late events as there are profiles.
const (
	books = `INSERT INTO accounting_rows (source_topic, source_partition, log_partition, row_version, records, rejected, applied, duplicates, late, hot, watermark)
SELECT ['clickstream', 'purchases'][1 + number % 2], intDiv(number, 2) % 8, intDiv(number, 16), 1, 8000000, 80000, 980000, 8000, 2000, 0, '2026-03-01 23:59:59.999'
FROM numbers(128)`
	deadLetters = `INSERT INTO bad_event_rows (source_topic, source_partition, source_offset, reason, field, value, kafka_timestamp, row_version)
SELECT ['clickstream', 'purchases'][1 + number % 2], number % 8, number, ['bad_json', 'missing_field', 'bad_time', 'bad_amount'][1 + number % 4],
    ['', 'user_id', 'ts', 'total'][1 + number % 4], '{"made": "up"}', toDateTime64('2026-03-01 10:00:00', 3, 'UTC') - INTERVAL number % 86400 * 30 SECOND, number
FROM numbers`
	lateEvents = `INSERT INTO late_event_rows (source_topic, source_partition, source_offset, reason, value, kafka_timestamp, row_version)
SELECT 'clickstream', number % 8, number, 'late', '{"made": "up"}', toDateTime64('2026-03-01 10:00:00', 3, 'UTC') - INTERVAL number % 86400 * 30 SECOND, number
FROM numbers`
)

// What profilectl works out about the models of state.sql: a drift of each number of
// a profile on each day, the quality of each week whose horizon has passed, and 30
// days of a candidate's moves between bands.
const (
	models = "arrayJoin(['spring-1/f32', 'autumn-2/f32', 'winter-3/f32'])"
	drift  = `INSERT INTO drift_rows (day, model_version, name, psi, rows, edges, expected, actual)
SELECT toDate('2025-05-26') + number, ` + models + ` AS model, name, cityHash64(number, name, model) % 300 / 1000, 300000, range(9), arrayResize([0.1], 11, 0.1), arrayResize([0.2], 11, 0.08)
FROM numbers(280) AS days CROSS JOIN (SELECT name FROM system.columns WHERE database = currentDatabase() AND table = 'profiles' AND match(type, 'Int64|Float|Decimal')) AS features`
	quality = `INSERT INTO model_quality_rows (week, model_version, horizon_days, rows, churned, mean_probability, roc_auc, brier, ece, mean_value, mean_spent)
SELECT toDate('2025-05-26') + 7 * number, ` + models + `, 90, 300000, 120000, 0.41, 0.7 + number % 9 / 100, 0.18, 0.03, 42, 40
FROM numbers(27)`
	moves = `INSERT INTO shadow_move_rows (candidate, current, day, kind, from_band, to_band, users, churn_current, churn_candidate, value_current, value_candidate)
WITH ['low', 'medium', 'high'] AS churn, ['low', 'mid', 'high'] AS value,
    arrayMap(i -> churn[1 + intDiv(i, 3)] || ' ' || value[1 + i % 3], range(9)) AS both,
    arrayJoin([('churn_band', churn), ('value_band', value), ('segment', both)]) AS part, part.1 AS kind, part.2 AS bands
SELECT 'spring-4', 'winter-3', toDate('2026-02-01') + number, kind, arrayJoin(bands) AS from_band, arrayJoin(arrayReverse(bands)) AS to_band,
    if(from_band = to_band, 90000, 2000) AS n, n * 0.4, n * 0.42, n * 50, n * 49
FROM numbers(29)`
)

var alias = regexp.MustCompile(` AS (\w+)`)

// insert renders the statement that fills a table with a slice.
func (s slice) insert(table string) (string, error) {
	var b bytes.Buffer
	if err := state.Execute(&b, s); err != nil {
		return "", fmt.Errorf("rendering state.sql: %w", err)
	}
	_, columns, _ := strings.Cut(b.String(), "\nSELECT")
	columns, _, _ = strings.Cut(columns, "\nFROM")
	var names []string
	for _, m := range alias.FindAllStringSubmatch(columns, -1) {
		names = append(names, m[1])
	}
	// A larger block of all columns does not fit the memory that the engine gives one statement; no key comes twice in one.
	return "INSERT INTO " + table + " (" + strings.Join(names, ", ") + ") SETTINGS min_insert_block_size_rows = 60000, optimize_on_insert = 0\n" + b.String(), nil
}
