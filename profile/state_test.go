package profile

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update-state-golden", false, "write the golden state records anew")

// goldenPartition is a small state that has a bit of everything.
func goldenPartition(t testing.TB) *LogPartition {
	p, err := NewPartition(Config{Partition: 2, LatenessMillis: dayMillis, MaxEventsUserDay: 3, ConfigVersion: "golden"})
	if err != nil {
		t.Fatal(err)
	}
	click, buy := Source{Topic: "clickstream"}, Source{Epoch: 1, Topic: "eu.purchases", Partition: 4}
	start := dayStart(20_000)
	product := Product{ID: []byte("sku-1"), Name: []byte("Kettle"), Category: []byte("kitchen"), PriceMicros: NoPrice, Quantity: 1}
	event := func(s Source, offset, at int64, typ Type) *Record {
		e := Event{Source: s, Offset: offset, KafkaMillis: at + 7, TimeMillis: at, Type: typ, User: []byte("ann"),
			ID: fmt.Append(nil, "e", offset), Text: []byte("Good."), Query: []byte("tea")}
		if typ == TypePurchase {
			e.Items, e.Quantity, e.AmountMicros = []Product{product}, 2, 9_990_000
		} else {
			e.Product = product
		}
		return &Record{Kind: KindEvent, Event: e}
	}
	for i, r := range []*Record{
		{Kind: KindSourceSet, SourceSet: SourceSet{Sources: []Source{click, buy}}},
		event(click, 0, start+hourMillis, TypeProductView),
		event(buy, 0, start+2*hourMillis, TypePurchase),
		event(click, 1, start+2*dayMillis+1, TypeFeedback),
		event(click, 2, start+3*dayMillis, TypeSearch),
		event(click, 3, start+3*dayMillis+slotMillis, TypeAddToCart),
		event(click, 4, start+3*dayMillis+slotMillis, TypePageView),
		event(click, 5, start+3*dayMillis+slotMillis, TypePageView),
		{Kind: KindRescore, Rescore: Rescore{Promotion: 3}},
		{Kind: KindWatermark, Watermark: Watermark{Source: click, WMillis: start + 3*dayMillis, NextOffset: 6, Records: 7, Rejected: 1}},
		{Kind: KindWatermark, Watermark: Watermark{Source: buy, WMillis: start + 3*dayMillis, NextOffset: 1, Records: 1}},
	} {
		if err := p.Apply(int64(i), r); err != nil {
			t.Fatal(err)
		}
	}
	for p.Work(1 << 20) {
	}
	p.days.Take().Release()
	p.TakeDiverted()
	return p
}

func stateOf(t testing.TB, p *LogPartition) map[string][]byte {
	state := map[string][]byte{}
	if err := p.Changes(LastRecord{CRC: 0xabcd, TimestampMillis: 99}, func(k, v []byte) error {
		state[string(k)] = bytes.Clone(v)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	p.Commit()
	return state
}

func restore(state map[string][]byte, keys []string) (*LogPartition, error) {
	p, err := NewPartition(Config{Partition: 2, LatenessMillis: dayMillis, MaxEventsUserDay: 3, ConfigVersion: "golden"})
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		if err := p.Restore([]byte(k), state[k]); err != nil {
			return nil, err
		}
	}
	return p, p.Start()
}

func TestGoldenStateRecords(t *testing.T) {
	state := stateOf(t, goldenPartition(t))
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(state)) {
		fmt.Fprintf(&b, "%s %s\n", hex.EncodeToString([]byte(k)), hex.EncodeToString(state[k]))
	}
	file := filepath.Join("testdata", "state_v1.golden")
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Fatalf("state records changed without a new StateVersion:\n%swant\n%s", b.String(), want)
	}
	p, err := restore(state, slices.Sorted(maps.Keys(state)))
	if err != nil {
		t.Fatal(err)
	}
	m, ok := p.Marker()
	if !ok || m.Offset != 10 || m.Last != (LastRecord{0xabcd, 99}) || m.Promotion != 3 || m.ConfigVersion != "golden" {
		t.Fatalf("%+v %v", m, ok)
	}
	for _, u := range p.users {
		u.baseDirty = true
		p.markUser(u)
		for d := u.open; d != nil; d = d.older {
			d.dirty = true
		}
	}
	if again := stateOf(t, p); !maps.EqualFunc(again, state, bytes.Equal) {
		t.Fatalf("restored and written again:\n%x\n%x", again, state)
	}
}

