package main

import (
	"bytes"
	"fmt"
	"time"

	"profilestream/stream/wire"
)

// codecBytes is how much of a topic is packed, in batches of codecBatch.
const (
	codecBytes = 16 << 20
	codecBatch = 900_000
)

type keyed struct{ key, value []byte }

// batches reads the first records of a topic's partition 0 as producers would
// send them.
func (s *session) batches(topic string) (out [][]keyed, size int) {
	var batch []keyed
	held := 0
	s.read(topic, 0, func(r *wire.Record) bool {
		batch = append(batch, keyed{bytes.Clone(r.Key), bytes.Clone(r.Value)})
		held += len(r.Key) + len(r.Value)
		if held >= codecBatch {
			out, size, batch, held = append(out, batch), size+held, nil, 0
		}
		return size < codecBytes
	})
	if held > 0 {
		out, size = append(out, batch), size+held
	}
	return out, size
}

// prepareCodecs measures what packing and unpacking our own topics costs and
// saves: the ground for the codecs that the stages use.
func prepareCodecs(s *session) func() []sample {
	p := s.workedOff()
	topics := map[string]string{"events": p.topics.Events, "days": p.topics.Days, "state": p.topics.State}
	codecs := []wire.Codec{wire.None, wire.Snappy, wire.LZ4, wire.Zstd}
	return func() (out []sample) {
		for _, name := range []string{"events", "days", "state"} {
			batches, size := s.batches(topics[name])
			for _, c := range codecs {
				packed, cpu := s.pack(batches, c, s.duration/time.Duration(3*len(codecs)))
				note := fmt.Sprintf("topic %s, codec %s: %.1f MB in %d batches of partition 0, packed and unpacked; %s", name, c, float64(size)/1e6, len(batches), s.history().note)
				figure := "codec_" + name + "_" + c.String()
				out = append(out,
					sample{figure + "_size", 100 * float64(packed) / float64(size), "% of the bytes", note},
					sample{figure + "_cpu", cpu / float64(size) * 1e9, "ns of CPU/B", note})
			}
		}
		return out
	}
}

// pack packs and unpacks batches for a while and returns the packed size of one
// round and its CPU seconds.
func (s *session) pack(batches [][]keyed, c wire.Codec, long time.Duration) (packed int, cpu float64) {
	var b wire.Builder
	var d wire.Decoder
	start, from, rounds := time.Now(), cpuSeconds(s), 0
	for ; rounds == 0 || time.Since(start) < long; rounds++ {
		packed = 0
		for _, batch := range batches {
			b.Reset()
			for _, r := range batch {
				b.Add(0, r.key, r.value)
			}
			raw, err := b.Encode(c)
			if err != nil {
				s.Fatal(err)
			}
			packed += len(raw)
			d.Reset(raw, 0, nil)
			for r := d.Next(); r != nil; r = d.Next() {
				continue
			}
			if err := d.Err(); err != nil {
				s.Fatal(err)
			}
		}
	}
	return packed, (cpuSeconds(s) - from) / float64(rounds)
}
