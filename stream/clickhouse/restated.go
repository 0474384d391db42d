package clickhouse

import (
	"context"
	"fmt"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"profilestream/schemas"
)

// ledger keeps what corrections of day rows replace, in the table of
// restatements: every correction and the row before the first one.
//
// Order of effects: the ledger is acknowledged before the block of day rows is
// sent. So profile_history never holds a correction whose forerunner is neither
// in the ledger nor was ever there; a crash at any place and a repeat, in
// whatever blocks, write the same rows of the same keys again. Say the sink ends
// after the ledger and before the block: the next one reads the same messages,
// and the row replaced is still in profile_history. Say it ends after the block:
// that row may be merged away, and is in the ledger.
type ledger struct {
	*lane
	from string // profile_history, quoted
}

func newLedger(w *Writer) *ledger {
	db := w.cfg.RunDatabase()
	return &ledger{
		lane: newLane(w, newTable(db, TableRestatements, schemas.ScoredRows, restatementColumns(), -1)),
		from: schemas.QuoteIdentifier(db) + "." + schemas.QuoteIdentifier(TableHistory),
	}
}

// restatementColumns are the columns of profile_history but the embedding.
func restatementColumns() (cols []column) {
	for _, c := range rowColumns(false) {
		if c.name != "embedding" {
			cols = append(cols, c)
		}
	}
	return cols
}

// rowKey is the key of a day row.
type rowKey struct {
	user string
	asOf arrow.Timestamp
}

// span bounds the corrections of a block.
type span struct {
	asOf       [2]arrow.Timestamp
	version    [2]uint64
	partitions map[int32]bool
}

// keep writes the corrections of a block of day rows and what they replace, in
// the block itself and in profile_history.
func (l *ledger) keep(ctx context.Context, chunks []chunk) error {
	keys, s := corrections(chunks)
	if len(keys) == 0 {
		return nil
	}
	rows := ofKeys(chunks, keys)
	rejected, err := l.writeChunks(ctx, rows, 0)
	releaseAll(rows)
	for _, r := range rejected {
		r.Record.Release() // profile_history refuses it too, and diverts it
	}
	if err == nil {
		err = l.w.deliver(ctx, l.table, &encoded{statement: l.replaced(s)})
	}
	if err != nil {
		return fmt.Errorf("keeping what %d corrections replace: %w", len(keys), err)
	}
	return nil
}

// replaced copies the rows that were no corrections, of the keys that the ledger
// has corrections of, from profile_history. No user id is in the statement:
// ClickHouse keeps those.
func (l *ledger) replaced(s span) string {
	var names, partitions []string
	for _, c := range l.table.columns {
		names = append(names, schemas.QuoteIdentifier(c.name))
	}
	for p := range s.partitions {
		partitions = append(partitions, fmt.Sprint(p))
	}
	days := fmt.Sprintf("as_of BETWEEN fromUnixTimestamp64Milli(toInt64(%d), 'UTC') AND fromUnixTimestamp64Milli(toInt64(%d), 'UTC')", s.asOf[0], s.asOf[1])
	target, _, _ := strings.Cut(strings.TrimPrefix(l.table.insert, "INSERT INTO "), " (")
	return fmt.Sprintf(`%s SELECT %s FROM %s WHERE %s AND trigger != 'correction' AND (user_id, as_of) IN (
		SELECT user_id, as_of FROM %s WHERE %s AND trigger = 'correction' AND row_version BETWEEN %d AND %d AND log_partition IN (%s))`,
		l.table.insert, strings.Join(names, ", "), l.from, days, target, days, s.version[0], s.version[1], strings.Join(partitions, ", "))
}

// corrections finds the keys that a block corrects.
func corrections(chunks []chunk) (map[rowKey]bool, span) {
	keys, s := map[rowKey]bool{}, span{partitions: map[int32]bool{}}
	for _, c := range chunks {
		triggers, ok := c.rec.Column(schemas.ColTrigger).(*array.Uint8)
		if !ok {
			continue // the block's encoding says so
		}
		for i, t := range triggers.Uint8Values() {
			if t == schemas.TriggerCorrection {
				s.note(c, i, len(keys) == 0)
				keys[keyOf(c, i)] = true
			}
		}
	}
	return keys, s
}

func (s *span) note(c chunk, i int, first bool) {
	asOf := c.rec.Column(schemas.ColAsOf).(*array.Timestamp).Value(i)
	v := RowVersion(c.rec.Column(schemas.ColVersion).(*array.Int64).Value(i), c.meta.Promotion, c.rec.Column(schemas.ColDegraded).(*array.Boolean).Value(i))
	if first {
		s.asOf, s.version = [2]arrow.Timestamp{asOf, asOf}, [2]uint64{v, v}
	}
	s.asOf = [2]arrow.Timestamp{min(s.asOf[0], asOf), max(s.asOf[1], asOf)}
	s.version = [2]uint64{min(s.version[0], v), max(s.version[1], v)}
	s.partitions[c.rec.Column(schemas.ColLogPartition).(*array.Int32).Value(i)] = true
}

func keyOf(c chunk, i int) rowKey {
	return rowKey{c.rec.Column(schemas.ColUserID).(*array.String).Value(i), c.rec.Column(schemas.ColAsOf).(*array.Timestamp).Value(i)}
}

// ofKeys cuts out the rows of some keys. The parts hold references of their own.
func ofKeys(chunks []chunk, keys map[rowKey]bool) []chunk {
	var out []chunk
	for _, c := range chunks {
		for from, n := 0, c.rows(); from < n; {
			if !keys[keyOf(c, from)] {
				from++
				continue
			}
			to := from + 1
			for to < n && keys[keyOf(c, to)] {
				to++
			}
			out = append(out, chunk{c.rec.NewSlice(int64(from), int64(to)), c.meta})
			from = to
		}
	}
	return out
}
