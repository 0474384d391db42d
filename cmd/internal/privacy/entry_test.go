package privacy

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"profilestream/profile"
)

// golden is a record of the topic of erasures, as every later program has to read it.
const golden = `{"format":1,"key_id":"8a0031d9","erased_at":"2026-11-26T13:03:40Z",` +
	`"positions":[{"topic":"clickstream","partition":0,"end":616},{"topic":"purchases","partition":1,"end":11}],` +
	`"logs":[{"topic":"profile.live.events","partition":3,"offset":87,"epochs":[2,0]},{"topic":"profile.next.events","partition":0,"offset":-1}],` +
	`"runs":["live","next","shadow"],"reads":{"shadow":"profile.live.events"}}`

var goldenKey = strings.Repeat("0f", 32)

func goldenEntry() Entry {
	return Entry{
		Format: 1, Key: "8a0031d9", ErasedAt: time.Date(2026, 11, 26, 13, 3, 40, 0, time.UTC),
		Positions: []Position{{"clickstream", 0, 616}, {"purchases", 1, 11}},
		Logs:      []Log{{"profile.live.events", 3, 87, []int32{2, 0}}, {"profile.next.events", 0, -1, nil}},
		Runs:      []string{"live", "next", "shadow"}, Reads: map[string]string{"shadow": "profile.live.events"},
	}
}

func TestEntryIsReadAndWrittenAsItWasAgreed(t *testing.T) {
	h, e, err := decodeEntry([]byte(goldenKey), []byte(golden))
	if err != nil || h.String() != goldenKey {
		t.Fatalf("%s, %v", h, err)
	}
	if d := cmp.Diff(goldenEntry(), e); d != "" {
		t.Error(d)
	}
	if b, err := e.encode(); err != nil || string(b) != golden {
		t.Errorf("%v\n%s", err, b)
	}
}

func TestEntryThatCannotBeObeyedIsRefused(t *testing.T) {
	change := func(old, new string) string {
		if !strings.Contains(golden, old) {
			t.Fatalf("no %s", old)
		}
		return strings.Replace(golden, old, new, 1)
	}
	for name, c := range map[string]struct{ key, value string }{
		"a key that is no hash":         {"u0744386", golden},
		"a key longer than a hash":      {goldenKey + "00", golden},
		"a short key":                   {goldenKey[2:], golden},
		"no JSON":                       {goldenKey, golden[1:]},
		"a newer format":                {goldenKey, change(`"format":1`, `"format":2`)},
		"a field of a newer program":    {goldenKey, change(`"format":1`, `"format":1,"also":"forget"`)},
		"data after it":                 {goldenKey, golden + "{}"},
		"no key id":                     {goldenKey, change("8a0031d9", "")},
		"no time":                       {goldenKey, change(`"erased_at":"2026-11-26T13:03:40Z",`, "")},
		"a position before the log":     {goldenKey, change(`"end":616`, `"end":-1`)},
		"a place before any":            {goldenKey, change(`"offset":87`, `"offset":-2`)},
		"more epochs than positions":    {goldenKey, change(`[2,0]`, `[2,0,1]`)},
		"a log of no name":              {goldenKey, change(`"topic":"profile.next.events"`, `"topic":""`)},
		"a position in a topic of none": {goldenKey, change(`"topic":"purchases"`, `"topic":""`)},
	} {
		if _, e, err := decodeEntry([]byte(c.key), []byte(c.value)); err == nil {
			t.Errorf("%s: read as %+v", name, e)
		}
	}
}

// TestEntryInTermsOfARun: each run hears of the offsets in the epochs in which it
// reads them, one that had no log then in the first.
func TestEntryInTermsOfARun(t *testing.T) {
	e := goldenEntry()
	for run, want := range map[string]int32{"live": 2, "shadow": 2, "next": 0, "later": 0} {
		got := e.erase([]byte("u"), e.logOf(run))
		if d := cmp.Diff(profile.Erase{User: []byte("u"), Positions: []profile.Position{
			{Source: profile.Source{Topic: "clickstream", Epoch: want}, NextOffset: 616}, {Source: profile.Source{Topic: "purchases", Partition: 1}, NextOffset: 11},
		}}, got); d != "" {
			t.Errorf("run %s: %s", run, d)
		}
	}
}

func FuzzEntry(f *testing.F) {
	f.Add([]byte(goldenKey), []byte(golden))
	f.Add([]byte(goldenKey), []byte("{}"))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		h, e, err := decodeEntry(key, value)
		if err != nil {
			return
		}
		b, err := e.encode()
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		h2, e2, err := decodeEntry([]byte(h.String()), b)
		if err != nil || h != h2 || !e.ErasedAt.Equal(e2.ErasedAt) {
			t.Fatalf("%+v became %+v: %v", e, e2, err)
		}
	})
}
