package models

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"profilestream/schemas"
)

const (
	sumA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	sumB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	idA  = "aaaaaaaaaaaaaaaa"
	idB  = "bbbbbbbbbbbbbbbb"
)

func sample() Record {
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	return Record{Format: 1, Run: "live", Rescored: true, Promotions: []Promotion{
		{Number: 1, Bundle: idA, Manifest: sumA, At: at},
		{Number: 2, Bundle: idB, Manifest: sumB, Forced: true, At: at.Add(time.Hour)},
		{Number: 4, Bundle: idA, Manifest: sumA, Repeats: 1, At: at.Add(2 * time.Hour)},
	}}
}

// TestRecordBytes holds the bytes that stand in a topic for ever.
func TestRecordBytes(t *testing.T) {
	golden, err := os.ReadFile(filepath.Join("testdata", "record.json"))
	if err != nil {
		t.Fatal(err)
	}
	want := sample()
	have, err := want.encode()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.TrimSpace(string(golden)), string(have)); d != "" {
		t.Error(d)
	}
	back, err := decodeRecord("live", have)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, back); d != "" {
		t.Error(d)
	}
}

func TestWrongRecordsAreRefused(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*Record){
		"another format":      func(r *Record) { r.Format = 2 },
		"another run":         func(r *Record) { r.Run = "other" },
		"no promotion":        func(r *Record) { r.Promotions = nil },
		"too many":            func(r *Record) { r.Promotions = make([]Promotion, maxKept+1) },
		"falling numbers":     func(r *Record) { r.Promotions[1].Number = 1 },
		"number too large":    func(r *Record) { r.Promotions[2].Number = schemas.MaxPromotion + 1 },
		"a path for an id":    func(r *Record) { r.Promotions[0].Bundle = "../../../../etc" },
		"no hash":             func(r *Record) { r.Promotions[0].Manifest = "" },
		"rolls back to later": func(r *Record) { r.Promotions[0].Repeats = 1 },
	} {
		r := sample()
		spoil(&r)
		value, err := r.encode()
		if err != nil {
			continue
		}
		if _, err := decodeRecord("live", value); err == nil {
			t.Errorf("%s: was read", name)
		}
	}
}

func FuzzDecodeRecord(f *testing.F) {
	r := sample()
	value, err := r.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(value)
	f.Add([]byte(`{"format":1,"run":"live","rescored":false,"promotions":[{"promotion":1}]}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		r, err := decodeRecord("live", value)
		if err != nil {
			return
		}
		again, err := r.encode()
		if err != nil {
			t.Fatalf("read but not written: %v", err)
		}
		back, err := decodeRecord("live", again)
		if err != nil || !cmp.Equal(r, back) {
			t.Fatalf("%v: %s", err, cmp.Diff(r, back))
		}
	})
}

func TestRecordForgetsTheOldest(t *testing.T) {
	r := Record{Run: "live"}
	for n := int64(1); n <= maxKept+5; n++ {
		r = r.with(Promotion{Number: n, Bundle: idA, Manifest: sumA})
	}
	if len(r.Promotions) != maxKept || r.Current().Number != maxKept+5 || r.Promotions[0].Number != 6 {
		t.Errorf("%d promotions from %d to %d", len(r.Promotions), r.Promotions[0].Number, r.Current().Number)
	}
	if _, err := r.encode(); err != nil {
		t.Error(err)
	}
}

func TestTargetOfARollback(t *testing.T) {
	for name, c := range map[string]struct {
		to       int64
		rescored bool
		want     int64 // 0: an error
	}{
		"the newest of another bundle": {0, true, 2},
		"by number":                    {1, true, 1},
		"the one at work":              {4, true, 0},
		"unknown":                      {3, true, 0},
		"one that was cut off":         {0, false, 1},
	} {
		r := sample()
		r.Rescored = c.rescored
		p, err := Target(&r, c.to)
		if (err != nil) != (c.want == 0) || p.Number != c.want {
			t.Errorf("%s: %d, %v", name, p.Number, err)
		}
	}
	only := Record{Run: "live", Promotions: sample().Promotions[:1]}
	if _, err := Target(&only, 0); err == nil {
		t.Error("a first promotion was rolled back")
	}
}
