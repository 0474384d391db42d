package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os/exec"
	"strings"
	"testing"
	"time"

	"profilestream/e2e/harness"
)

// story is what profilectl explain says of a row.
type story struct {
	AsOf         time.Time `json:"as_of"`
	Digest       string    `json:"digest"`
	ModelVersion string    `json:"model_version"`
	LogOffset    *int64    `json:"log_offset"`
	Stored       struct {
		LogOffset  int64 `json:"log_offset"`
		SameDigest bool  `json:"same_digest"`
		SameScores *bool `json:"same_scores"`
	} `json:"stored"`
	Known   map[string]int `json:"known"`
	Churn   float64        `json:"churn_probability"`
	Value   float64        `json:"value_expected"`
	Base    float64        `json:"base_log_odds"`
	LogOdds float64        `json:"log_odds"`
	Reasons []struct {
		Feature string
		Effect  float64
	}
	Events struct {
		Tried, Total int
		Top          []struct{ Type string }
	}
	Flips []struct {
		Churn float64 `json:"churn_probability"`
		Band  string  `json:"churn_band"`
	}
}

// TestExplainTellsTheStoredScore: what explain makes of the event log is the row
// in the table: digest, scores, reasons; for latest rows, and for day rows from
// what was known when they were made.
func TestExplainTellsTheStoredScore(t *testing.T) {
	r, _ := unseenShop(t)
	const columns = `user_id, toUnixTimestamp64Milli(as_of), toString(digest), model_version, churn_probability, value_expected, log_offset, churn_band,
		tupleElement(reasons[1], 1), tupleElement(reasons[1], 2)`
	latest := r.engine.Rows(t, fmt.Sprintf(`SELECT %s FROM (
		SELECT * FROM %[2]s.profiles_latest WHERE length(reasons) > 0 ORDER BY churn_band, cityHash64(user_id) LIMIT 1 BY churn_band)`, columns, r.database()))
	days := r.engine.Rows(t, fmt.Sprintf(`SELECT %s FROM %s.profile_days WHERE length(reasons) > 0 ORDER BY cityHash64(user_id, as_of) LIMIT 2`, columns, r.database()))
	if len(latest) < 2 || len(days) < 2 {
		t.Fatalf("%d latest and %d day rows to explain", len(latest), len(days))
	}
	for _, row := range latest {
		s := explain(t, row[0], "-c", r.config, "--stored")
		s.compare(t, row)
		s.isStored(t, row)
		if s.LogOffset == nil || *s.LogOffset != number(t, row[6]) {
			t.Errorf("a latest row of offset %s is explained as of %v", row[6], s.LogOffset)
		}
		for _, f := range s.Flips {
			if f.Band == row[7] {
				t.Errorf("a flip leaves the customer in the band %s", row[7])
			}
		}
	}
	for _, row := range days {
		asOf := time.UnixMilli(number(t, row[1])).UTC().Format(time.RFC3339Nano)
		s := explain(t, row[0], "-c", r.config, "--as-of", asOf, "--as-known-at", row[6], "--stored")
		s.compare(t, row)
		s.isStored(t, row)
	}
	const nobody = "nobody-of-that-name"
	out, err := exec.Command(harness.Binary(t, "profilectl"), "explain", nobody, "-c", r.config).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), "no such customer") || strings.Contains(string(out), nobody) {
		t.Errorf("an unknown customer: %v, %s", err, out)
	}
}

func explain(t *testing.T, user string, args ...string) *story {
	t.Helper()
	var s story
	if err := json.Unmarshal([]byte(profilectl(t, append([]string{"explain", user, "--json", "--events", "20"}, args...)...)), &s); err != nil {
		t.Fatal(err)
	}
	return &s
}

// isStored: the row was found in ClickHouse and made again from its events.
func (s *story) isStored(t *testing.T, row []string) {
	t.Helper()
	events := 0
	for _, n := range s.Known {
		events += n
	}
	if !s.Stored.SameDigest || s.Stored.SameScores == nil || !*s.Stored.SameScores || s.Stored.LogOffset != number(t, row[6]) || events != s.Events.Total {
		t.Errorf("row %v, stored: %+v, of %d events known %d", row[1:4], s.Stored, s.Events.Total, events)
	}
}

func (s *story) compare(t *testing.T, row []string) {
	t.Helper()
	if s.AsOf.UnixMilli() != number(t, row[1]) || s.Digest != row[2] || s.ModelVersion != row[3] {
		t.Errorf("explained as of %s digest %s model %s, stored %v", s.AsOf, s.Digest, s.ModelVersion, row[1:4])
	}
	if math.Abs(s.Churn-float(t, row[4])) > 1e-4 || math.Abs(s.Value-float(t, row[5])) > 1e-4*(1+s.Value) {
		t.Errorf("explained churn %v, value %v; stored %s, %s", s.Churn, s.Value, row[4], row[5])
	}
	sum := s.Base
	for _, e := range s.Reasons {
		sum += e.Effect
	}
	if math.Abs(sum-s.LogOdds) > 2e-3 || s.Reasons[0].Feature != row[8] || math.Abs(s.Reasons[0].Effect-float(t, row[9])) > 1e-3 {
		t.Errorf("effects reach %v of %v; the first is %v, stored %s %s", sum, s.LogOdds, s.Reasons[0], row[8], row[9])
	}
	if s.Events.Total < 1 || s.Events.Tried < 1 {
		t.Errorf("no event was tried: %+v", s.Events)
	}
}
