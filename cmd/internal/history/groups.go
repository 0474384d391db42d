package history

import (
	"bytes"
	"encoding/json"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"profilestream/schemas"
)

// unknownGroup is the group of rows whose history does not say.
const unknownGroup = "unknown"

// country reads an event's field country, which the pipeline itself ignores.
func country(value []byte) string {
	if !bytes.Contains(value, []byte(`"country"`)) {
		return ""
	}
	var e struct {
		Country any `json:"country"`
	}
	if json.Unmarshal(value, &e) != nil {
		return ""
	}
	name, _ := e.Country.(string)
	return name
}

// Groups cut rows into groups that the features do not tell: by the country of
// the user's newest event up to the row's time. Histories without countries have
// none.
func (h *History) Groups(rows []arrow.Record) map[string][]string {
	h.sorted()
	byUser := map[string][]int{}
	for i := range h.events {
		if e := &h.events[i]; e.country != "" {
			byUser[e.user] = append(byUser[e.user], i)
		}
	}
	if len(byUser) == 0 {
		return nil
	}
	var of []string
	for _, rec := range rows {
		ids := rec.Column(schemas.ColUserID).(*array.String)
		at := rec.Column(schemas.ColAsOf).(*array.Timestamp).TimestampValues()
		for i := range at {
			name := unknownGroup
			for _, k := range byUser[ids.Value(i)] {
				if h.events[k].millis > int64(at[i]) {
					break
				}
				name = h.events[k].country
			}
			of = append(of, name)
		}
	}
	return map[string][]string{"country": of}
}
