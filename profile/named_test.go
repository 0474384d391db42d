package profile_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"profilestream/profile"
)

func TestNamed(t *testing.T) {
	for name, c := range map[string]struct {
		key, value string
		want       bool
	}{
		"the field":                     {"", `{"user_id":"ann","ts":"soon"}`, true},
		"with escapes":                  {"", `{"user\u005fid" : "a\u006en"}`, true},
		"deep":                          {"", `{"a":[{"user_id":"ann"}]}`, true},
		"given twice":                   {"", `{"user_id":"ann","user_id":"bob"}`, true},
		"in an array":                   {"", `{"user_id":["bob","ann"]}`, true},
		"in an object":                  {"", `{"user_id":{"id":"ann"}}`, true},
		"the key":                       {"ann", `{}`, true},
		"cut off":                       {"", `{"type":"purchase","user_id":"ann"`, true},
		"cut off before the quote":      {"", `{"user_id":"ann`, true},
		"no JSON at all":                {"", `2026-01-01;ann;page_view`, true},
		"an invalid string before it":   {"", "{\"x\":\"\xff\",\"user_id\":\"ann\"}", true},
		"another field":                 {"", `{"user_id":"bob","product":{"id":"ann"}}`, false},
		"in a longer word":              {"", `{"user_id":"joann"`, false},
		"another user":                  {"bob", `{"user_id":"bob"}`, false},
		"larger than what is parsed":    {"", `{"user_id":"ann","pad":"` + strings.Repeat("x", profile.MaxRecordBytes) + `"}`, true},
		"a larger one of somebody else": {"", `{"user_id":"bob","pad":["ann","` + strings.Repeat("x", profile.MaxRecordBytes) + `"]}`, false},
		"nothing":                       {"", ``, false},
	} {
		t.Run(name, func(t *testing.T) {
			got := profile.Named([]byte(c.key), []byte(c.value), func(id []byte) bool { return string(id) == "ann" })
			if got != c.want {
				t.Errorf("%v", got)
			}
		})
	}
	if !profile.Named(nil, []byte(`{"user_id": 12347}`), func(id []byte) bool { return string(id) == "12347" }) {
		t.Error("a number is not found")
	}
}

func TestPseudonymize(t *testing.T) {
	mask := func(dst, id []byte) []byte { return append(dst, "k:"+strings.ToUpper(string(id))...) }
	for name, c := range map[string][2]string{
		"the field":      {`{"user_id":"ann","type":"x"}`, `{"user_id":"k:ANN","type":"x"}`},
		"twice and deep": {`{ "user_id" : "a\u006en", "o":{"user_id":"bob"},"user_id":"c"}`, `{ "user_id" : "k:ANN", "o":{"user_id":"k:BOB"},"user_id":"k:C"}`},
		"a number":       {`{"user_id":12347}`, `{"user_id":0}`},
		"containers":     {`{"user_id":["ann",{"user_id":"b"}],"x":{"user_id":{"id":"ann"}}}`, `{"user_id":[],"x":{"user_id":{}}}`},
		"null":           {`{"user_id":null}`, `{"user_id":null}`},
		"unusable":       {`{"user_id":" Anonymous"}`, `{"user_id":" Anonymous"}`},
		"too long":       {`{"user_id":"` + strings.Repeat("a", 257) + `"}`, `{"user_id":""}`},
		"other fields":   {`{"text":"user_id","user":"ann"}`, `{"text":"user_id","user":"ann"}`},
		"a string of it": {`{"x":["user_id"],"y":"ann"}`, `{"x":["user_id"],"y":"ann"}`},
	} {
		t.Run(name, func(t *testing.T) {
			got := string(profile.Pseudonymize(nil, []byte(c[0]), mask))
			if d := cmp.Diff(c[1], got); d != "" || !json.Valid([]byte(got)) {
				t.Error(d)
			}
		})
	}
}

// TestErasedEventsLeaveNoTrace: what lies below a user's erasure makes no state,
// no row and no late record, and the counts still add up.
func TestErasedEventsLeaveNoTrace(t *testing.T) {
	erase := profile.Erase{User: []byte("user-001"), Positions: []profile.Position{{Source: profile.Source{Topic: "clickstream"}, NextOffset: 1 << 40}}}
	p, err := profile.NewPartition(profile.Config{LatenessMillis: 24 * 3600 * 1000, MaxEventsUserDay: 10, Erased: func(e *profile.Event) bool {
		return string(e.User) == string(erase.User) && erase.Covers(&e.Source, e.Offset)
	}})
	if err != nil {
		t.Fatal(err)
	}
	const day = 24 * 3600 * 1000
	record := profile.Record{Kind: profile.KindEvent}
	offset := int64(0)
	event := func(user string, source profile.Source, at int64) {
		record.Event = profile.Event{Source: source, Offset: offset, TimeMillis: at, KafkaMillis: at, Type: profile.TypePageView, User: []byte(user), Raw: []byte("{}")}
		if err := p.Apply(offset, &record); err != nil {
			t.Fatal(err)
		}
		offset++
	}
	clicks := profile.Source{Topic: "clickstream"}
	event("user-001", clicks, 20_000*day)
	event("user-002", clicks, 20_000*day)
	set := profile.Record{Kind: profile.KindSourceSet, SourceSet: profile.SourceSet{Sources: []profile.Source{clicks}}}
	mark := profile.Record{Kind: profile.KindWatermark, Watermark: profile.Watermark{Source: clicks, WMillis: 20_005 * day, NextOffset: offset, Records: 2}}
	for _, r := range []*profile.Record{&set, &mark} {
		if err := p.Apply(offset, r); err != nil {
			t.Fatal(err)
		}
		offset++
	}
	p.Work(1 << 30)
	event("user-001", clicks, 20_000*day)
	event("user-002", clicks, 20_000*day)
	if late := p.TakeDiverted(); len(late) != 1 {
		t.Errorf("%d late records, want that of the other user", len(late))
	}
	if p.Users() != 1 {
		t.Errorf("%d users", p.Users())
	}
	newer := clicks
	newer.Epoch = 1
	event("user-001", newer, 20_006*day)
	if p.Users() != 2 {
		t.Error("an event of a newer epoch than the erasure is dropped")
	}
	a := p.Accounting()[0]
	if a.Applied != 2 || a.Late != 2 {
		t.Errorf("applied %d, late %d", a.Applied, a.Late)
	}
}
