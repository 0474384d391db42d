package simulate

import "profilestream/schemas"

// PoisonCorpus is the golden corpus of records that admission must dead-letter.
// huge adds those that a topic with default settings does not take.
func PoisonCorpus(huge bool) []Poison {
	var out []Poison
	for _, c := range schemas.Poison() {
		if c.Huge() && !huge {
			continue
		}
		out = append(out, Poison{Class: c.Class, Topic: c.Topic, Key: []byte("poison"), Value: c.Value})
	}
	return out
}
