package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"profilestream/schemas"
)

const dayLater = noon + 24*3600*1000

// corrected are messages of day rows: their corrections replace rows of earlier
// blocks, of the same block, corrections, and nothing.
func corrected() []rowSpec {
	day := func(users int, version, asOf int64, trigger uint8) rowSpec {
		return rowSpec{users: users, version: version, asOf: asOf, trigger: trigger}
	}
	return []rowSpec{
		day(10, 10, noon, schemas.TriggerDay),
		day(5, 20, noon, schemas.TriggerCorrection),
		day(3, 22, dayLater, schemas.TriggerSilence),
		day(2, 25, dayLater, schemas.TriggerCorrection),
		day(2, 30, noon, schemas.TriggerCorrection),
		{users: 1, first: 20, version: 40, asOf: noon, trigger: schemas.TriggerCorrection},
	}
}

// restatedWant is old and new log offset by user and day, and what was first
// reported.
var restatedWant = func() (out []string) {
	for u := range 5 {
		out = append(out, fmt.Sprintf("%s 0: 10 -> 20", userID(u)))
	}
	for u := range 2 {
		out = append(out, fmt.Sprintf("%s 0: 20 -> 30", userID(u)), fmt.Sprintf("%s 1: 22 -> 25", userID(u)))
	}
	out = append(out, userID(20)+" 0: NULL -> 40")
	for u := range 10 {
		out = append(out, fmt.Sprintf("%s 0 was 10", userID(u)))
	}
	for u := range 3 {
		out = append(out, fmt.Sprintf("%s 1 was 22", userID(u)))
	}
	return out
}()

func checkRestated(t *testing.T, c *Client, when string) {
	t.Helper()
	got := scalar[[]string](t, c, fmt.Sprintf(`SELECT groupArray(line) FROM (
		SELECT concat(user_id, ' ', toString(dateDiff('day', toDateTime64('%[2]s', 3, 'UTC'), as_of)), ': ', ifNull(toString(old_log_offset), 'NULL'), ' -> ', toString(log_offset)) AS line FROM %[1]s.restatements
		UNION ALL SELECT concat(user_id, ' ', toString(dateDiff('day', toDateTime64('%[2]s', 3, 'UTC'), as_of)), ' was ', toString(log_offset)) FROM %[1]s.profile_days_as_reported)`,
		c.Database(), "2025-10-09 00:00:00"))
	have := map[string]int{}
	for _, line := range got {
		have[line]++
	}
	for _, line := range restatedWant {
		if have[line] != 1 {
			t.Errorf("%s: %q is there %d times, want once", when, line, have[line])
		}
	}
	if len(got) != len(restatedWant) {
		t.Errorf("%s: %d lines, want %d:\n%s", when, len(got), len(restatedWant), strings.Join(got, "\n"))
	}
}

// feed writes messages, some in one block: after each of the numbers in cuts the
// writer is flushed. It returns how many are acknowledged.
func feed(t *testing.T, w *Writer, specs []rowSpec, cuts map[int]bool) (done int, err error) {
	t.Helper()
	for i, s := range specs {
		rec := scoredRows(s)
		_, err := w.AddScored(t.Context(), rec, Meta{History: true})
		rec.Release()
		if err == nil && (cuts[i] || i == len(specs)-1) {
			err = w.Flush(t.Context())
			if err == nil {
				done = i + 1
			}
		}
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// TestCorrectionsKeepWhatTheyReplace: whatever blocks the rows come in and
// however often, each correction is in the ledger once, with the row before it.
func TestCorrectionsKeepWhatTheyReplace(t *testing.T) {
	c := testClient(t, testConfig(t, "restated"))
	w := startWriter(t, c, Deps{})
	for name, cuts := range map[string]map[int]bool{
		"a block each": {0: true, 1: true, 2: true, 3: true, 4: true}, "one block": {}, "two blocks": {2: true},
	} {
		exec(t, c, "TRUNCATE TABLE restated.profile_history")
		exec(t, c, "TRUNCATE TABLE restated.restatement_rows")
		if _, err := feed(t, w, corrected(), cuts); err != nil {
			t.Fatal(err)
		}
		exec(t, c, "OPTIMIZE TABLE restated.profile_history FINAL")
		checkRestated(t, c, name)
		if _, err := feed(t, w, corrected()[2:], nil); err != nil {
			t.Fatal(err)
		}
		checkRestated(t, c, name+", and some of it again")
	}
	if got := scalar[string](t, c, "SELECT concat(toString(old_churn_probability), ' ', toString(new_churn_probability), ' ', toString(new_churn_band), ' ', toString(old_revenue_total = new_revenue_total)) FROM restated.restatements WHERE user_id = '"+userID(3)+"'"); !strings.HasSuffix(got, " low 1") {
		t.Errorf("old and new values are %q", got)
	}
}

// mortal ends before the statement of a number. An end after one leaves what an
// end before the next does.
type mortal struct {
	sender
	left int
}

var errDead = &encodeError{errors.New("the process is gone")}

func (m *mortal) send(ctx context.Context, t *table, e *encoded) error {
	if m.left--; m.left <= 0 {
		return errDead
	}
	return m.sender.send(ctx, t, e)
}

func (m *mortal) exec(ctx context.Context, s string) error {
	if m.left--; m.left <= 0 {
		return errDead
	}
	return m.sender.exec(ctx, s)
}

// TestACrashLosesNoRestatement ends the writer at each of its statements;
// ClickHouse merges; then what was not acknowledged comes again, in other blocks.
func TestACrashLosesNoRestatement(t *testing.T) {
	c := testClient(t, testConfig(t, "crashed"))
	cuts := map[int]bool{0: true, 1: true, 3: true}
	for k := 1; ; k++ {
		exec(t, c, "TRUNCATE TABLE crashed.profile_history")
		exec(t, c, "TRUNCATE TABLE crashed.restatement_rows")
		done, err := feed(t, run(t, newWriter(c.cfg, &mortal{newSender(c), k}, Deps{})), corrected(), cuts)
		if err == nil {
			if k < 10 {
				t.Fatalf("only %d statements", k-1)
			}
			return
		}
		exec(t, c, "OPTIMIZE TABLE crashed.profile_history FINAL")
		if _, err := feed(t, startWriter(t, c, Deps{}), corrected()[done:], map[int]bool{1: true}); err != nil {
			t.Fatal(err)
		}
		checkRestated(t, c, fmt.Sprintf("ended at statement %d", k))
	}
}
