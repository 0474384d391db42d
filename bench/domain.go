package main

import (
	"fmt"
	"runtime"
	"syscall"
	"time"

	"profilestream/profile"
	"profilestream/stream/wire"
)

// inProcess is how many events the benchmarks in this process read, over and
// over: enough not to stay in the processor's caches.
const inProcess = 250_000

// emitBytes is how much of rows windowing collects, as in bin/ingest.
const emitBytes = 768 << 10

// log is records held in one piece of memory, so that the garbage collector
// does not look at each.
type log struct {
	bytes   []byte
	records []place
}

type place struct {
	offset, millis int64 // in Kafka; Kafka timestamp
	from, to       int
	kind           profile.TopicKind
}

func (l *log) add(r *wire.Record, kind profile.TopicKind) {
	from := len(l.bytes)
	l.bytes = append(l.bytes, r.Value...)
	l.records = append(l.records, place{r.Offset, r.Timestamp, from, len(l.bytes), kind})
}

func (l *log) value(i int) []byte { return l.bytes[l.records[i].from:l.records[i].to] }

// cpuSeconds is the processor time of this process.
func cpuSeconds(s *session) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		s.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// repeat calls fn, which handles n things, until the run is long enough, and
// returns things a CPU second.
func (s *session) repeat(n int, fn func()) float64 {
	runtime.GC()
	start, cpu, total := time.Now(), cpuSeconds(s), 0
	for time.Since(start) < s.duration {
		fn()
		total += n
	}
	return float64(total) / (cpuSeconds(s) - cpu)
}

// prepareAdmission measures admission without Kafka: parse, write the log
// record, choose the partition.
func prepareAdmission(s *session) func() []sample {
	in := s.history()
	var l log
	for _, topic := range in.topics {
		kind, _ := profile.KindOfTopic(topic)
		for p := range s.partitions(topic) {
			s.read(topic, p, func(r *wire.Record) bool {
				l.add(r, kind)
				return len(l.records) < inProcess
			})
		}
	}
	parser := s.parser()
	var e profile.Event
	var buf []byte
	src := profile.Source{Topic: in.topics[0]}
	once := func() {
		for i := range l.records {
			if r := parser.Parse(l.value(i), l.records[i].kind, l.records[i].millis, &e); r != nil {
				s.Fatal(r)
			}
			e.Source, e.Offset, e.KafkaMillis, e.Raw = src, l.records[i].offset, l.records[i].millis, l.value(i)
			buf = profile.AppendEvent(buf[:0], &e)
			profile.Partition(e.User, logPartitions)
		}
	}
	note := fmt.Sprintf("in process: parse, log record, partition, without Kafka; the first %d of %s", len(l.records), in.note)
	return func() []sample {
		return []sample{{"admission_events_per_cpu_second", s.repeat(len(l.records), once), "events/s of CPU", note}}
	}
}

func (s *session) parser() *profile.Parser {
	p, err := profile.NewParser(profile.ParserConfig{MaxFutureSkewMillis: 300_000, Currency: "GBP"})
	if err != nil {
		s.Fatal(err)
	}
	return p
}

// partitionLogs reads partitions of the event log until they hold enough events.
func (s *session) partitionLogs() (logs []*log, events int) {
	topic := s.workedOff().topics.Events
	for p := range s.partitions(topic) {
		l := new(log)
		s.read(topic, p, func(r *wire.Record) bool {
			l.add(r, 0)
			if r.Key != nil {
				events++
			}
			return true
		})
		logs = append(logs, l)
		if events >= inProcess {
			break
		}
	}
	return logs, events
}

// window folds a log as bin/ingest does while it is behind, live rows at the
// end, and returns the state and how many rows came out.
func (s *session) window(l *log) (p *profile.LogPartition, rows int) {
	p, err := profile.NewPartition(profile.Config{LatenessMillis: (168 * time.Hour).Milliseconds(), MaxEventsUserDay: 100_000, ConfigVersion: "bench"})
	if err == nil {
		err = p.Start()
	}
	take := func(b *profile.RowBatch) {
		rows += b.Len()
		b.Recycle(b.Take())
	}
	var r profile.Record
	for i := 0; i < len(l.records) && err == nil; i++ {
		if err = profile.DecodeRecord(l.value(i), &r); err != nil {
			break
		}
		err = p.Apply(l.records[i].offset, &r)
		for more := p.Pending(); more; {
			more = p.Work(emitBytes)
			if !more || p.Days().Bytes() >= emitBytes {
				take(p.Days())
			}
		}
	}
	if err != nil {
		s.Fatal(err)
	}
	for more := p.Work(emitBytes); more; more = p.Work(emitBytes) {
		take(p.Days())
	}
	p.TakeDiverted()
	p.TouchAll()
	for more := true; more; {
		more = p.EmitLive(emitBytes)
		take(p.Days())
		take(p.Live())
	}
	return p, rows
}

// prepareWindowing measures windowing without Kafka: decode the log record,
// apply, make the rows' Arrow columns.
func prepareWindowing(s *session) func() []sample {
	logs, events := s.partitionLogs()
	rows := 0
	once := func() {
		rows = 0
		for _, l := range logs {
			_, n := s.window(l)
			rows += n
		}
	}
	return func() []sample {
		rate := s.repeat(events, once)
		note := fmt.Sprintf("in process: decode, apply, Arrow columns of %d rows, without Kafka; %d events of %d log partitions out of %s", rows, events, len(logs), s.history().note)
		return []sample{{"windowing_events_per_cpu_second", rate, "events/s of CPU", note}}
	}
}

// prepareState measures what a user costs: in the state topic once it is
// compacted, and in memory.
func prepareState(s *session) func() []sample {
	p := s.workedOff()
	users := s.history().users
	logs, _ := s.partitionLogs()
	return func() []sample {
		live, written := int64(0), int64(0)
		for part := range s.partitions(p.topics.State) {
			last := map[string]int{}
			s.read(p.topics.State, part, func(r *wire.Record) bool {
				written += int64(len(r.Key) + len(r.Value))
				last[string(r.Key)] = len(r.Value)
				if r.Value == nil {
					delete(last, string(r.Key))
				}
				return true
			})
			for key, n := range last {
				live += int64(len(key) + n)
			}
		}
		heap, held := s.heap(logs)
		in := s.history()
		return []sample{
			{"state_bytes_per_user", float64(live) / float64(users), "B/user", fmt.Sprintf("keys and values in the state topic, the newest of each key, uncompressed; %d users; %s", users, in.note)},
			{"state_bytes_written_per_user", float64(written) / float64(users), "B/user", fmt.Sprintf("all that checkpoints wrote while the history was worked off; %s", in.note)},
			{"heap_bytes_per_user", heap, "B/user", fmt.Sprintf("in process, live heap after a collection; %d users of %d log partitions; %s", held, len(logs), in.note)},
		}
	}
}

// heap is the live memory of the state of some log partitions, a user.
func (s *session) heap(logs []*log) (bytesPerUser float64, users int) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var states []*profile.LogPartition
	for _, l := range logs {
		p, _ := s.window(l)
		p.Days().Take().Release() // the buffers of rows are not the users'
		p.Live().Take().Release()
		states = append(states, p)
		users += p.Users()
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	bytesPerUser = float64(after.HeapAlloc-before.HeapAlloc) / float64(users)
	runtime.KeepAlive(states)
	runtime.KeepAlive(logs)
	return bytesPerUser, users
}
