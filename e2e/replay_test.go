package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"profilestream/e2e/harness"
)

// TestReplayDeadLetters mends purchases of a currency that has no rate, sends
// them again, and again: each counts once.
func TestReplayDeadLetters(t *testing.T) {
	const bad = 30
	r := newRun(t, "replayed")
	at := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	var msgs []harness.Message
	for i := range bad {
		id := ""
		if i%2 == 0 {
			id = fmt.Sprintf(`"event_id":"p%d",`, i)
		}
		value := fmt.Sprintf(`{%s"user_id":"u%d","type":"purchase","ts":%q,"total":10,"currency":"XYZ"}`, id, i%5, at.Format(time.RFC3339))
		msgs = append(msgs,
			harness.Message{Topic: r.topics[1], Partition: i % 2, Value: []byte(value), Time: at},
			harness.Message{Topic: r.topics[1], Partition: i % 2, Value: []byte(strings.Replace(value, "XYZ", "USD", 1)), Time: at})
		at = at.Add(time.Minute)
	}
	msgs = append(msgs, harness.Message{Topic: r.topics[1], Value: []byte(`{"broken`), Time: at})
	r.kafka.Send(msgs)
	totals := func() string {
		row := r.engine.Rows(t, "SELECT sum(records), sum(applied), sum(duplicates), sum(dead_lettered), (SELECT toString(sum(revenue_total)) FROM "+r.database()+".profiles_latest) FROM "+r.database()+".accounting")
		return strings.Join(row[0], " ")
	}
	check := func(when, want string) {
		t.Helper()
		r.drain(at.Add(time.Hour))
		if got := totals(); got != want {
			t.Errorf("%s: records, applied, duplicates, dead-lettered, revenue are %s, want %s", when, got, want)
		}
	}
	check("first", fmt.Sprintf("%d %d 0 %d 237", 2*bad+1, bad, bad+1))
	dry := profilectl(t, "dlq", "replay", "-c", r.config)
	if !strings.Contains(dry, "0 would be sent") || !strings.Contains(dry, "bad_currency") || !strings.Contains(dry, "bad_json") {
		t.Errorf("a dry run says\n%s", dry)
	}
	for _, want := range []string{
		// Half of the copies bear the id of an event that counted: they are duplicates.
		fmt.Sprintf("%d %d %d %d 355.5", 3*bad+1, bad+bad/2, bad/2, bad+1),
		fmt.Sprintf("%d %d %d %d 355.5", 4*bad+1, bad+bad/2, bad/2+bad, bad+1),
	} {
		out := profilectl(t, "dlq", "replay", "-c", r.config, "--reason", "bad_currency", "--through", "sed s/XYZ/USD/", "--apply")
		if !strings.Contains(out, fmt.Sprintf("%d sent", bad)) {
			t.Errorf("replaying says\n%s", out)
		}
		check("after a replay", want)
	}
}
