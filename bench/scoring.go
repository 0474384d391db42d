package main

import (
	"fmt"
	"time"

	"profilestream/e2e/harness"
)

// seeds are rows of the history, scored, from which the benchmarks behind the
// encoder make as many as they need. Their embeddings are in the cache on disk.
type seeds struct {
	days               []message // window rows
	scoredLive         []message
	scoredDay          []message
	nDays, nLive, nDay int64
}

// seedRows bounds how many rows of each kind are encoded for that.
func (s *session) seedRows() int64 { return min(max(int64(s.duration.Seconds()*30), 150), 1000) }

func (s *session) seeded() *seeds {
	if s.rows != nil {
		return s.rows
	}
	from := s.workedOff()
	p := s.pipeline(settings{cacheDir: s.cacheDir()})
	defer p.remove()
	out := &seeds{}
	live, nLive := s.takeRows(lateRows, from.topics.Windows, s.seedRows(), nil)
	out.days, out.nDays = s.takeRows(lateRows, from.topics.Days, s.seedRows(), nil)
	s.giveRows(p.topics.Windows, live, nLive)
	s.giveRows(p.topics.Days, out.days, out.nDays)
	s.progress("scoring %d live and %d day rows", nLive, out.nDays)
	p.drain("scorer")
	out.scoredLive, out.nLive = s.takeRows(0, p.topics.Scored, nLive, isLive)
	out.scoredDay, out.nDay = s.takeRows(0, p.topics.Scored, out.nDays, isDay)
	s.rows = out
	return out
}

// prepareScorerTexts measures the encoder at work: bin/scorer on rows whose
// texts are not in its cache.
func prepareScorerTexts(s *session) func() []sample {
	// More rows than a run can encode.
	rows, n := s.takeRows(lateRows, s.workedOff().topics.Days, 1000*int64(s.duration.Seconds()+1), nil)
	return func() []sample {
		p := s.pipeline(settings{})
		defer p.remove()
		s.giveRows(p.topics.Days, rows, n)
		proc := p.start("scorer")
		defer kill(proc)
		at := s.watch(proc, s.duration, float64(n), func(m metrics) float64 { return m.sum("profilestream_scorer_rows_total", "") })
		texts, tokens := at.grew("profilestream_scorer_cache_misses_total"), at.grew("profilestream_scorer_encoder_tokens_total")
		note := fmt.Sprintf("bin/scorer on day rows of the second half of the history, nothing in the cache at the start; rendering, tokenizer, encoder, heads and Kafka included; %.0f distinct texts (of customers, and of the products in them: %.1f tokens on average) and %.0f rows a run; %s",
			texts, tokens/texts, at.n, s.history().note)
		return []sample{
			{"scorer_tokens_per_cpu_second", tokens / at.cpu, "tokens/s of CPU", note},
			{"scorer_texts_per_cpu_second", texts / at.cpu, "texts/s of CPU", note},
			{"scorer_texts_per_second", texts / at.wall, "texts/s of wall", note},
			{"scorer_new_rows_per_cpu_second", at.n / at.cpu, "rows/s of CPU", note},
		}
	}
}

// prepareScorerRows measures scoring when every text is in the cache.
func prepareScorerRows(s *session) func() []sample {
	rows := s.seeded()
	return func() []sample {
		p := s.pipeline(settings{cacheDir: s.cacheDir()})
		defer p.remove()
		all := s.giveRows(p.topics.Days, rows.days, max(40_000, 15_000*int64(s.duration.Seconds())))
		proc := p.start("scorer")
		defer kill(proc)
		at := s.watch(proc, s.duration, float64(all), func(m metrics) float64 { return m.sum("profilestream_scorer_rows_total", "") })
		note := fmt.Sprintf("bin/scorer, day rows, texts in the cache (%.0f were not); rendering, tokenizer, heads, Arrow and Kafka; %.0f rows a run, %d different ones out of %s",
			at.last.sum("profilestream_scorer_cache_misses_total", ""), at.n, rows.nDays, s.history().note)
		return []sample{
			{"scorer_cached_rows_per_cpu_second", at.n / at.cpu, "rows/s of CPU", note},
			{"scorer_cached_rows_per_second", at.n / at.wall, "rows/s of wall", note},
		}
	}
}

// sinkRows is how many rows the sink gets at once.
const sinkRows = 200_000

// prepareSink measures the sink against the engine: bin/sink -drain, once and
// again until the run is long enough.
func prepareSink(s *session, live bool) func() []sample {
	seeds := s.seeded()
	name, msgs, n := "day", seeds.scoredDay, seeds.nDay
	if live {
		name, msgs, n = "live", seeds.scoredLive, seeds.nLive
	}
	return func() []sample {
		var rows, wall, cpu float64
		for wall < s.duration.Seconds() {
			p := s.pipeline(settings{})
			rows += float64(s.giveRows(p.topics.Scored, msgs, sinkRows))
			start := time.Now()
			proc := p.drain("sink")
			wall += time.Since(start).Seconds()
			cpu += proc.CPU().Seconds()
			p.remove()
		}
		note := fmt.Sprintf("bin/sink -drain against the engine on the same machine, %s rows, embeddings in live rows only, blocks of 20,000; %.0f rows a run, %d different ones out of %s", name, rows, n, s.history().note)
		return []sample{
			{"sink_" + name + "_rows_per_second", rows / wall, "rows/s of wall", note},
			{"sink_" + name + "_rows_per_cpu_second", rows / cpu, "rows/s of CPU (sink alone)", note},
		}
	}
}

// prepareProfiles measures the whole pipeline: a history of customers that no
// process has seen, until each of them has a live row in ClickHouse.
func prepareProfiles(s *session) func() []sample {
	users := min(max(int(s.duration.Seconds()*40), 200), 5000)
	in := s.input(shop{name: "crowd", users: users, days: 3, events: users * 10, start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)})
	return func() []sample {
		p := s.pipeline(settings{inputs: in.topics})
		defer p.remove()
		scorer, sink := p.start("scorer"), p.start("sink")
		scorer.Ready(patientFor)
		sink.Ready(patientFor)
		start := time.Now()
		ingest := p.start("ingest")
		defer kill(ingest, scorer, sink)
		view := p.database() + ".profiles_latest"
		harness.Eventually(s, drainLimit, "every customer has a profile", func() error {
			if n := s.engine().Count(s, "SELECT count() FROM "+view); n < int64(in.users) {
				return fmt.Errorf("%d of %d", n, in.users)
			}
			return nil
		})
		wall := time.Since(start).Seconds()
		days := s.engine().Count(s, "SELECT count() FROM "+p.database()+".profile_days")
		note := fmt.Sprintf("the three processes, the broker and the engine on one machine, nothing in the cache; %s; from the start of bin/ingest to the last live row, with %d day rows in between", in.note, days)
		return []sample{{"profiles_per_second", float64(in.users) / wall, "profiles/s of wall", note}}
	}
}
