package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	kgzip "github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/segmentio/kafka-go/protocol"
)

type plainRecord struct {
	Offset, Timestamp int64
	Key, Value        []byte
	Headers           []Header
}

func readAll(d *Decoder) []plainRecord {
	var out []plainRecord
	for r := d.Next(); r != nil; r = d.Next() {
		out = append(out, plainRecord{r.Offset, r.Timestamp, bytes.Clone(r.Key), bytes.Clone(r.Value), r.AppendHeaders(nil)})
	}
	return out
}

func sampleBatch() (*Builder, []plainRecord) {
	want := []plainRecord{
		{0, 1_700_000_000_000, []byte("user-1"), []byte(`{"type":"page_view"}`), []Header{{"schema", []byte("window-rows/1")}, {"empty", nil}}},
		{1, 1_700_000_000_005, nil, []byte("value without a key"), nil},
		{2, 1_699_999_999_000, []byte("tombstone"), nil, nil},
		{3, 1_700_000_000_001, []byte{}, []byte{}, nil},
		{4, 1_700_000_000_002, []byte("long"), bytes.Repeat([]byte("0123456789abcdef"), 60), nil},
	}
	b := new(Builder)
	for _, r := range want {
		b.Add(r.Timestamp, r.Key, r.Value, r.Headers...)
	}
	return b, want
}

