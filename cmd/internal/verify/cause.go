package verify

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"profilestream/schemas"
)

// Cause is why a row differs.
type Cause string

// Causes, in the order in which they are looked for.
const (
	// Late: one run admitted an event that the other found late.
	Late Cause = "late event"
	// Code: the feature list or its meaning differs.
	Code Cause = "code version"
	// Configuration: the settings that decide the features differ.
	Configuration Cause = "configuration"
	// Lagging: one run has not come as far as the other.
	Lagging Cause = "still lagging?"
	// Missing: one run has no such row.
	Missing Cause = "missing row"
	// Content: the features or the digest differ, and nothing above explains it.
	Content Cause = "content differs"
	// Degraded: one run scored the row from numbers alone.
	Degraded Cause = "degraded"
	// Model: another model_version gave other scores.
	Model Cause = "model"
	// Score: the scores differ at an equal model_version.
	Score Cause = "score differs"
)

// Causes lists them in that order.
func Causes() []Cause { return slices.Clone(causes) }

var causes = []Cause{Late, Code, Configuration, Lagging, Missing, Content, Degraded, Model, Score}

// Difference is one row that differs.
type Difference struct {
	Table  string    `json:"table"`
	User   string    `json:"user_id"`
	AsOf   time.Time `json:"as_of"`
	Cause  Cause     `json:"cause"`
	Detail string    `json:"detail"`

	inA, inB, content bool
}

// pair judges a row of either side, nil where that has none.
func (v *verification) pair(ctx context.Context, a, b *row) error {
	if a != nil && b != nil && sameContent(a, b) && a.AsOf.Equal(b.AsOf) {
		if a.Model != b.Model && a.Degraded == b.Degraded && sameScores(a, b) {
			v.report.OtherModel++
			return nil
		}
		if a.Model == b.Model && sameScores(a, b) {
			return nil
		}
	}
	if err := v.readLate(ctx); err != nil {
		return err
	}
	d := v.cause(a, b)
	v.report.Rows[d.Cause]++
	v.first.add(d)
	return nil
}

// cause finds the reason for a difference.
func (v *verification) cause(a, b *row) Difference {
	some, other := a, v.b
	if a == nil {
		some, other = b, v.a
	}
	d := Difference{Table: some.table, User: some.User, AsOf: some.AsOf, inA: a != nil, inB: b != nil}
	paired := a != nil && b != nil
	if paired && sameContent(a, b) && a.AsOf.Equal(b.AsOf) {
		return v.scores(d, a, b)
	}
	d.content = paired
	ahead := paired && !a.AsOf.Equal(b.AsOf)
	if ahead && b.AsOf.After(a.AsOf) {
		d.AsOf = b.AsOf
	}
	if e, ok := v.late[some.User]; ok && e.millis <= d.AsOf.UnixMilli() {
		d.Cause, d.Detail = Late, e.words()
		return d
	}
	if !paired && some.table == history && some.AsOf.After(other.newest) {
		d.Cause, d.Detail = Lagging, fmt.Sprintf("run %s has day rows up to %s", other.Name, words(other.newest))
		return d
	}
	if was, is, differ := v.versions(a, b, some, other); differ {
		d.Cause, d.Detail = v.configuration(was, is)
		return d
	}
	switch {
	case len(v.report.Schema) > 0 && paired:
		d.Cause, d.Detail = Code, strings.Join(v.report.Schema, ", ")
	case ahead:
		d.Cause, d.Detail = Lagging, fmt.Sprintf("the latest row is of %s in run %s, of %s in run %s", words(a.AsOf), v.a.Name, words(b.AsOf), v.b.Name)
	case !paired:
		d.Cause, d.Detail = Missing, "not in run "+other.Name
	default:
		d.Cause, d.Detail = Content, "at an equal digest"
		if a.Digest != b.Digest {
			d.Detail = fmt.Sprintf("digest %d -> %d", a.Digest, b.Digest)
		}
	}
	return d
}

// versions are the configuration versions of a difference. Of a row on one side
// alone, they differ where the other side knows its version not at all.
func (v *verification) versions(a, b, some *row, other *side) (was, is string, differ bool) {
	switch {
	case a != nil && b != nil:
		return a.Config, b.Config, a.Config != b.Config
	case len(other.versions) != 1 || other.versions[some.Config]:
		return "", "", false
	}
	only := slices.Collect(maps.Keys(other.versions))[0]
	if a == nil {
		return only, some.Config, true
	}
	return some.Config, only, true
}

// configuration says which settings differ between two versions.
func (v *verification) configuration(was, is string) (Cause, string) {
	a, b := v.a.settings[was], v.b.settings[is]
	if a == nil || b == nil {
		return Configuration, fmt.Sprintf("config_version %s -> %s; no sink has written down what they stand for", was, is)
	}
	var keys []string
	code := true
	for _, key := range slices.Sorted(maps.Keys(a)) {
		if a[key] != b[key] {
			keys = append(keys, fmt.Sprintf("%s %s -> %s", key, a[key], b[key]))
			code = code && key == schemas.SettingFeatures
		}
	}
	if code {
		return Code, strings.Join(append(keys, v.report.Schema...), ", ")
	}
	return Configuration, strings.Join(keys, ", ")
}

// scores judges a row whose content is equal.
func (v *verification) scores(d Difference, a, b *row) Difference {
	moved := fmt.Sprintf("churn %.5f -> %.5f, value %.2f -> %.2f", a.Churn, b.Churn, a.Value, b.Value)
	switch {
	case a.Degraded != b.Degraded:
		where := v.a.Name
		if b.Degraded {
			where = v.b.Name
		}
		d.Cause, d.Detail = Degraded, fmt.Sprintf("scored from numbers alone in run %s: %s", where, moved)
	case a.Model != b.Model:
		d.Cause, d.Detail = Model, fmt.Sprintf("model_version %s -> %s: %s", a.Model, b.Model, moved)
	default:
		d.Cause, d.Detail = Score, moved+" at an equal model_version"
		if near(a.Churn, b.Churn, 1) && near(a.Value, b.Value, float64(max(a.Value, -a.Value))) {
			d.Detail = "bands, interests, sentiment or reasons at an equal model_version"
		}
	}
	return d
}

func words(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// firsts keeps the first differences of each cause, by day and user.
type firsts struct {
	shown int
	of    map[Cause][]Difference
}

func before(a, b Difference) int {
	if k := a.AsOf.Compare(b.AsOf); k != 0 {
		return k
	}
	return strings.Compare(a.User, b.User)
}

func (f *firsts) add(d Difference) {
	kept := f.of[d.Cause]
	if len(kept) == f.shown && before(d, kept[len(kept)-1]) >= 0 {
		return
	}
	at, _ := slices.BinarySearchFunc(kept, d, before)
	kept = slices.Insert(kept, at, d)
	f.of[d.Cause] = kept[:min(len(kept), f.shown)]
}

// all are the differences to show: one of each cause, then the first of all.
func (f *firsts) all() []Difference {
	var out, rest []Difference
	for _, c := range causes {
		if kept := f.of[c]; len(kept) > 0 {
			out, rest = append(out, kept[0]), append(rest, kept[1:]...)
		}
	}
	slices.SortStableFunc(rest, before)
	out = append(out, rest[:max(0, min(len(rest), f.shown-len(out)))]...)
	slices.SortStableFunc(out, before)
	return out
}
