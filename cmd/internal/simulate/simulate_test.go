package simulate

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func smallOptions() Options {
	o := DefaultOptions()
	o.Users, o.Events, o.PoisonCorpus = 300, 30_000, PoisonCorpus(false)
	return o
}

func collect(t *testing.T, o Options) (*Shop, []Event) {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	var all []Event
	if err := s.Events(func(e Event) error { all = append(all, e); return nil }); err != nil {
		t.Fatal(err)
	}
	return s, all
}

func TestSameSeedSameBytes(t *testing.T) {
	dirs := []string{t.TempDir(), t.TempDir(), t.TempDir()}
	for i, dir := range dirs {
		o := smallOptions()
		if i == 2 {
			o.Seed++
		}
		if _, err := WriteDir(context.Background(), o, dir, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{FileClickstream, FilePurchases, FileTruth, FileFeedbackTruth, FileSummary} {
		var content [3][]byte
		for i, dir := range dirs {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			content[i] = b
		}
		if len(content[0]) == 0 || !bytes.Equal(content[0], content[1]) {
			t.Errorf("%s: %d and %d bytes, not the same", name, len(content[0]), len(content[1]))
		}
		if bytes.Equal(content[0], content[2]) {
			t.Errorf("%s: another seed gave the same bytes", name)
		}
	}
}

func TestEveryValidEventKeepsTheContract(t *testing.T) {
	o := smallOptions()
	_, all := collect(t, o)
	byID := map[string][]byte{}
	for _, e := range all {
		if e.Kind == KindPoison {
			continue
		}
		user, id, kind, millis, err := checkValue(e.Topic, e.Value)
		if err != nil {
			t.Fatalf("%s: %v", e.Value, err)
		}
		if user != e.User || id != e.ID || kind != e.Type || millis != e.TimeMillis {
			t.Fatalf("%s: is not %+v", e.Value, e)
		}
		if e.KafkaMillis < e.TimeMillis {
			t.Fatalf("%s: arrived before it happened", e.Value)
		}
		if first, seen := byID[id]; id != "" && seen != (e.Kind == KindDuplicate) {
			t.Fatalf("%s: %v, first %s", e.Value, e.Kind, first)
		} else if seen && !bytes.Equal(first, e.Value) {
			t.Fatalf("%s: second copy of %s differs", e.Value, first)
		}
		if id != "" {
			byID[id] = e.Value
		}
	}
}

func TestArrivalsAreAsAsked(t *testing.T) {
	o := smallOptions()
	o.Users, o.Events, o.Poison = 600, 60_000, 0.02
	s, all := collect(t, o)
	sum := s.Summary()
	within := func(name string, got, want, slack float64) {
		t.Helper()
		if got < want*(1-slack) || got > want*(1+slack) {
			t.Errorf("%s is %.4f, want %.4f", name, got, want)
		}
	}
	n := float64(sum.Events)
	within("events", n, float64(o.Events), 0.05)
	within("disorder", float64(sum.ByKind["delayed"])/n, o.Disorder, 0.08)
	within("late", float64(sum.ByKind["late"])/n, o.Late, 0.25)
	within("duplicates", float64(sum.ByKind["duplicate"])/n, o.Duplicates, 0.2)
	within("poison", float64(sum.ByKind["poison"])/n, o.Poison, 0.15)
	if len(sum.ByPoison) != len(PoisonCorpus(false)) {
		t.Errorf("%d classes of poison, want %d", len(sum.ByPoison), len(PoisonCorpus(false)))
	}
	newest, last := map[string]int64{}, int64(0)
	for _, e := range all {
		if e.KafkaMillis < last {
			t.Fatalf("record at %d after one at %d", e.KafkaMillis, last)
		}
		last = e.KafkaMillis
		if e.Kind == KindPoison {
			continue
		}
		closes := e.TimeMillis - e.TimeMillis%dayMillis + dayMillis + o.Lateness.Milliseconds()
		w := min(newest[TopicClickstream], newest[TopicPurchases])
		if e.Kind == KindLate && w < closes {
			t.Errorf("event of %d is not late: time is at %d, its day closes at %d", e.TimeMillis, w, closes)
		}
		if e.Kind != KindLate && w >= closes {
			t.Errorf("%v event of %d is late", e.Kind, e.TimeMillis)
		}
		newest[e.Topic] = max(newest[e.Topic], e.TimeMillis)
	}
}

func TestArrivalOptionsChangeNoEvent(t *testing.T) {
	clean := smallOptions()
	clean.Disorder, clean.Late, clean.Duplicates, clean.Poison = 0, 0, 0, 0
	_, a := collect(t, clean)
	_, b := collect(t, smallOptions())
	count := func(list []Event) map[string]int {
		m := map[string]int{}
		for _, e := range list {
			if e.Kind != KindDuplicate && e.Kind != KindPoison {
				m[string(e.Value)]++
			}
		}
		return m
	}
	if d := cmp.Diff(count(a), count(b)); d != "" {
		t.Errorf("events differ: %.2000s", d)
	}
}

func TestTruthIsConsistent(t *testing.T) {
	o := smallOptions()
	s, all := collect(t, o)
	last, first, bots := map[string]int64{}, map[string]int64{}, map[string]int{}
	for _, e := range all {
		if e.Kind == KindPoison {
			continue
		}
		last[e.User] = max(last[e.User], e.TimeMillis)
		if f, ok := first[e.User]; !ok || e.TimeMillis < f {
			first[e.User] = e.TimeMillis
		}
		bots[e.User]++
	}
	users, dropped, botCount := 0, 0, 0
	seen := map[string]bool{}
	if err := s.Truth(func(u Truth) error {
		users++
		if seen[u.User] {
			t.Errorf("user %s twice", u.User)
		}
		seen[u.User] = true
		if l, ok := last[u.User]; ok && !u.DroppedOut.IsZero() && l > u.DroppedOut.UnixMilli() {
			t.Errorf("%s dropped out at %v, last event at %v", u.User, u.DroppedOut, time.UnixMilli(l).UTC())
		}
		if f, ok := first[u.User]; ok && f < u.Joined.UnixMilli() {
			t.Errorf("%s has an event before joining", u.User)
		}
		if !u.DroppedOut.IsZero() {
			dropped++
		}
		if u.Bot {
			botCount++
		} else if u.PurchasesPerDay <= 0 || u.ExpectedSpend90d <= 0 {
			t.Errorf("%s: no rate or spend", u.User)
		}
		sum := 0.0
		for _, i := range u.Interests {
			sum += i.Weight
		}
		if sum < 0.999999 || sum > 1.000001 {
			t.Errorf("%s: interests sum to %v", u.User, sum)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if users != o.Users || botCount != 2 || dropped < users/5 || dropped > users/2 {
		t.Errorf("%d users, %d bots, %d dropped out", users, botCount, dropped)
	}
	if sum := s.Summary(); int(sum.DroppedOut) != dropped {
		t.Errorf("summary says %d dropped out, truth %d", sum.DroppedOut, dropped)
	}
}

func TestLinesCarryTheRecords(t *testing.T) {
	for name, e := range map[string]Event{
		"plain":        {KafkaMillis: 5, Key: []byte("k"), Value: []byte(`{"a":"b\n"}`)},
		"no key":       {KafkaMillis: 6, Value: []byte("x\x00y")},
		"not UTF-8":    {KafkaMillis: 7, Key: []byte("\xff"), Value: []byte("\xe9")},
		"tombstone":    {KafkaMillis: 9, Key: []byte("k")},
		"empty, empty": {KafkaMillis: 8, Key: []byte{}, Value: []byte{}},
	} {
		var got struct {
			KafkaTS     int64 `json:"kafka_ts"`
			Key         *string
			Value       *string
			KeyBase64   []byte `json:"key_base64"`
			ValueBase64 []byte `json:"value_base64"`
		}
		if err := json.Unmarshal(AppendLine(nil, &e), &got); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		key, value := got.KeyBase64, got.ValueBase64
		if got.Key != nil {
			key = []byte(*got.Key)
		}
		if got.Value != nil {
			value = []byte(*got.Value)
		}
		if got.KafkaTS != e.KafkaMillis || !bytes.Equal(key, e.Key) || (key == nil) != (e.Key == nil) || (value == nil) != (e.Value == nil) || !bytes.Equal(value, e.Value) {
			t.Errorf("%s: %s", name, AppendLine(nil, &e))
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for want, change := range map[string]func(*Options){
		"users": func(o *Options) { o.Users = 0 }, "days": func(o *Options) { o.Days = 0 }, "events": func(o *Options) { o.Events = -1 },
		"disorder": func(o *Options) { o.Disorder = 2 }, "late": func(o *Options) { o.Late = -1 }, "poison": func(o *Options) { o.PoisonCorpus = nil },
		"start": func(o *Options) { o.Start = time.Time{} }, "foreign-currency": func(o *Options) { o.Foreign = 0.1 },
		"max-disorder": func(o *Options) { o.MaxDisorder = 1000 * time.Hour },
	} {
		o := smallOptions()
		change(&o)
		if _, err := New(o); err == nil || !bytes.HasPrefix([]byte(err.Error()), []byte(want)) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestCommandWritesAFolder(t *testing.T) {
	dir := t.TempDir()
	c := Command()
	c.SetOut(io.Discard)
	c.SetErr(io.Discard)
	c.SetArgs([]string{"--out", dir, "--users", "40", "--events", "2000", "--days", "30", "--foreign", "0.2"})
	if err := c.ExecuteContext(context.Background()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, FilePurchases))
	if err != nil || !bytes.Contains(b, []byte(`USD`)) {
		t.Errorf("no foreign order in %d bytes: %v", len(b), err)
	}
}

func BenchmarkEvents(b *testing.B) {
	n := int64(0)
	for b.Loop() {
		s, err := New(smallOptions())
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Events(func(Event) error { n++; return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
}
