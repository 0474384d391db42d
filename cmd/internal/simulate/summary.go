package simulate

import (
	"encoding/json"
	"fmt"
	"os"
)

// Summary counts what was made. Maps are written in the order of their keys.
type Summary struct {
	Seed           uint64           `json:"seed"`
	Users          int              `json:"users"`
	Bots           int64            `json:"bots"`
	Days           int              `json:"days"`
	Start          string           `json:"start"`
	End            string           `json:"end"`
	Records        int64            `json:"records"`
	Events         int64            `json:"events"` // valid, without the second copies
	ByTopic        map[string]int64 `json:"records_by_topic"`
	ByKind         map[string]int64 `json:"records_by_kind"`
	ByType         map[string]int64 `json:"events_by_type"`
	ByPoison       map[string]int64 `json:"poison_by_class"`
	ValueBytes     int64            `json:"value_bytes"`
	FirstEvent     int64            `json:"first_event_ms"`
	LastEvent      int64            `json:"last_event_ms"`
	FirstArrival   int64            `json:"first_arrival_ms"`
	LastArrival    int64            `json:"last_arrival_ms"`
	PurchasesCents int64            `json:"purchases_cents"`
	RefundsCents   int64            `json:"refunds_cents"`
	DroppedOut     int64            `json:"dropped_out"`
}

func newSummary(o *Options) Summary {
	return Summary{
		Seed: o.Seed, Users: o.Users, Bots: botCount(o), Days: o.Days,
		Start: o.Start.UTC().Format(millisLayout), End: o.Start.UTC().AddDate(0, 0, o.Days).Format(millisLayout),
		ByTopic: map[string]int64{}, ByKind: map[string]int64{}, ByType: map[string]int64{}, ByPoison: map[string]int64{},
	}
}

func (s *Summary) add(e *Event) {
	if s.Records == 0 {
		s.FirstArrival = e.KafkaMillis
	}
	s.Records++
	s.LastArrival = e.KafkaMillis
	s.ByTopic[e.Topic]++
	s.ByKind[e.Kind.String()]++
	s.ValueBytes += int64(len(e.Value))
	switch e.Kind {
	case KindPoison:
		s.ByPoison[e.Type]++
		return
	case KindDuplicate:
		return
	}
	if s.Events == 0 || e.TimeMillis < s.FirstEvent {
		s.FirstEvent = e.TimeMillis
	}
	s.LastEvent = max(s.LastEvent, e.TimeMillis)
	s.Events++
	s.ByType[e.Type]++
	switch e.Type {
	case "purchase":
		s.PurchasesCents += e.AmountCents
	case "refund":
		s.RefundsCents += e.AmountCents
	}
}

// Summary returns the counts; they are complete after Events has returned.
func (s *Shop) Summary() Summary {
	out := s.summary
	for _, c := range s.customers {
		if c.droppedOut > 0 {
			out.DroppedOut++
		}
	}
	return out
}

func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding %s: %w", path, err)
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}
