package watch

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"profilestream/inference/stability"
	"profilestream/schemas"
)

// Drift is how far the customers of one model version are from its training.
type Drift struct {
	Day     time.Time
	Version string
	Rows    uint64
	Columns []Column
}

// Column is the drift of one feature or score.
type Column struct {
	Name             string
	PSI              float64 // NaN: not known
	Edges            []float64
	Expected, Actual []float64 // shares by bin, then of missing values; none without a reference
}

// everybodyDays is within how many days everyone who was not silent for over a year
// has a day row.
const everybodyDays = 7

// everybody is the SQL of each customer's newest day row: as training saw customers,
// at the end of a day. It has two bound parameters, both the same instant.
func (w *Watcher) everybody() string {
	history := w.table("profile_history")
	return history + " FINAL WHERE as_of > ? AND (user_id, as_of) IN (SELECT user_id, max(as_of) FROM " + history + " WHERE as_of > ? GROUP BY user_id)"
}

// newestDay is the last day that pipeline time has passed; false: there is none yet.
func (w *Watcher) newestDay(ctx context.Context) (time.Time, bool, error) {
	var day time.Time
	var n uint64
	if err := w.conn.QueryRow(ctx, "SELECT toDate(max(as_of), 'UTC'), count() FROM "+w.table("profile_history")).Scan(&day, &n); err != nil {
		return day, false, fmt.Errorf("looking for the newest day: %w", err)
	}
	return day, n > 0, nil
}

// drifts compares the customers at the end of the newest day with the training of
// the models that scored them.
func (w *Watcher) drifts(ctx context.Context) ([]Drift, error) {
	day, there, err := w.newestDay(ctx)
	if err != nil || !there {
		return nil, err
	}
	since := instant(day.AddDate(0, 0, 1-everybodyDays))
	rows, err := w.conn.Query(ctx, "SELECT model_version, count() FROM "+w.everybody()+" GROUP BY model_version ORDER BY model_version", since, since)
	if err != nil {
		return nil, fmt.Errorf("counting customers: %w", err)
	}
	defer rows.Close()
	var out []Drift
	for rows.Next() {
		d := Drift{Day: day}
		if err := rows.Scan(&d.Version, &d.Rows); err != nil {
			return nil, fmt.Errorf("counting customers: %w", err)
		}
		out = append(out, d)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("counting customers: %w", err)
	}
	for i := range out {
		if out[i].Columns, err = w.columns(ctx, out[i].Version, out[i].Rows, since); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// columns are the drifts of a model version's customers. Where its bundle is not at
// hand, or has no reference, they are not known.
func (w *Watcher) columns(ctx context.Context, version string, n uint64, since string) ([]Column, error) {
	ref := w.reference(version)
	if ref == nil {
		var out []Column
		for _, name := range stability.Names() {
			out = append(out, Column{Name: name, PSI: math.NaN()})
		}
		return out, nil
	}
	parts := make([]string, len(ref.Columns))
	for i := range ref.Columns {
		parts[i] = counting(&ref.Columns[i])
	}
	// Each column's counts of x <= edge, edge by edge, then of missing values.
	var below [][]uint64
	query := "SELECT [" + strings.Join(parts, ", ") + "] FROM " + w.everybody() + " AND model_version = ?"
	if err := w.conn.QueryRow(ctx, query, since, since, version).Scan(&below); err != nil {
		return nil, fmt.Errorf("counting the features of model %s: %w", version, err)
	}
	out := make([]Column, len(ref.Columns))
	for i := range out {
		h := &ref.Columns[i]
		counts := binned(below[i], n)
		out[i] = Column{Name: h.Name, PSI: h.PSI(counts), Edges: h.Edges, Expected: shares(h.Counts), Actual: shares(counts)}
	}
	return out, nil
}

// counting is the SQL of how many values lie at or below each edge, and are missing.
func counting(h *stability.Histogram) string {
	x, there := h.Name, "isNotNull("+h.Name+") AND "
	for i := range schemas.Features {
		if f := &schemas.Features[i]; f.Name == h.Name && f.Type == schemas.Time {
			x = "greatest(0, (toUnixTimestamp64Milli(as_of) - toUnixTimestamp64Milli(" + f.Name + ")) / 86400000)"
		}
	}
	var b strings.Builder
	b.WriteByte('[')
	for _, e := range h.Edges {
		fmt.Fprintf(&b, "countIf(%stoFloat64(%s) <= %s), ", there, x, strconv.FormatFloat(e, 'g', -1, 64))
	}
	fmt.Fprintf(&b, "countIf(isNull(%s))]", h.Name)
	return b.String()
}

// binned turns counts at or below the edges, and of missing values, into those of
// the bins.
func binned(below []uint64, n uint64) []int64 {
	edges := len(below) - 1
	out := make([]int64, 0, edges+2)
	last := uint64(0)
	for _, c := range below[:edges] {
		out = append(out, int64(c-last))
		last = c
	}
	missing := below[edges]
	return append(out, int64(n-missing-last), int64(missing))
}

func shares(counts []int64) []float64 {
	var n float64
	for _, c := range counts {
		n += float64(c)
	}
	out := make([]float64, len(counts))
	for i, c := range counts {
		out[i] = float64(c) / max(1, n)
	}
	return out
}

// keepDrift writes the rows of drift_rows.
func (w *Watcher) keepDrift(ctx context.Context, ds []Drift) error {
	batch, err := w.conn.PrepareBatch(ctx, "INSERT INTO "+w.table("drift_rows")+" (day, model_version, name, psi, rows, edges, expected, actual)")
	if err != nil {
		return fmt.Errorf("writing drift: %w", err)
	}
	defer func() { _ = batch.Close() }()
	for _, d := range ds {
		for _, c := range d.Columns {
			var psi *float64
			if !math.IsNaN(c.PSI) {
				psi = &c.PSI
			}
			if err := batch.Append(d.Day, d.Version, c.Name, psi, d.Rows, c.Edges, c.Expected, c.Actual); err != nil {
				return fmt.Errorf("writing drift: %w", err)
			}
		}
	}
	if err := batch.Send(); err != nil {
		return fmt.Errorf("writing drift: %w", err)
	}
	return nil
}
