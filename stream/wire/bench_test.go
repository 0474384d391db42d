package wire

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"profilestream/stream/kafkatest"
)

// benchValues are JSON-like events of about 300 bytes, as different from each other as a shop's are.
func benchValues(n int) [][]byte {
	rng := rand.New(rand.NewPCG(7, 7))
	words := strings.Fields("lamp table chair garden kettle shirt running shoes winter jacket phone case notebook coffee")
	pick := func() string { return words[rng.IntN(len(words))] }
	out := make([][]byte, n)
	for i := range out {
		out[i] = fmt.Appendf(nil, `{"event_id":"%016x","user_id":"u%07d","type":"product_view","ts":%d,"product":{"id":"p%05d","name":"%s %s %s","category":"%s","price":%d.%02d},"url":"https://shop.example/p/%05d?ref=%s","channel":"web","campaign":"%s-%02d","session":"%016x","agent":"desktop"}`,
			rng.Uint64(), rng.IntN(200000), 1_700_000_000_000+int64(i)*37, rng.IntN(20000), pick(), pick(), pick(), pick(), rng.IntN(200), rng.IntN(100), rng.IntN(20000), pick(), pick(), rng.IntN(50), rng.Uint64())
	}
	return out
}

var benchCodecs = []Codec{None, Snappy, LZ4, Zstd}

const benchBatch = 1000

// cpuNanos is the processor time this process has used: on a busy machine the clock on the wall says little.
func cpuNanos() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// reportPerRecord turns a batch's cost since the processor time from into that of one record.
func reportPerRecord(b *testing.B, from int64, records int, encoded int) {
	b.ReportMetric(float64(cpuNanos()-from)/float64(b.N*records), "cpu-ns/record")
	if encoded > 0 {
		b.ReportMetric(float64(encoded)/float64(records), "B/record")
	}
}

func BenchmarkEncode(b *testing.B) {
	values := benchValues(benchBatch)
	for _, codec := range benchCodecs {
		b.Run(codec.String(), func(b *testing.B) {
			var bd Builder
			size := 0
			b.ReportAllocs()
			from := cpuNanos()
			for b.Loop() {
				bd.Reset()
				for i, v := range values {
					bd.Add(int64(i), v[30:38], v)
				}
				raw, err := bd.Encode(codec)
				if err != nil {
					b.Fatal(err)
				}
				size = len(raw)
			}
			reportPerRecord(b, from, benchBatch, size)
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	values := benchValues(benchBatch)
	for _, codec := range benchCodecs {
		b.Run(codec.String(), func(b *testing.B) {
			var bd Builder
			for i, v := range values {
				bd.Add(int64(i), v[30:38], v)
			}
			raw, err := bd.Encode(codec)
			if err != nil {
				b.Fatal(err)
			}
			var d Decoder
			b.ReportAllocs()
			from := cpuNanos()
			for b.Loop() {
				d.Reset(raw, 0, nil)
				n := 0
				for r := d.Next(); r != nil; r = d.Next() {
					n += len(r.Value)
				}
				if d.Err() != nil || n == 0 {
					b.Fatal(d.Err())
				}
			}
			reportPerRecord(b, from, benchBatch, len(raw))
		})
	}
}

// The in-process broker's own work is in these two figures: compare codecs, not systems.
func BenchmarkAppend(b *testing.B) {
	values := benchValues(benchBatch)
	broker := kafkatest.Fake(b)
	c := newClient(b, broker)
	for _, codec := range benchCodecs {
		b.Run(codec.String(), func(b *testing.B) {
			p := c.NewProducer(newTopic(b, c, 1, nil), 0, ProducerConfig{Codec: codec})
			var bd Builder
			b.ReportAllocs()
			from := cpuNanos()
			for b.Loop() {
				bd.Reset()
				for i, v := range values {
					bd.Add(int64(i), v[30:38], v)
				}
				if _, err := p.Append(context.Background(), &bd); err != nil {
					b.Fatal(err)
				}
			}
			reportPerRecord(b, from, benchBatch, 0)
		})
	}
}

func BenchmarkFetch(b *testing.B) {
	values := benchValues(benchBatch)
	broker := kafkatest.Fake(b)
	c := newClient(b, broker)
	for _, codec := range benchCodecs {
		b.Run(codec.String(), func(b *testing.B) {
			topic := newTopic(b, c, 1, nil)
			p := c.NewProducer(topic, 0, ProducerConfig{Codec: codec})
			var bd Builder
			for i, v := range values {
				bd.Add(int64(i), v[30:38], v)
			}
			const batches = 50
			for range batches {
				if _, err := p.Append(context.Background(), &bd); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			from := cpuNanos()
			for b.Loop() {
				f := c.NewFetcher(topic, 0, 0, FetchConfig{MaxBytes: 4 << 20})
				n := 0
				for n < batches*benchBatch {
					rs, err := f.Fetch(context.Background())
					if err != nil {
						b.Fatal(err)
					}
					for r := rs.Next(); r != nil; r = rs.Next() {
						n++
					}
					rs.Release()
				}
			}
			reportPerRecord(b, from, batches*benchBatch, 0)
		})
	}
}
