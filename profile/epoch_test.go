package profile

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestEpochsOfASource: a set in a later epoch ends the one before, for good.
func TestEpochsOfASource(t *testing.T) {
	at := func(epoch, partition int32) Source {
		return Source{Topic: "clickstream", Partition: partition, Epoch: epoch}
	}
	shop := Source{Topic: "purchases"}
	for name, c := range map[string]struct {
		sets [][]Source
		want []Source
	}{
		"topic made anew":                         {[][]Source{{at(0, 0), at(0, 1), shop}, {at(1, 0), at(1, 1), shop}}, []Source{shop, at(1, 0), at(1, 1)}},
		"one worker has noticed":                  {[][]Source{{at(0, 0), at(0, 1)}, {at(1, 0), at(0, 1)}}, []Source{at(0, 1), at(1, 0)}},
		"made anew with fewer":                    {[][]Source{{at(0, 0), at(0, 1)}, {at(1, 0)}}, []Source{at(1, 0)}},
		"a worker that has not noticed":           {[][]Source{{at(0, 0), at(0, 1)}, {at(1, 0), at(1, 1)}, {at(0, 0), at(0, 1)}}, []Source{at(1, 0), at(1, 1)}},
		"fewer, and one that has not noticed":     {[][]Source{{at(0, 0), at(0, 1)}, {at(1, 0)}, {at(0, 0)}}, []Source{at(1, 0)}},
		"truncated, one partition":                {[][]Source{{at(0, 0), at(0, 1)}, {at(0, 0), at(1, 1)}}, []Source{at(0, 0), at(1, 1)}},
		"metadata that lacks a partition":         {[][]Source{{at(0, 0), at(0, 1)}, {at(0, 0)}}, []Source{at(0, 0), at(0, 1)}},
		"the topic is no input any more":          {[][]Source{{at(0, 0), shop}, {shop}}, []Source{shop}},
		"made anew twice":                         {[][]Source{{at(0, 0)}, {at(1, 0)}, {at(2, 0)}}, []Source{at(2, 0)}},
		"truncated before it was made anew":       {[][]Source{{at(0, 0), at(1, 1)}, {at(2, 0), at(1, 1)}, {at(2, 0), at(2, 1)}}, []Source{at(2, 0), at(2, 1)}},
		"a worker that knows one epoch of it all": {[][]Source{{at(0, 0), at(1, 1)}, {at(0, 0), at(0, 1)}}, []Source{at(0, 0), at(1, 1)}},
	} {
		t.Run(name, func(t *testing.T) {
			var s sources
			for _, set := range c.sets {
				s.setListed(&SourceSet{Sources: set})
			}
			var got []Source
			for _, l := range s.list {
				if l.listed {
					got = append(got, l.Source)
				}
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestEpochKeepsTime: the offsets of a new epoch begin anew and count, W waits
// for its first watermark and never falls, and what the epoch before counted
// stays counted. The marker keeps all of it.
func TestEpochKeepsTime(t *testing.T) {
	cfg := Config{LatenessMillis: dayMillis, MaxEventsUserDay: 100}
	p, err := NewPartition(cfg)
	if err != nil {
		t.Fatal(err)
	}
	old, anew := Source{Topic: "clickstream"}, Source{Topic: "clickstream", Epoch: 1}
	const noon = 1_700_000_000_000
	next := int64(0)
	apply := func(r Record) {
		t.Helper()
		if err := p.Apply(next, &r); err != nil {
			t.Fatal(err)
		}
		next++
	}
	event := func(s Source, offset int64) Record {
		return Record{Kind: KindEvent, Event: Event{Source: s, Offset: offset, User: []byte("ann"), Type: TypePageView, TimeMillis: noon, KafkaMillis: noon}}
	}
	apply(Record{Kind: KindSourceSet, SourceSet: SourceSet{Sources: []Source{old}}})
	apply(event(old, 7))
	apply(Record{Kind: KindWatermark, Watermark: Watermark{Source: old, WMillis: noon, NextOffset: 8, Records: 8, Rejected: 7}})
	apply(Record{Kind: KindSourceSet, SourceSet: SourceSet{Sources: []Source{anew}}})
	apply(event(anew, 0))
	apply(event(anew, 7))
	if w, ok := p.W(); !ok || w != noon {
		t.Errorf("W is %d, %v before the new epoch has a watermark", w, ok)
	}
	apply(Record{Kind: KindWatermark, Watermark: Watermark{Source: old, WMillis: noon + 5000, NextOffset: 8, Records: 8, Rejected: 7}}) // of a zombie
	if w, _ := p.W(); w != noon {
		t.Errorf("W is %d after a zombie's watermark", w)
	}
	apply(Record{Kind: KindWatermark, Watermark: Watermark{Source: anew, WMillis: noon + 1000, NextOffset: 8, Records: 2}})
	if w, _ := p.W(); w != noon+1000 {
		t.Errorf("W is %d", w)
	}
	want := []SourceAccount{
		{Source: old, Records: 8, Rejected: 7, Applied: 1, WMillis: noon + 5000, Marked: true},
		{Source: anew, Records: 2, Applied: 2, WMillis: noon + 1000, Listed: true, Marked: true},
	}
	if d := cmp.Diff(want, p.Accounting()); d != "" {
		t.Error(d)
	}
	again, err := NewPartition(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Changes(LastRecord{}, again.Restore); err != nil {
		t.Fatal(err)
	}
	if err := again.Start(); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, again.Accounting()); d != "" {
		t.Errorf("restored: %s", d)
	}
}
