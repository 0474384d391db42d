package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/history"
	"profilestream/cmd/internal/models"
	"profilestream/cmd/internal/stage"
	"profilestream/cmd/internal/verify"
	"profilestream/inference/bundle"
	"profilestream/schemas"
)

// errOther: what was computed is not what is stored.
var errOther = errors.New("the stored row is another one")

// storedRow is a row of ClickHouse, and how what was computed again compares.
type storedRow struct {
	AsOf         time.Time `json:"as_of"`
	LogOffset    int64     `json:"log_offset"`
	Digest       string    `json:"digest"`
	ModelVersion string    `json:"model_version"`
	Churn        float64   `json:"churn_probability"`
	Value        float64   `json:"value_expected"`
	Degraded     bool      `json:"degraded"`

	SameDigest bool `json:"same_digest"`
	// SameScores is nil where the score was not made by this model_version.
	SameScores *bool `json:"same_scores,omitempty"`
}

// lookUp finds the row that ClickHouse showed when what is known now was known:
// the day row of a moment, restated or not, or without a moment the latest row.
func (f *explainFlags) lookUp(ctx context.Context, cfg *config.Config, user string, m *history.Moment) (*storedRow, error) {
	if m != nil && m.Live {
		return nil, fmt.Errorf("%w: --stored: a day row is as of the end of a UTC day; without --as-of it is the latest row", errUsage)
	}
	c, err := stage.ClickHouse(cfg)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	const columns = "as_of, log_offset, toString(digest), toString(model_version), toFloat64(churn_probability), toFloat64(value_expected), degraded, row_version, scored_at"
	table := func(name string) string {
		return "SELECT " + columns + " FROM " + schemas.QuoteIdentifier(c.Database()) + "." + name + " FINAL WHERE user_id = ?"
	}
	query, args := table("profiles"), []any{user}
	if m != nil {
		query = table("profile_history") + " AND toUnixTimestamp64Milli(as_of) = ? UNION ALL " + table("restatement_rows") + " AND toUnixTimestamp64Milli(as_of) = ?"
		args = []any{user, m.Until, user, m.Until}
	}
	known, err := f.storedBy()
	if err != nil {
		return nil, err
	}
	r := &storedRow{}
	var version uint64
	var scored time.Time
	rows, err := c.Conn().Query(ctx, "SELECT * FROM ("+query+")"+known+" ORDER BY row_version DESC LIMIT 1", args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("database %s holds no such row", c.Database())
	}
	return r, rows.Scan(&r.AsOf, &r.LogOffset, &r.Digest, &r.ModelVersion, &r.Churn, &r.Value, &r.Degraded, &version, &scored)
}

// storedBy is the condition that a row was stored at --as-known-at.
func (f *explainFlags) storedBy() (string, error) {
	if f.known == "" {
		return "", nil
	}
	if n, err := strconv.ParseInt(f.known, 10, 64); err == nil && n >= 0 {
		return fmt.Sprintf(" WHERE log_offset <= %d", n), nil
	}
	t, err := parseKnown(f.known)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(" WHERE toUnixTimestamp64Milli(scored_at) <= %d", t.UnixMilli()), nil
}

func parseKnown(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		err = fmt.Errorf("%w: --as-known-at: %q is neither an offset nor a time such as 2026-02-03T12:00:00Z", errUsage, s)
	}
	return t, err
}

// bundleOf is the bundle of a model_version or id: in the store, or in model.dir.
func bundleOf(m *config.Model, version string) (*bundle.Bundle, error) {
	id, _, _ := strings.Cut(version, "/")
	var b *bundle.Bundle
	var err error
	if store := (models.Store{Dir: m.StoreDir()}); store.Has(id) {
		b, err = bundle.Load(store.Path(id))
	} else if b, err = stage.LoadBundle(m.Dir); err == nil && b.ID() != id {
		err = fmt.Errorf("bundle %s is neither in the store %s nor in %s, which holds %s", id, m.StoreDir(), m.Dir, b.ID())
	}
	if err == nil && len(b.Refused()) > 0 {
		b = b.Forced()
	}
	return b, err
}

// check compares what was computed again with the stored row.
func (x *explained) check() error {
	r := x.Stored
	r.SameDigest = x.Digest == r.Digest && x.AsOf.Equal(r.AsOf)
	if r.ModelVersion == x.ModelVersion {
		same := math.Abs(x.Churn-r.Churn) <= verify.Tolerance && math.Abs(x.Value-r.Value) <= verify.Tolerance*max(1, math.Abs(r.Value))
		r.SameScores = &same
	}
	if !r.SameDigest || r.SameScores != nil && !*r.SameScores {
		return errOther
	}
	return nil
}

func (r *storedRow) print(w io.Writer) {
	digest, scores := "the same digest", "the scores not compared: they are of "+r.ModelVersion
	if !r.SameDigest {
		digest = fmt.Sprintf("another digest, %s as of %s", r.Digest, r.AsOf.UTC().Format(time.RFC3339Nano))
	}
	switch same := r.SameScores; {
	case same == nil && r.Degraded:
		scores = "the scores not compared: they are of numbers alone"
	case same != nil && *same:
		scores = fmt.Sprintf("the same scores within %g", verify.Tolerance)
	case same != nil:
		scores = fmt.Sprintf("other scores: churn %.5f, value %.2f", r.Churn, r.Value)
	}
	fmt.Fprintf(w, "stored row of offset %d: %s, %s\n", r.LogOffset, digest, scores)
}
