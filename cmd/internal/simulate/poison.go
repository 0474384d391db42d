package simulate

import (
	"strings"
	"time"
)

// BasicPoison is a small corpus of records that admission must dead-letter,
// one and more for each kind of damage that shops see. The golden corpus of the
// schemas is larger; any corpus can be given in Options.
func BasicPoison() []Poison {
	future := time.Date(2199, 1, 1, 0, 0, 0, 0, time.UTC).Format(time.RFC3339)
	list := []struct{ class, topic, value string }{
		{"not_json", TopicClickstream, `user=42&type=page_view`},
		{"empty", TopicClickstream, ``},
		{"truncated", TopicPurchases, `{"event_id":"p1","user_id":"u1","type":"purchase","ts":"2026-01-0`},
		{"invalid_utf8", TopicClickstream, "{\"user_id\":\"u1\",\"type\":\"search\",\"ts\":1767225600000,\"query\":\"caf\xe9\"}"},
		{"too_deep", TopicClickstream, `{"user_id":"u1","type":"page_view","ts":1767225600000,"x":` + strings.Repeat("[", 80) + strings.Repeat("]", 80) + `}`},
		{"no_user", TopicClickstream, `{"event_id":"p2","type":"page_view","ts":"2026-01-01T00:00:00Z"}`},
		{"anonymous", TopicClickstream, `{"event_id":"p3","user_id":" Anonymous ","type":"page_view","ts":"2026-01-01T00:00:00Z"}`},
		{"number_as_user", TopicClickstream, `{"event_id":"p4","user_id":42,"type":"page_view","ts":"2026-01-01T00:00:00Z"}`},
		{"unknown_type", TopicClickstream, `{"event_id":"p5","user_id":"u1","type":"teleport","ts":"2026-01-01T00:00:00Z"}`},
		{"wrong_topic", TopicPurchases, `{"event_id":"p6","user_id":"u1","type":"page_view","ts":"2026-01-01T00:00:00Z"}`},
		{"no_zone", TopicClickstream, `{"event_id":"p7","user_id":"u1","type":"page_view","ts":"2026-01-01T00:00:00"}`},
		{"before_2000", TopicClickstream, `{"event_id":"p8","user_id":"u1","type":"page_view","ts":915148800000}`},
		{"future", TopicClickstream, `{"event_id":"p9","user_id":"u1","type":"page_view","ts":"` + future + `"}`},
		{"negative_total", TopicPurchases, `{"event_id":"p10","user_id":"u1","type":"refund","ts":"2026-01-01T00:00:00Z","total":-5}`},
		{"zero_quantity", TopicPurchases, `{"event_id":"p11","user_id":"u1","type":"purchase","ts":"2026-01-01T00:00:00Z","items":[{"product_id":"A","price":1,"quantity":0}]}`},
		{"no_amount", TopicPurchases, `{"event_id":"p12","user_id":"u1","type":"purchase","ts":"2026-01-01T00:00:00Z"}`},
		{"unknown_currency", TopicPurchases, `{"event_id":"p13","user_id":"u1","type":"purchase","ts":"2026-01-01T00:00:00Z","total":5,"currency":"XXX"}`},
		{"nan", TopicPurchases, `{"event_id":"p14","user_id":"u1","type":"purchase","ts":"2026-01-01T00:00:00Z","total":NaN}`},
	}
	out := make([]Poison, len(list))
	for i, p := range list {
		out[i] = Poison{Class: p.class, Topic: p.topic, Key: []byte("poison"), Value: []byte(p.value)}
	}
	return out
}