func TestDamagedStateIsRefused(t *testing.T) {
	state := stateOf(t, goldenPartition(t))
	keys := slices.Sorted(maps.Keys(state))
	reseal := func(b []byte, version byte) []byte {
		b = bytes.Clone(b[:len(b)-checksumBytes])
		b[0] = version
		return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	}
	for _, k := range keys {
		for i := range state[k] {
			for bit := range 8 {
				s := maps.Clone(state)
				s[k] = bytes.Clone(s[k])
				s[k][i] ^= 1 << bit
				if _, err := restore(s, keys); !errors.Is(err, ErrStateCorrupt) {
					t.Fatalf("record %q, bit %d of byte %d: %v", k, bit, i, err)
				}
			}
			s := maps.Clone(state)
			s[k] = s[k][:i]
			if _, err := restore(s, keys); !errors.Is(err, ErrStateCorrupt) {
				t.Fatalf("record %q cut to %d bytes: %v", k, i, err)
			}
		}
		s := maps.Clone(state)
		s[k] = reseal(s[k], StateVersion+1)
		if _, err := restore(s, keys); !errors.Is(err, ErrStateVersion) {
			t.Fatalf("record %q of a newer version: %v", k, err)
		}
		missing := slices.DeleteFunc(slices.Clone(keys), func(o string) bool { return o == k })
		if _, err := restore(state, missing); !errors.Is(err, ErrStateCorrupt) {
			t.Fatalf("without record %q: %v", k, err)
		}
	}
	other, err := NewPartition(Config{Partition: 2, LatenessMillis: dayMillis, MaxEventsUserDay: 3, ConfigVersion: "other"})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if err := other.Restore([]byte(k), state[k]); err != nil {
			t.Fatal(err)
		}
	}
	if err := other.Start(); !errors.Is(err, ErrConfigChanged) {
		t.Fatalf("another configuration: %v", err)
	}
}

func TestTheNewestRecordOfAKeyCounts(t *testing.T) {
	state := stateOf(t, goldenPartition(t))
	keys := slices.Sorted(maps.Keys(state))
	slices.Reverse(keys)
	p, err := NewPartition(Config{Partition: 2, LatenessMillis: dayMillis, MaxEventsUserDay: 3, ConfigVersion: "golden"})
	if err != nil {
		t.Fatal(err)
	}
	old := appendDay(nil, &openDay{tiles: []slotTile{{counts: counts{events: 1}}}, ids: hashSet{keys: []uint64{1}}, firstOrder: noTime, lastOrder: noTime})
	for _, r := range []struct{ k, v []byte }{
		{appendDayKey(nil, "gone", 20_003), old},
		{appendDayKey(nil, "ann", 20_003), old},
		{appendIDsKey(nil, "gone", 20_003, 0), appendChunk(nil, []uint64{1})},
		{appendDayKey(nil, "gone", 20_003), nil},
		{appendIDsKey(nil, "gone", 20_003, 0), nil},
	} {
		if err := p.Restore(r.k, r.v); err != nil {
			t.Fatal(err)
		}
	}
	for _, k := range keys {
		if err := p.Restore([]byte(k), state[k]); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	if p.Users() != 1 {
		t.Fatalf("%d users, want 1", p.Users())
	}
}

// FuzzState decodes hostile payloads of every kind of record, with a checksum that fits. What is
// accepted must be written and read again as the same.
func FuzzState(f *testing.F) {
	for k, v := range stateOf(f, goldenPartition(f)) {
		f.Add([]byte(k), v[:len(v)-checksumBytes])
	}
	f.Add([]byte("iu\x00\x00\x00\x4e\x20\x00\x00"), appendChunk(nil, []uint64{1, 2})[:17])
	f.Fuzz(func(t *testing.T, key, body []byte) {
		k, err := parseKey(key)
		if err != nil {
			return
		}
		value := seal(bytes.Clone(body), 0)
		again := func(value []byte) []byte {
			t := contents{byHash: map[uint64]*content{}}
			switch k.kind {
			case keyDay:
				d := &openDay{day: k.day}
				ids, err := decodeDay(d, value, &t)
				if err != nil || ids > len(d.ids.keys) {
					return nil
				}
				return appendDay(nil, d)
			case keyBase:
				b, err := decodeBase(value, &t)
				if err != nil || !b.setHashes(b.hashes) {
					return nil
				}
				return appendBase(nil, &user{base: b.base, offset: b.offset, corrected: b.corrected})
			case keyMarker:
				m, err := decodeMarker(value)
				if err != nil {
					return nil
				}
				p := &LogPartition{cfg: Config{ConfigVersion: m.ConfigVersion, Partition: m.Partition}, offset: m.Offset,
					promotion: m.Promotion, rescore: m.rescore, live: m.Live, w: m.w, wSet: m.wSet, ticking: m.ticking,
					ticked: m.ticked, closed: m.closed, ticks: m.ticks, sources: sources{list: m.sources}, next: m.totals}
				return p.appendMarker(nil, m.Last)
			}
			c, err := decodeChunk(value)
			if err != nil {
				return nil
			}
			return appendChunk(nil, c)
		}
		first := again(value)
		if first == nil {
			return
		}
		if second := again(first); !bytes.Equal(first, second) {
			t.Fatalf("kind %q: %x\nthen %x", k.kind, first, second)
		}
	})
}