func TestRoundTrip(t *testing.T) {
	for _, codec := range []Codec{None, Snappy, LZ4, Zstd} {
		t.Run(codec.String(), func(t *testing.T) {
			b, want := sampleBatch()
			raw, err := b.Encode(codec)
			if err != nil {
				t.Fatal(err)
			}
			var d Decoder
			d.Reset(raw, 0, nil)
			got := readAll(&d)
			if d.Err() != nil || d.Offset() != 5 {
				t.Fatalf("err %v, offset %d, want 5", d.Err(), d.Offset())
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Every build must write the same bytes and read what earlier builds wrote.
func TestGoldenBytes(t *testing.T) {
	const file = "testdata/batch_none.hex"
	b, want := sampleBatch()
	raw, err := b.encode(None, stamp{producerID: 7, epoch: 2, sequence: 40, transaction: true})
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(file, []byte(hex.EncodeToString(raw)+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	golden, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(raw, golden) {
		t.Errorf("encoded bytes changed:\n%x\n%x", raw, golden)
	}
	var d Decoder
	d.Reset(golden, 0, nil)
	if diff := cmp.Diff(want, readAll(&d)); diff != "" {
		t.Error(diff)
	}
	// kafka-go's own reader is an independent opinion on the format.
	var rs protocol.RecordSet
	sized := binary.BigEndian.AppendUint32(nil, uint32(len(golden)))
	if _, err := rs.ReadFrom(bytes.NewReader(append(sized, golden...))); err != nil {
		t.Fatal(err)
	}
	for i := range want {
		r, err := rs.Records.ReadRecord()
		if err != nil {
			t.Fatal(err)
		}
		v, err := protocol.ReadAll(r.Value)
		if err != nil || !bytes.Equal(v, want[i].Value) || r.Offset != want[i].Offset || r.Time.UnixMilli() != want[i].Timestamp {
			t.Errorf("record %d: kafka-go reads offset %d time %v value %q (%v)", i, r.Offset, r.Time, v, err)
		}
	}
}

// reframe replaces a batch's payload and codec, and mends length and checksum.
func reframe(raw []byte, codec Codec, payload []byte) []byte {
	out := append(bytes.Clone(raw[:batchHeaderBytes]), payload...)
	attrs := binary.BigEndian.Uint16(out[21:])&^attrCodec | uint16(codec)
	binary.BigEndian.PutUint16(out[21:], attrs)
	return seal(out)
}

func seal(batch []byte) []byte {
	binary.BigEndian.PutUint32(batch[8:], uint32(len(batch)-12))
	binary.BigEndian.PutUint32(batch[17:], crc32.Checksum(batch[21:], castagnoli))
	return batch
}

func TestForeignCodecs(t *testing.T) {
	b, want := sampleBatch()
	raw, _ := b.Encode(None)
	payload := raw[batchHeaderBytes:]

	var gz bytes.Buffer
	w := kgzip.NewWriter(&gz)
	w.Write(payload)
	w.Close()
	xerial := append([]byte{}, xerialMagic...)
	xerial = append(xerial, 0, 0, 0, 1, 0, 0, 0, 1)
	for _, part := range [][]byte{payload[:50], payload[50:]} {
		block := s2.EncodeSnappy(nil, part)
		xerial = binary.BigEndian.AppendUint32(xerial, uint32(len(block)))
		xerial = append(xerial, block...)
	}
	for name, set := range map[string][]byte{
		"gzip": reframe(raw, Gzip, gz.Bytes()), "xerial snappy": reframe(raw, Snappy, xerial),
	} {
		var d Decoder
		d.Reset(set, 0, nil)
		if diff := cmp.Diff(want, readAll(&d)); diff != "" || d.Err() != nil {
			t.Errorf("%s: %v %s", name, d.Err(), diff)
		}
	}
}

func TestEncodeAllocatesNothing(t *testing.T) {
	key, value, headers := []byte("user"), bytes.Repeat([]byte("abc"), 100), []Header{{"schema", []byte("x")}}
	for _, codec := range []Codec{None, Snappy, LZ4, Zstd} {
		var b Builder
		var d Decoder
		run := func() {
			b.Reset()
			for range 100 {
				b.Add(5, key, value, headers...)
			}
			raw, err := b.Encode(codec)
			if err != nil {
				t.Fatal(err)
			}
			d.Reset(raw, 0, nil)
			n := 0
			for r := d.Next(); r != nil; r = d.Next() {
				n++
			}
			if n != 100 {
				t.Fatalf("%d records: %v", n, d.Err())
			}
		}
		run()
		limit := 0.0
		if codec == LZ4 {
			limit = 4 // the frame reader's own
		}
		if raceEnabled {
			limit = math.Inf(1) // pools drop at random under the race detector
		}
		if got := testing.AllocsPerRun(50, run); got > limit {
			t.Errorf("%v: %v allocations for 100 records", codec, got)
		}
	}
}

// at places a batch in a log.
func at(raw []byte, base int64, attrs uint16, producer int64) []byte {
	out := bytes.Clone(raw)
	binary.BigEndian.PutUint64(out, uint64(base))
	binary.BigEndian.PutUint16(out[21:], binary.BigEndian.Uint16(out[21:])|attrs)
	binary.BigEndian.PutUint64(out[43:], uint64(producer))
	return seal(out)
}

func batchOf(values ...string) []byte {
	var b Builder
	for i, v := range values {
		b.Add(int64(100+i), nil, []byte(v))
	}
	raw, _ := b.Encode(None)
	return bytes.Clone(raw)
}

func marker(base, producer int64, commit byte) []byte {
	var b Builder
	b.Add(1, []byte{0, 0, 0, commit}, []byte{0, 0, 0, 0, 0, 0})
	raw, _ := b.Encode(None)
	return at(raw, base, attrTxn|attrControl, producer)
}

func TestVisibility(t *testing.T) {
	var set []byte
	add := func(b []byte) { set = append(set, b...) }
	add(at(batchOf("a", "b"), 10, 0, -1))
	add(at(batchOf("dropped"), 12, attrTxn, 5))
	add(at(batchOf("kept"), 13, attrTxn, 6))
	add(marker(14, 5, 0))
	add(at(batchOf("second try"), 15, attrTxn, 5))
	add(marker(16, 6, 1))
	add(marker(17, 5, 1))
	aborted := []Aborted{{ProducerID: 5, FirstOffset: 12}}
	cases := []struct {
		name string
		from int64
		want string
		next int64
		set  []byte
	}{
		{"whole", 10, "a b kept second try", 18, set},
		{"from inside a batch", 11, "b kept second try", 18, set},
		{"markers only", 16, "", 18, set},
		{"cut tail", 10, "a b kept second try", 17, set[:len(set)-3]},
		{"nothing", 10, "", 10, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var d Decoder
			d.Reset(c.set, c.from, aborted)
			var got []string
			for r := d.Next(); r != nil; r = d.Next() {
				got = append(got, string(r.Value))
			}
			if strings.Join(got, " ") != c.want || d.Offset() != c.next || d.Err() != nil {
				t.Errorf("got %q, offset %d, err %v; want %q, %d", got, d.Offset(), d.Err(), c.want, c.next)
			}
		})
	}
}

func TestLimitAndPeek(t *testing.T) {
	var d Decoder
	d.Reset(at(batchOf("a", "b", "c", "d"), 0, 0, -1), 0, nil)
	if r := d.Peek(); r == nil || r.Timestamp != 100 || d.Offset() != 0 {
		t.Fatalf("peek: %+v at %d", r, d.Offset())
	}
	take := func(until, n int64) string {
		d.Limit(until, n)
		var s string
		for r := d.Next(); r != nil; r = d.Next() {
			s += string(r.Value)
		}
		return fmt.Sprint(s, d.Offset())
	}
	got := []string{take(101, 9), take(101, 9), take(500, 1), take(500, 9)}
	if diff := cmp.Diff([]string{"ab2", "2", "c3", "d4"}, got); diff != "" {
		t.Error(diff)
	}
	if d.Peek() != nil {
		t.Error("peek at the end")
	}
}

func TestAppendTimeAndCompactedTail(t *testing.T) {
	raw := at(batchOf("a", "b"), 20, attrLogAppend, -1)
	binary.BigEndian.PutUint32(raw[23:], 6) // offsets up to 26 once existed
	binary.BigEndian.PutUint64(raw[35:], 777)
	var d Decoder
	d.Reset(seal(raw), 20, nil)
	got := readAll(&d)
	if len(got) != 2 || got[0].Timestamp != 777 || got[1].Timestamp != 777 || d.Offset() != 27 {
		t.Errorf("%+v, offset %d", got, d.Offset())
	}
	d.Reset(raw, 24, nil)
	if got := readAll(&d); len(got) != 0 || d.Offset() != 27 {
		t.Errorf("%+v, offset %d, want to stand at 27", got, d.Offset())
	}
}

func TestDamageIsReported(t *testing.T) {
	good := at(batchOf("first"), 0, 0, -1)
	b, _ := sampleBatch()
	raw, _ := b.Encode(Zstd)
	second := at(raw, 1, 0, -1)
	for i := 12; i < len(second); i++ {
		if i >= 12 && i < 16 {
			continue // leader epoch: outside the checksum, unused
		}
		set := append(bytes.Clone(good), second...)
		set[len(good)+i] ^= 0x10
		var d Decoder
		d.Reset(set, 0, nil)
		got := readAll(&d)
		if len(got) != 1 || d.Err() == nil || d.Offset() != 1 {
			t.Fatalf("byte %d flipped: %d records, offset %d, err %v", i, len(got), d.Offset(), d.Err())
		}
		if i != 16 && Classify(d.Err()) != Poison {
			t.Fatalf("byte %d flipped: %v is %v", i, d.Err(), Classify(d.Err()))
		}
	}
}

// Small inputs that unpack to much, or say that they do, must neither get through nor take the memory they ask for.
func TestBombsAreRefused(t *testing.T) {
	const limit = 1 << 20
	zeros := make([]byte, 8*limit)
	var gz bytes.Buffer
	w := kgzip.NewWriter(&gz)
	w.Write(zeros)
	w.Close()
	honest := zstdEncoder().EncodeAll([]byte("honest"), nil)
	lying := binary.LittleEndian.AppendUint64([]byte{0x28, 0xb5, 0x2f, 0xfd, 0xe0}, 100<<20) // a frame of 100 MiB
	lying = append(lying, 1, 0, 0)
	for name, c := range map[string]struct {
		codec Codec
		bytes []byte
	}{
		"zstd":             {Zstd, zstdEncoder().EncodeAll(zeros, nil)},
		"zstd lie":         {Zstd, lying},
		"zstd second lies": {Zstd, append(honest, lying...)},
		"lz4":              {LZ4, compressLZ4(nil, zeros)},
		"gzip":             {Gzip, gz.Bytes()},
		"snappy":           {Snappy, s2.EncodeSnappy(nil, zeros)},
		"snappy lie":       {Snappy, append(binary.AppendUvarint(nil, 100<<20), 0)},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		out, err := decompress(c.codec, c.bytes, nil, limit)
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: %d bytes became %d", name, len(c.bytes), len(out))
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 24<<20 {
			t.Errorf("%s: %d bytes took %d MiB", name, len(c.bytes), took>>20)
		}
	}
}

func TestHighlyCompressibleBatches(t *testing.T) {
	zeros := make([]byte, 6<<20)
	for _, codec := range benchCodecs {
		var b Builder
		b.Add(1, nil, zeros)
		raw, err := b.Encode(codec)
		if err != nil {
			t.Fatal(err)
		}
		var d Decoder
		d.Reset(raw, 0, nil)
		if r := d.Next(); r == nil || !bytes.Equal(r.Value, zeros) {
			t.Errorf("%v: %v", codec, d.Err())
		}
	}
}

func TestSplitKeepsEverything(t *testing.T) {
	b, want := sampleBatch()
	first, second := b.split()
	var got []plainRecord
	for _, half := range []*Builder{first, second} {
		raw, _ := half.Encode(None)
		var d Decoder
		d.Reset(raw, 0, nil)
		got = append(got, readAll(&d)...)
	}
	for i := range got {
		got[i].Offset = int64(i)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzDecoder(f *testing.F) {
	for _, codec := range []Codec{None, Snappy, LZ4, Zstd} {
		b, _ := sampleBatch()
		raw, _ := b.Encode(codec)
		f.Add(bytes.Clone(raw), int64(0))
		f.Add(append(bytes.Clone(raw), at(raw, 5, 0, 3)...), int64(6))
	}
	f.Add(marker(3, 4, 0), int64(0))
	f.Fuzz(func(t *testing.T, set []byte, from int64) {
		if from < 0 || len(set) > 1<<16 {
			return
		}
		sealed := bytes.Clone(set)
		for rest := sealed; len(rest) >= batchHeaderBytes; { // reach past the checksum
			size := int64(binary.BigEndian.Uint32(rest[8:])) + 12
			if size < batchHeaderBytes || size > int64(len(rest)) {
				break
			}
			binary.BigEndian.PutUint32(rest[17:], crc32.Checksum(rest[21:size], castagnoli))
			rest = rest[size:]
		}
		for _, s := range [][]byte{set, sealed} {
			var d Decoder
			d.Reset(s, from, []Aborted{{4, 0}})
			next := from
			for r := d.Next(); r != nil; r = d.Next() {
				if r.Offset < next || d.Offset() <= r.Offset {
					t.Fatalf("offset %d after %d, going on at %d", r.Offset, next-1, d.Offset())
				}
				next = r.Offset + 1
				r.Headers(func(k, v []byte) bool { return true })
			}
			if d.Offset() < next {
				t.Fatalf("going on at %d after %d", d.Offset(), next)
			}
			verify(s, from)
		}
	})
}

func TestRandomBytesNeverPanic(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	b, _ := sampleBatch()
	for i := range 10000 {
		raw, _ := b.Encode(Codec([]Codec{None, Snappy, LZ4, Zstd}[i%4]))
		set := bytes.Clone(raw)
		for range 1 + rng.IntN(4) {
			set[rng.IntN(len(set))] = byte(rng.Uint32())
		}
		if i%2 == 0 {
			binary.BigEndian.PutUint32(set[17:], crc32.Checksum(set[21:], castagnoli))
		}
		var d Decoder
		d.Reset(set, 0, nil)
		for d.Next() != nil {
			continue
		}
	}
}
