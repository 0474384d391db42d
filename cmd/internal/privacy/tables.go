package privacy

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	driver "github.com/ClickHouse/clickhouse-go/v2"

	"profilestream/profile"
	"profilestream/schemas"
	"profilestream/stream/clickhouse"
)

// Tables removes a user's rows from the databases of the runs: from every table
// with a column user_id, and from those of diverted records, whose values are
// looked at.
//
// No statement holds the id: ClickHouse keeps statements in its log of queries,
// and those that delete next to the table. The id is compared by a hash with a
// salt made for the one statement; diverted rows are named by their positions.
type Tables struct {
	Client *clickhouse.Client
	Base   string // clickhouse.database
}

// table is one table of a run's database.
type table struct {
	run, name string
	columns   []string
}

// Rows are a user's rows by run.
type Rows map[string]int64

func (r Rows) total() (n int64) {
	for _, k := range r {
		n += k
	}
	return n
}

// find lists the tables that may hold users, in the databases of an erasure's runs.
func (t *Tables) find(ctx context.Context, x *Entry) ([]table, error) {
	var out []table
	for _, run := range x.Runs {
		rows, err := t.Client.Conn().Query(ctx, `SELECT table, groupArray(name) FROM system.columns WHERE database = ? AND table IN
			(SELECT name FROM system.tables WHERE database = ? AND engine LIKE '%MergeTree') GROUP BY table
			HAVING has(groupArray(name), 'user_id') OR has(groupArray(name), 'source_offset') AND has(groupArray(name), 'value') ORDER BY table`,
			schemas.Database(t.Base, run), schemas.Database(t.Base, run))
		if err != nil {
			return nil, fmt.Errorf("listing the tables of run %s: %w", run, err)
		}
		for rows.Next() {
			b := table{run: run}
			if err := rows.Scan(&b.name, &b.columns); err != nil {
				return nil, fmt.Errorf("listing the tables of run %s: %w", run, err)
			}
			b.name = schemas.QuoteIdentifier(schemas.Database(t.Base, run)) + "." + schemas.QuoteIdentifier(b.name)
			out = append(out, b)
		}
		if err := rows.Err(); err != nil {
			return nil, fmt.Errorf("listing the tables of run %s: %w", run, err)
		}
	}
	return out, nil
}

// ofUser is the condition that a row is of the user and from before the erasure.
func (b *table) ofUser(user string, x *Entry) string {
	var salt [16]byte
	_, _ = rand.Read(salt[:]) // it never fails
	sum := sha256.Sum256(append(salt[:], user...))
	where := fmt.Sprintf("SHA256(concat(unhex('%x'), toString(user_id))) = unhex('%x')", salt, sum)
	l := x.logOf(b.run)
	if l != nil && l.Offset >= 0 && slices.Contains(b.columns, "log_offset") && slices.Contains(b.columns, "log_partition") {
		where += fmt.Sprintf(" AND log_partition = %d AND log_offset < %d", l.Partition, l.Offset)
	}
	return where
}

// Count counts the user's rows by run.
func (t *Tables) Count(ctx context.Context, user string, x *Entry) (Rows, error) {
	out := Rows{}
	return out, t.each(ctx, x, func(b *table) error {
		if !slices.Contains(b.columns, "user_id") {
			found, err := t.diverted(ctx, b, user, x)
			out[b.run] += int64(len(found))
			return err
		}
		var n uint64
		if err := t.Client.Conn().QueryRow(ctx, "SELECT count() FROM "+b.name+" WHERE "+b.ofUser(user, x)).Scan(&n); err != nil {
			return err
		}
		out[b.run] += int64(n)
		return nil
	})
}

// removeBatch is how many diverted rows one statement removes.
const removeBatch = 1000

// Remove removes the user's rows, and returns when they are off the tables' files.
func (t *Tables) Remove(ctx context.Context, user string, x *Entry) error {
	return t.each(ctx, x, func(b *table) error {
		if slices.Contains(b.columns, "user_id") {
			return t.remove(ctx, b, b.ofUser(user, x))
		}
		found, err := t.diverted(ctx, b, user, x)
		for part := range slices.Chunk(found, removeBatch) {
			if err == nil {
				err = t.remove(ctx, b, "("+position+") IN ("+strings.Join(part, ", ")+")")
			}
		}
		return err
	})
}

func (t *Tables) each(ctx context.Context, x *Entry, fn func(*table) error) error {
	tables, err := t.find(ctx, x)
	if err != nil {
		return err
	}
	for i := range tables {
		if err := fn(&tables[i]); err != nil {
			return fmt.Errorf("looking for the user in %s: %w", tables[i].name, err)
		}
	}
	return nil
}

func (t *Tables) remove(ctx context.Context, b *table, where string) error {
	ctx = driver.Context(ctx, driver.WithSettings(driver.Settings{"mutations_sync": 2}))
	return t.Client.Conn().Exec(ctx, "ALTER TABLE "+b.name+" DELETE WHERE "+where)
}

// position lists the columns that name a diverted row.
const position = "source_topic, source_partition, source_offset, source_epoch"

// diverted finds the diverted rows that name the user, by their positions as SQL
// tuples. Rows of positions behind the erasure are the user's new ones.
func (t *Tables) diverted(ctx context.Context, b *table, user string, x *Entry) ([]string, error) {
	erase, known := x.erase(nil, x.logOf(b.run)), map[place]bool{}
	for _, p := range x.Positions {
		known[place{p.Topic, p.Partition}] = true
	}
	rows, err := t.Client.Conn().Query(ctx, "SELECT key, value, "+position+" FROM "+b.name)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var src profile.Source
		var offset int64
		var key, value string
		if err := rows.Scan(&key, &value, &src.Topic, &src.Partition, &offset, &src.Epoch); err != nil {
			return nil, err
		}
		if known[place{src.Topic, src.Partition}] && !erase.Covers(&src, offset) {
			continue
		}
		if profile.Named([]byte(key), []byte(value), func(id []byte) bool { return string(id) == user }) {
			out = append(out, fmt.Sprintf("(unhex('%s'), %d, %d, %d)", hex.EncodeToString([]byte(src.Topic)), src.Partition, offset, src.Epoch))
		}
	}
	return out, rows.Err()
}
