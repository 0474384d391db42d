package profile

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/segmentio/kafka-go"

	"profilestream/schemas"
)

// sameRecord compares what records say, not the names that they keep.
var sameRecord = cmp.Options{cmpopts.IgnoreUnexported(Record{}), cmpopts.EquateEmpty()}

// appendRecord encodes any record.
func appendRecord(dst []byte, r *Record) []byte {
	switch r.Kind {
	case KindEvent:
		return AppendEvent(dst, &r.Event)
	case KindWatermark:
		return AppendWatermark(dst, &r.Watermark)
	case KindSourceSet:
		return AppendSourceSet(dst, &r.SourceSet)
	case KindErase:
		return AppendErase(dst, &r.Erase)
	}
	return AppendRescore(dst, &r.Rescore)
}

type namedRecord struct {
	name   string
	record Record
}

// goldenRecords are records of every kind. Their bytes are in testdata/records.txt.
func goldenRecords(tb testing.TB) []namedRecord {
	tb.Helper()
	shop := Source{Epoch: 2, Topic: "eu.shop.clickstream", Partition: 7}
	records := []namedRecord{
		{"watermark", Record{Kind: KindWatermark, Watermark: Watermark{Source: shop, WMillis: 1767607200000, NextOffset: 500, Records: 480, Rejected: 3}}},
		{"watermark_before_1970", Record{Kind: KindWatermark, Watermark: Watermark{Source: Source{Topic: "clickstream"}, WMillis: -1}}},
		{"source_set", Record{Kind: KindSourceSet, SourceSet: SourceSet{Sources: []Source{{Topic: "clickstream"}, {Topic: "purchases", Partition: 1}, shop}}}},
		{"source_set_empty", Record{Kind: KindSourceSet}},
		{"erase", Record{Kind: KindErase, Erase: Erase{User: []byte("c-1042"), Positions: []Position{{Source: shop, NextOffset: 12}, {Source: Source{Topic: "purchases"}, NextOffset: 1 << 40}}}}},
		{"rescore", Record{Kind: KindRescore, Rescore: Rescore{Promotion: 41}}},
	}
	for i, g := range schemas.GoldenEvents() {
		p, _ := testParser(tb)
		kind, _ := KindOfTopic(g.Topic)
		r := Record{Kind: KindEvent, Event: Event{Source: Source{Topic: g.Topic, Partition: int32(i)}, Offset: int64(1000 * i)}}
		switch i % 4 {
		case 0:
			r.Event.Key = []byte("c-1042")
		case 1:
			r.Event.Key = []byte{0, 0xff}
		case 2:
			r.Event.Key = []byte{}
		}
		if reject := p.Parse(g.Value, kind, 1767607200250, &r.Event); reject != nil {
			tb.Fatalf("%s: %v", g.Name, reject)
		}
		records = append(records, namedRecord{"event_" + g.Name, r})
	}
	return records
}

func TestRecordsHaveTheirGoldenBytes(t *testing.T) {
	text, err := os.ReadFile("testdata/records.txt")
	if err != nil {
		t.Fatal(err)
	}
	golden := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, bytes, _ := strings.Cut(strings.TrimSpace(line), " ")
		golden[name] = bytes
	}
	var written strings.Builder
	for _, c := range goldenRecords(t) {
		value := appendRecord(nil, &c.record)
		written.WriteString(c.name + " " + hex.EncodeToString(value) + "\n")
		if golden[c.name] != hex.EncodeToString(value) {
			t.Errorf("%s: the bytes are others than the golden ones", c.name)
			continue
		}
		var r Record
		if err := DecodeRecord(value, &r); err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if d := cmp.Diff(c.record, r, sameRecord); d != "" {
			t.Errorf("%s: want (-), got (+):\n%s", c.name, d)
		} else if (c.record.Event.Key == nil) != (r.Event.Key == nil) {
			t.Errorf("%s: a nil key and an empty key are mixed up", c.name)
		}
	}
	if t.Failed() {
		t.Logf("if the format's version was raised, the new bytes are:\n%s", written.String())
	}
}

func TestRecordIsAboutAsLongAsItsJSON(t *testing.T) {
	p, _ := testParser(t)
	e := Event{Source: Source{Topic: "clickstream", Partition: 3}, Offset: 1 << 40, Key: []byte("user-00012345")}
	if r := p.Parse([]byte(benchEvent), Clickstream, testNow, &e); r != nil {
		t.Fatal(r)
	}
	if n := len(AppendEvent(nil, &e)) - len(benchEvent); n > 50 {
		t.Fatalf("%d bytes more than the JSON", n)
	}
}

// TestStringsFromElsewhereAreCopied: a slice that only looks as if it were a part of the raw value,
// by its capacity, must not become a reference.
func TestStringsFromElsewhereAreCopied(t *testing.T) {
	raw := append(make([]byte, 0, 16), "0123456789abcdef"...)
	e := Event{
		Source: Source{Topic: "x"}, Type: TypeFeedback, Raw: raw, User: append(make([]byte, 0, 8), "user"...), Text: raw[4:8],
		Campaign: raw[2:5:5], ID: append([]byte{}, raw[12:]...), Product: Product{PriceMicros: NoPrice, Quantity: 1},
	}
	var r Record
	if err := DecodeRecord(AppendEvent(nil, &e), &r); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(Record{Kind: KindEvent, Event: e}, r, sameRecord); d != "" {
		t.Fatal(d)
	}
}

