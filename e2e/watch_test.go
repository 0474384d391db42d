package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"profilestream/e2e/harness"
)

// bought are the times of each customer's purchases, each event once.
func bought(t *testing.T, feed *harness.Feed) map[string][]int64 {
	t.Helper()
	out, seen := map[string][]int64{}, map[string]bool{}
	for _, m := range feed.Purchases {
		var e struct {
			EventID string `json:"event_id"`
			UserID  string `json:"user_id"`
			Type    string
			TS      any
		}
		if err := json.Unmarshal(m.Value, &e); err != nil {
			t.Fatal(err)
		}
		if e.Type != "purchase" || seen[e.UserID+e.EventID] {
			continue
		}
		seen[e.UserID+e.EventID] = true
		switch at := e.TS.(type) {
		case float64:
			out[e.UserID] = append(out[e.UserID], int64(at))
		case string:
			when, err := time.Parse(time.RFC3339, at)
			if err != nil {
				t.Fatal(err)
			}
			out[e.UserID] = append(out[e.UserID], when.UnixMilli())
		}
	}
	return out
}

// matured compares what the sink says of the weeks whose horizon has passed with the
// scores in the tables and the purchases in the input topics.
func matured(t *testing.T, r *run, feed *harness.Feed) {
	purchases := bought(t, feed)
	weeks := r.engine.Rows(t, "SELECT toString(week), horizon_days, rows, churned, ifNull(roc_auc, -1), brier FROM "+r.database()+".model_quality ORDER BY week")
	if len(weeks) < 2 {
		t.Fatalf("the weeks %v are judged, at least two have matured", weeks)
	}
	for _, w := range weeks {
		horizon := number(t, w[1]) * 24 * 3600 * 1000
		rows := r.engine.Rows(t, fmt.Sprintf(`SELECT user_id, toUnixTimestamp64Milli(as_of), churn_probability FROM %s.profile_days
			WHERE toMonday(as_of) = '%s' ORDER BY as_of DESC LIMIT 1 BY user_id`, r.database(), w[0]))
		var p []float64
		var churned []bool
		brier := 0.
		for _, row := range rows {
			at, gone := number(t, row[1]), true
			for _, b := range purchases[row[0]] {
				gone = gone && !(b > at && b <= at+horizon)
			}
			p, churned = append(p, float(t, row[2])), append(churned, gone)
			label := 0.
			if gone {
				label = 1
			}
			brier += (p[len(p)-1] - label) * (p[len(p)-1] - label) / float64(len(rows))
		}
		want := -1.
		if n := count(churned); n > 0 && n < len(rows) {
			want = auc(p, churned)
		}
		if int(number(t, w[2])) != len(rows) || int(number(t, w[3])) != count(churned) || math.Abs(float(t, w[4])-want) > 1e-6 || math.Abs(float(t, w[5])-brier) > 1e-6 {
			t.Errorf("week, horizon, rows, churned, AUC, Brier are %v, in the events %d, %d, %.6f, %.6f", w, len(rows), count(churned), want, brier)
		}
		t.Logf("week of %s: %s customers, %s churned within %s days, AUC %s", w[0], w[2], w[3], w[1], w[4])
	}
	drift := r.engine.Rows(t, "SELECT count(), uniqExact(name), countIf(state != 'unknown'), max(rows) FROM "+r.database()+".drift")
	if drift[0][1] != "89" || drift[0][2] != "0" { // too few customers for an index
		t.Errorf("drift has rows, names, known, customers = %v", drift[0])
	}
}

// beside has a bundle tried beside itself on the run's event log, with the texts of
// the replays on disk.
func beside(t *testing.T, r *run, cache string) {
	out := filepath.Join(t.TempDir(), "shadow.html")
	t.Setenv("PROFILESTREAM_MODEL_CACHE_DIR", cache)
	said := profilectl(t, "model", "shadow", bundle(t), "--days", "2", "-c", r.config, "--out", out)
	t.Log(said)
	if _, err := os.Stat(strings.TrimSuffix(out, ".html") + ".json"); err != nil || !strings.Contains(said, " 0.0 % change their churn band, 0.0 % their segment") {
		t.Errorf("%v: %s", err, said)
	}
	moves := r.engine.Rows(t, "SELECT uniqExact(day), uniqExact(kind), countIf(from_band != to_band), sumIf(users, kind = 'segment') FROM "+r.database()+".shadow_moves")
	if moves[0][0] != "2" || moves[0][1] != "3" || moves[0][2] != "0" || number(t, moves[0][3]) < 100 {
		t.Errorf("shadow_moves has days, kinds, moves, customers = %v", moves[0])
	}
}
