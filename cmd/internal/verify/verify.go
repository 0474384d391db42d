package verify

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"golang.org/x/sync/errgroup"
)

// Tolerance is how far scores may lie apart at an equal model_version: the
// probability, sentiment, weights and effects absolutely, expected value
// relative to it where it is above 1.
const Tolerance = 1e-4

// Options say what is compared.
type Options struct {
	A, B Run
	// From and To bound as_of, inclusive; zero: open. With a To latest rows are
	// not compared: they are of now.
	From, To time.Time
	// Shown is how many differences are described; 0: 10.
	Shown int
	// Progress is called with what is at work; may be nil.
	Progress func(stage string, done, total int)
}

// Run is a run's name, for people, and its database.
type Run struct {
	Name     string `json:"name"`
	Database string `json:"database"`
}

// Part is what was compared of a table.
type Part struct {
	Table string `json:"table"`
	RowsA uint64 `json:"rows_a"`
	RowsB uint64 `json:"rows_b"`
	// UsersA and DaysA count distinct users and as_of of A; B's alike.
	UsersA uint64 `json:"users_a"`
	UsersB uint64 `json:"users_b"`
	DaysA  uint64 `json:"days_a"`
	DaysB  uint64 `json:"days_b"`
}

// Report is the outcome.
type Report struct {
	A     Run    `json:"a"`
	B     Run    `json:"b"`
	Parts []Part `json:"compared"`
	// Features is how many feature columns both sides have.
	Features int `json:"features"`
	// Rows counts the differing rows by cause.
	Rows map[Cause]uint64 `json:"differing_rows"`
	// First are the first differences, by day and user, of each cause at least
	// one.
	First []Difference `json:"first_differences"`
	// OtherModel counts rows that another model_version scored the same.
	OtherModel uint64 `json:"rows_of_other_model_scored_the_same"`
	// Schema names feature columns that the sides do not share.
	Schema []string `json:"unshared_features,omitempty"`
}

// Equal says that nothing differs.
func (r *Report) Equal() bool { return len(r.Rows) == 0 && len(r.Schema) == 0 }

// verification is one comparison at work.
type verification struct {
	Options
	conn     driver.Conn
	a, b     *side
	features []string
	report   *Report
	late     map[string]lateEvent // of one side alone, by user; nil: not read yet
	first    firsts
}

// Compare compares the tables of two runs. Errors are ClickHouse's, or say which
// database is not a run's.
func Compare(ctx context.Context, conn driver.Conn, o Options) (*Report, error) {
	if o.Shown <= 0 {
		o.Shown = 10
	}
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	v := &verification{Options: o, conn: conn, report: &Report{A: o.A, B: o.B, Rows: map[Cause]uint64{}}, first: firsts{shown: o.Shown, of: map[Cause][]Difference{}}}
	var err error
	if v.a, err = openSide(ctx, conn, o.A); err != nil {
		return nil, err
	}
	if v.b, err = openSide(ctx, conn, o.B); err != nil {
		return nil, err
	}
	v.features, v.report.Schema = shared(v.a, v.b)
	v.report.Features = len(v.features)
	if err := v.days(ctx); err != nil {
		return nil, err
	}
	if o.To.IsZero() {
		if err := v.latest(ctx); err != nil {
			return nil, err
		}
	}
	v.report.First = v.first.all()
	for i := range v.report.First {
		if err := v.describe(ctx, &v.report.First[i]); err != nil {
			return nil, err
		}
	}
	return v.report, nil
}

// days compares profile_history month by month.
func (v *verification) days(ctx context.Context) error {
	months, err := v.months(ctx)
	if err != nil {
		return err
	}
	part := Part{Table: history}
	if part.UsersA, part.UsersB, err = v.both(ctx, history); err != nil {
		return err
	}
	for i, m := range months {
		v.Progress("comparing days", i, len(months))
		if err := v.chunk(ctx, chunk{history, m}, &part); err != nil {
			return fmt.Errorf("day rows of %d: %w", m, err)
		}
	}
	v.Progress("comparing days", len(months), len(months))
	v.report.Parts = append(v.report.Parts, part)
	return nil
}

// latest compares profiles.
func (v *verification) latest(ctx context.Context) error {
	part := Part{Table: profiles}
	v.Progress("comparing latest rows", 0, 1)
	if err := v.chunk(ctx, chunk{profiles, 0}, &part); err != nil {
		return fmt.Errorf("latest rows: %w", err)
	}
	v.Progress("comparing latest rows", 1, 1)
	part.UsersA, part.UsersB = part.RowsA, part.RowsB // one row a user
	v.report.Parts = append(v.report.Parts, part)
	return nil
}

// chunk compares one month or table by its hash, and row by row where that
// differs.
func (v *verification) chunk(ctx context.Context, c chunk, part *Part) error {
	var a, b summary
	g, sub := errgroup.WithContext(ctx)
	g.Go(func() (err error) { a, err = v.summarise(sub, v.a, c); return err })
	g.Go(func() (err error) { b, err = v.summarise(sub, v.b, c); return err })
	if err := g.Wait(); err != nil {
		return err
	}
	part.RowsA, part.RowsB = part.RowsA+a.rows, part.RowsB+b.rows
	part.DaysA, part.DaysB = part.DaysA+a.days, part.DaysB+b.days
	if a == b {
		return nil
	}
	return v.rows(ctx, c, int(max(a.rows, b.rows)))
}
