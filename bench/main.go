package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"
)

// benchmark measures one or more figures. prepare returns what measures once.
type benchmark struct {
	name    string
	prepare func(s *session) func() []sample
}

var benchmarks = []benchmark{
	{"ingest", prepareIngest},
	{"backfill", prepareBackfill},
	{"admission", prepareAdmission},
	{"windowing", prepareWindowing},
	{"state", prepareState},
	{"codecs", prepareCodecs},
	{"memory", prepareMemory},
	{"poison", preparePoison},
	{"restore", prepareRestore},
	{"state_beyond_memory", prepareBeyond},
	{"scorer_texts", prepareScorerTexts},
	{"scorer_rows", prepareScorerRows},
	{"sink_live", func(s *session) func() []sample { return prepareSink(s, true) }},
	{"sink_day", func(s *session) func() []sample { return prepareSink(s, false) }},
	{"profiles", prepareProfiles},
	{"queries", prepareQueries},
	{"latency_5", func(s *session) func() []sample { return prepareLatency(s, 5) }},
	{"latency_50", func(s *session) func() []sample { return prepareLatency(s, 50) }},
	{"latency_500", func(s *session) func() []sample { return prepareLatency(s, 500) }},
}

func main() {
	out := flag.String("out", "bench/out", "folder for the figures, one `DIR`/NAME.json each")
	seconds := flag.Float64("seconds", 30, "least duration of one run of a benchmark")
	runs := flag.Int("runs", 3, "runs of each benchmark; a figure is their median")
	only := flag.String("only", "", "run the benchmarks whose name matches this `regexp`")
	events := flag.Int("events", 1_000_000, "events of the simulated history")
	users := flag.Int("users", 0, "users of the benchmarks restore, state_beyond_memory and queries; 0: 1,000,000, 2,000,000 and 1,000,000")
	soak := flag.Duration("soak", 10*time.Minute, "how long state_beyond_memory watches memory")
	shop := flag.String("shop", "", "`folder` of the shop of the benchmark queries, filled if it is empty and kept")
	bundle := flag.String("bundle", "", "model bundle; empty: DIR/model, trained if it is not there")
	flag.Parse()
	match, err := regexp.Compile(*only)
	if err == nil {
		err = os.MkdirAll(*out, 0o755)
	}
	if err != nil || flag.NArg() > 0 || *runs < 1 || *seconds <= 0 || *events < 1000 || *users < 0 || *soak < 10*time.Second {
		fmt.Fprintln(os.Stderr, "bench: wrong flags:", err)
		flag.Usage()
		os.Exit(2)
	}
	s, err := newSession(*out, time.Duration(*seconds*float64(time.Second)), *events, *bundle)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	s.users, s.soak, s.shop = *users, *soak, *shop
	s.progress("%s", machine())
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-interrupted
		s.close()
		os.Exit(130)
	}()
	failed := 0
	for _, b := range benchmarks {
		if match.MatchString(b.name) {
			failed += s.measure(b, *runs)
		}
	}
	s.close()
	if failed > 0 {
		fmt.Fprintf(os.Stderr, "bench: %d benchmarks failed\n", failed)
		os.Exit(1)
	}
}

// measure runs a benchmark, writes its figures and returns 1 if it failed.
func (s *session) measure(b benchmark, runs int) (failed int) {
	defer func() {
		if p := recover(); p != nil {
			f, ok := p.(failure)
			if !ok {
				panic(p)
			}
			fmt.Fprintf(os.Stderr, "bench: %s failed: %s\n", b.name, f)
			failed = 1
		}
	}()
	s.progress("%s: preparing", b.name)
	once := b.prepare(s)
	all := newSeries()
	for i := range runs {
		start := time.Now()
		samples := once()
		all.add(samples)
		s.progress("%s: run %d of %d took %.1f s: %s", b.name, i+1, runs, time.Since(start).Seconds(), describe(samples))
	}
	for _, f := range all.figures() {
		if err := f.write(s.out); err != nil {
			s.Fatal(err)
		}
		fmt.Printf("%-28s %14s %-22s spread %5.1f %%  n=%d  %s\n", f.Name, short(f.Value), f.Unit, 100*f.Spread, f.N, f.Note)
	}
	return 0
}
