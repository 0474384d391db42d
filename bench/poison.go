package main

import (
	"fmt"
	"time"

	"profilestream/schemas"
)

// goodPerPoison events go with each poison record: one record in ten is poison.
const goodPerPoison = 9

// preparePoison measures what poison costs: bin/ingest -drain over the history, and over the
// same history with a poison record after each nine events, of every class that topics with
// default limits take. Both are given as good events a second, so that poison counts as nothing
// but a burden.
func preparePoison(s *session) func() []sample {
	clean := s.history()
	topics, poison := s.poisoned(clean)
	return func() []sample {
		var alone, beside [2]float64 // seconds of wall, of CPU
		for alone[0]+beside[0] < s.duration.Seconds() {
			s.timeDrain(clean.topics, &alone)
			s.timeDrain(topics, &beside)
		}
		p := s.pipeline(settings{inputs: topics, noModel: true})
		defer p.remove()
		p.drain("ingest")
		start := time.Now()
		p.drain("sink")
		sinking := time.Since(start).Seconds()
		bad := s.db.Count(s, "SELECT count() FROM "+p.database()+".bad_events")
		if bad != int64(poison) {
			s.Fatalf("%d of %d poison records are in bad_events", bad, poison)
		}
		note := fmt.Sprintf("bin/ingest -drain, in turn without and with %d poison records (%.1f %% of all) of %d classes; %s",
			poison, 100*float64(poison)/float64(poison+clean.records), len(carried()), clean.note)
		return []sample{
			{"poison_share", alone[0] / beside[0], "of the throughput of good events without poison", note},
			{"poison_cpu_share", alone[1] / beside[1], "of the good events a CPU second without poison", note},
			{"poison_sink_rows_per_second", float64(poison) / sinking, "rows/s of wall", "bin/sink -drain: start of the process included; bad events only; " + note},
		}
	}
}

func (s *session) timeDrain(topics []string, to *[2]float64) {
	p := s.pipeline(settings{inputs: topics, ingestOnly: true})
	defer p.remove()
	start := time.Now()
	proc := p.drain("ingest")
	to[0] += time.Since(start).Seconds()
	to[1] += proc.CPU().Seconds()
}

// carried is the poison that topics with default limits take.
func carried() (out []schemas.PoisonCase) {
	for _, c := range schemas.Poison() {
		if !c.Huge() {
			out = append(out, c)
		}
	}
	return out
}

// poisoned sends a history once more, with poison, and returns how much.
func (s *session) poisoned(in *input) (topics []string, poison int) {
	cases := map[string][]schemas.PoisonCase{}
	for _, c := range carried() {
		cases[c.Topic] = append(cases[c.Topic], c)
	}
	s.progress("sending the history with poison")
	for _, name := range []string{"clickstream", "purchases"} {
		s.number++
		topic := fmt.Sprintf("bench%d.%s", s.number, name)
		topics = append(topics, topic)
		f, good := s.feed(topic, inputPartitions[name]), 0
		s.lines(in.dir, name, func(at int64, key, value string) {
			f.add(at, []byte(key), []byte(value))
			if good++; good%goodPerPoison == 0 {
				f.add(at, nil, cases[name][good/goodPerPoison%len(cases[name])].Value)
				poison++
			}
			if good%sendAtOnce == 0 {
				f.flush()
			}
		})
		f.flush()
	}
	return topics, poison
}
