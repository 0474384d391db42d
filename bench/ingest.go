package main

import (
	"fmt"
	"time"
)

// prepareIngest measures admission and windowing as a process: bin/ingest
// -drain, from bytes in Kafka to emitted rows and saved state, once and again
// until the run is long enough.
func prepareIngest(s *session) func() []sample {
	in := s.history()
	rows := s.countRows(s.workedOff().topics.Days) + s.countRows(s.workedOff().topics.Windows)
	return func() []sample {
		var wall, cpu float64
		drains := 0
		for ; wall < s.duration.Seconds(); drains++ {
			p := s.pipeline(settings{inputs: in.topics})
			start := time.Now()
			proc := p.drain("ingest")
			wall += time.Since(start).Seconds()
			cpu += proc.CPU().Seconds()
			p.remove()
		}
		events := float64(drains * in.records)
		note := fmt.Sprintf("bin/ingest -drain, %d log partitions; %s; %d rows; %d drains a run, start of the process and joining the groups included", logPartitions, in.note, rows, drains)
		return []sample{
			{"ingest_events_per_cpu_second", events / cpu, "events/s of CPU", note},
			{"ingest_events_per_second", events / wall, "events/s of wall", note},
		}
	}
}

// prepareMemory follows the resident memory of ingest over 400 simulated days.
func prepareMemory(s *session) func() []sample {
	const days = 400
	in := s.input(shop{name: "long", users: 2000, days: days, events: s.events / 2, start: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)})
	return func() []sample {
		p := s.pipeline(settings{inputs: in.topics})
		defer p.remove()
		proc := p.start("ingest", "-drain")
		var day, mib []float64
		tick := time.NewTicker(scrapeEvery)
		defer tick.Stop()
		for deadline := time.Now().Add(drainLimit); !proc.Exited() && time.Now().Before(deadline); <-tick.C {
			m, ok := scrape(proc)
			if at := m.sum("profilestream_ingest_watermark_seconds", ""); ok && at > 0 {
				partitions := m.count("profilestream_ingest_watermark_seconds")
				day = append(day, (at/partitions-1735689600)/86400)
				mib = append(mib, m["process_resident_memory_bytes"]/(1<<20))
			}
		}
		proc.MustExit(0, time.Second)
		var x, y []float64
		for i, d := range day {
			if d > days/3 {
				x, y = append(x, d), append(y, mib[i])
			}
		}
		if len(x) < 10 {
			s.Fatalf("only %d readings after the first third: a longer history is needed (-events)", len(x))
		}
		note := fmt.Sprintf("bin/ingest -drain; %s; %d readings after day %d", in.note, len(x), days/3)
		return []sample{
			{"ingest_memory_slope", slope(x, y) * 100, "MiB/100 simulated days", note},
			{"ingest_memory_peak", float64(proc.PeakBytes()) / (1 << 20), "MiB", note},
		}
	}
}