func TestDecodeRefusesWhatIsNoRecord(t *testing.T) {
	whole := AppendWatermark(nil, &Watermark{Source: Source{Topic: "x"}, NextOffset: 300})
	event := AppendEvent(nil, &Event{Source: Source{Topic: "x"}, Type: TypeSearch, User: []byte("u"), Product: Product{PriceMicros: NoPrice, Quantity: 1}})
	huge := bytes.Repeat([]byte{0xff}, 8)
	for name, c := range map[string]struct {
		value []byte
		want  error
	}{
		"nil":               {nil, ErrRecordCorrupt},
		"one byte":          {[]byte{1}, ErrRecordCorrupt},
		"newer version":     {append([]byte{RecordVersion + 1}, whole[1:]...), ErrRecordVersion},
		"version 0":         {append([]byte{0}, whole[1:]...), ErrRecordVersion},
		"unknown kind":      {[]byte{1, 9, 0}, ErrRecordCorrupt},
		"cut":               {whole[:len(whole)-1], ErrRecordCorrupt},
		"trailing":          {append(bytes.Clone(whole), 0), ErrRecordCorrupt},
		"event of no type":  {append(append(bytes.Clone(event[:3]), 200), event[4:]...), ErrRecordCorrupt},
		"event of flags":    {append(append(bytes.Clone(event[:2]), 0x80), event[3:]...), ErrRecordCorrupt},
		"huge source set":   {append([]byte{1, 3}, append(huge, 0x7f)...), ErrRecordCorrupt},
		"huge user":         {append([]byte{1, 4}, append(huge, 0x7f)...), ErrRecordCorrupt},
		"huge topic":        {append([]byte{1, 2, 0, 0}, append(huge, 0x7f)...), ErrRecordCorrupt},
		"number too long":   {append([]byte{1, 5}, bytes.Repeat([]byte{0xff}, 11)...), ErrRecordCorrupt},
		"negative number":   {append([]byte{1, 5}, append(huge, 0xff, 0x01)...), ErrRecordCorrupt},
		"erase without one": {[]byte{1, 4, 0, 0}, ErrRecordCorrupt},
	} {
		var r Record
		if err := DecodeRecord(c.value, &r); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if n := cap(r.SourceSet.Sources) + cap(r.Erase.Positions) + cap(r.Event.Items); n > 64 {
			t.Errorf("%s: room for %d elements", name, n)
		}
	}
}

func TestDecodeDoesNotAllocate(t *testing.T) {
	for _, c := range goldenRecords(t) {
		value := appendRecord(nil, &c.record)
		var r Record
		if n := testing.AllocsPerRun(20, func() {
			if err := DecodeRecord(value, &r); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}

func TestTopicNamesAreKeptInBounds(t *testing.T) {
	var r Record
	for i := range 3 * maxInternedTopics {
		name := strings.Repeat("t", i+1)
		value := AppendWatermark(nil, &Watermark{Source: Source{Topic: name}})
		if err := DecodeRecord(value, &r); err != nil || r.Watermark.Source.Topic != name {
			t.Fatalf("topic of %d letters: %v, %q", i+1, err, r.Watermark.Source.Topic)
		}
	}
	if len(r.topics) > maxInternedTopics {
		t.Fatalf("%d names are kept", len(r.topics))
	}
}

func TestPartitionEqualsJavas(t *testing.T) {
	// From the tests of Kafka's own Utils.murmur2.
	for key, want := range map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536,
		"a-little-bit-longer-string": -1486304829, "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971, "abc": 479470107,
	} {
		if got := int32(murmur2([]byte(key))); got != want {
			t.Errorf("murmur2(%q) = %d, want %d", key, got, want)
		}
	}
	partitions := make([]int, 12)
	for i := range partitions {
		partitions[i] = i
	}
	balancer := kafka.Murmur2Balancer{Consistent: true}
	key := []byte("")
	for i := range 500 {
		want := balancer.Balance(kafka.Message{Key: key}, partitions...)
		if got := Partition(key, 12); int(got) != want {
			t.Fatalf("partition of %q is %d, want %d", key, got, want)
		}
		key = append(key, byte(i*37))
		if len(key) > 40 {
			key = key[7:]
		}
	}
}

func FuzzDecodeRecord(f *testing.F) {
	for _, c := range goldenRecords(f) {
		f.Add(appendRecord(nil, &c.record))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		var r, again Record
		if DecodeRecord(value, &r) != nil {
			return
		}
		encoded := appendRecord(nil, &r)
		if err := DecodeRecord(encoded, &again); err != nil {
			t.Fatalf("encoding what was decoded: %v", err)
		}
		if d := cmp.Diff(r, again, sameRecord); d != "" {
			t.Fatal(d)
		}
		if twice := appendRecord(nil, &again); !bytes.Equal(encoded, twice) {
			t.Fatalf("not one encoding: %x, %x", encoded, twice)
		}
	})
}
