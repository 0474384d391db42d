package profile

import (
	"syscall"
	"testing"
	"time"
)

// Inputs of the benchmarks: a usual event of about 300 B, one with escapes and Chinese, and a
// purchase of three items.
const (
	benchEvent = `{"event_id":"0b5f7a52-7c0a-4d3e-9a41-6f1f6f2f9a10","user_id":"user-00012345","type":"product_view","ts":"2026-03-14T09:26:53.589Z","product":{"id":"SKU-004217","name":"Waterproof hiking boots, size 42","category":"outdoor/footwear","price":129.99},"channel":"web","url":"https://shop.example/p/SKU-004217?ref=home"}`

	benchEscapes = `{"event_id":"0b5f7a52-7c0a-4d3e-9a41-6f1f6f2f9a10","user_id":"user-00012345","type":"product_view","ts":1773480413589,"product":{"id":"SKU-004217","name":"防水登山鞋 \"Größe 42\"","category":"户外/鞋类","price":129.99},"channel":"web","url":"https:\/\/shop.example\/p\/SKU-004217"}`

	benchPurchase = `{"event_id":"0b5f7a52-7c0a-4d3e-9a41-6f1f6f2f9a10","user_id":"user-00012345","type":"purchase","ts":"2026-03-14T09:26:53.589Z","order_id":"A-10293847","items":[{"product_id":"SKU-1","name":"Mug","category":"kitchen","price":7.95,"quantity":2},{"product_id":"SKU-2","name":"Tea","category":"food","price":4.5,"quantity":1},{"product_id":"SKU-3","name":"Kettle","category":"kitchen","price":34,"quantity":1}],"currency":"GBP"}`
)

func benchParser(tb testing.TB) *Parser {
	tb.Helper()
	p, err := NewParser(ParserConfig{MaxFutureSkewMillis: 300_000, Currency: "GBP", Rates: map[string]string{"USD": "0.79"}})
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// cpuNanos is the CPU time of the process so far: on a shared machine the elapsed time says
// little. Call the result at the end of a benchmark; it reports CPU time for each iteration.
func cpuNanos(b *testing.B) func() {
	now := func() int64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	start := now()
	return func() { b.ReportMetric(float64(now()-start)/float64(b.N), "cpu-ns/op") }
}

func BenchmarkParse(b *testing.B) {
	now := time.Date(2026, 3, 14, 9, 27, 0, 0, time.UTC).UnixMilli()
	for _, c := range []struct {
		name, value string
		kind        TopicKind
	}{
		{"event", benchEvent, Clickstream},
		{"escapes", benchEscapes, Clickstream},
		{"purchase", benchPurchase, Purchases},
	} {
		b.Run(c.name, func(b *testing.B) {
			p, value := benchParser(b), []byte(c.value)
			var e Event
			b.SetBytes(int64(len(value)))
			b.ReportAllocs()
			defer cpuNanos(b)()
			for b.Loop() {
				if r := p.Parse(value, c.kind, now, &e); r != nil {
					b.Fatal(r)
				}
			}
		})
	}
}

func BenchmarkRecord(b *testing.B) {
	p, value := benchParser(b), []byte(benchEvent)
	e := Event{Source: Source{Topic: "clickstream", Partition: 3}, Offset: 1234567, Key: []byte("user-00012345")}
	if r := p.Parse(value, Clickstream, 1773480413789, &e); r != nil {
		b.Fatal(r)
	}
	record := AppendEvent(nil, &e)
	b.Run("append", func(b *testing.B) {
		b.SetBytes(int64(len(record)))
		b.ReportAllocs()
		defer cpuNanos(b)()
		for b.Loop() {
			record = AppendEvent(record[:0], &e)
		}
	})
	b.Run("decode", func(b *testing.B) {
		var r Record
		b.SetBytes(int64(len(record)))
		b.ReportAllocs()
		defer cpuNanos(b)()
		for b.Loop() {
			if err := DecodeRecord(record, &r); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("partition", func(b *testing.B) {
		b.ReportAllocs()
		defer cpuNanos(b)()
		for b.Loop() {
			Partition(e.User, 8)
		}
	})
}
