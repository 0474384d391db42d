package stage

import (
	"testing"
	"time"

	"profilestream/profile"
	"profilestream/stream/clickhouse"
)

func TestAgain(t *testing.T) {
	t.Parallel()
	p, err := profile.NewParser(profile.ParserConfig{Currency: "GBP", Rates: map[string]string{"USD": "0.5"}})
	if err != nil {
		t.Fatal(err)
	}
	const closedDay = 20_000
	a := &Again{parser: p, closed: closedDay}
	now := time.UnixMilli((closedDay + 5) * 24 * 3600 * 1000)
	for name, c := range map[string]struct {
		d       clickhouse.Diverted
		outcome Outcome
		reason  string
		value   string
	}{
		"its currency has a rate now": {
			clickhouse.Diverted{SourceTopic: "purchases", SourcePartition: 1, SourceOffset: 7, Reason: "bad_currency", Value: []byte(`{"event_id":"e1","user_id":"u","type":"purchase","ts":1728172800000,"total":1,"currency":"USD"}`)},
			OutcomeAdmitted, "", `{"event_id":"e1","user_id":"u","type":"purchase","ts":1728172800000,"total":1,"currency":"USD"}`,
		},
		"without an id it takes its place for one": {
			clickhouse.Diverted{SourceTopic: "purchases", SourcePartition: 1, SourceOffset: 7, Value: []byte("{\"user_id\":\"u\",\"type\":\"purchase\",\"ts\":1728172800000,\"total\":1} \n")},
			OutcomeAdmitted, "", "{\"user_id\":\"u\",\"type\":\"purchase\",\"ts\":1728172800000,\"total\":1,\"event_id\":\"purchases/1/7\"} \n",
		},
		"of a later epoch it is another place": {
			clickhouse.Diverted{SourceTopic: "purchases", SourcePartition: 1, SourceEpoch: 2, SourceOffset: 7, Value: []byte(`{"user_id":"u","type":"purchase","ts":1728172800000,"total":1}`)},
			OutcomeAdmitted, "", `{"user_id":"u","type":"purchase","ts":1728172800000,"total":1,"event_id":"purchases/1/7/2"}`,
		},
		"its day is closed": {
			clickhouse.Diverted{SourceTopic: "purchases", Value: []byte(`{"user_id":"u","type":"purchase","ts":1728086399999,"total":1}`)},
			OutcomeLate, "", "",
		},
		"still wrong": {
			clickhouse.Diverted{SourceTopic: "purchases", Reason: "bad_json", Value: []byte(`{`)},
			OutcomeRejected, profile.ReasonBadJSON, "",
		},
		"cut": {clickhouse.Diverted{SourceTopic: "purchases", Truncated: true}, OutcomeCut, "", ""},
	} {
		value, outcome, why := a.Judge(&c.d, now)
		if outcome != c.outcome || why.Reason != c.reason || string(value) != c.value {
			t.Errorf("%s: %s %q %q, want %s %q %q", name, outcome, why.Reason, value, c.outcome, c.reason, c.value)
		}
		var e profile.Event
		if outcome == OutcomeAdmitted {
			if reject := p.Parse(value, profile.Purchases, now.UnixMilli(), &e); reject != nil || len(e.ID) == 0 {
				t.Errorf("%s: what would be sent is no event with an id: %v", name, reject)
			}
		}
	}
}
