package profile

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// cpuTime is the processor time of the process: what a busy machine does not distort.
func cpuTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// reportCPU reports the processor time since start for each of n things.
func reportCPU(b *testing.B, start time.Duration, n int, unit string) {
	b.ReportMetric(float64(cpuTime(b)-start)/float64(n), "cpu-ns/"+unit)
}

// benchLog is a made-up shop: 2,000 users, 60 days, 100 events a user, in order of time with 10 %
// of the events moved by up to a day; a watermark each hour of event time.
func benchLog(users, days, perUser int) []Record {
	rnd := rand.New(rand.NewPCG(1, 2))
	n := users * perUser
	log := make([]Record, 0, n+days*24+1)
	src := Source{Topic: "clickstream"}
	log = append(log, Record{Kind: KindSourceSet, SourceSet: SourceSet{Sources: []Source{src}}})
	start := dayStart(20_000)
	span := int64(days) * dayMillis
	next := int64(0)
	for i := range n {
		at := span * int64(i) / int64(n)
		if at >= next {
			log = append(log, Record{Kind: KindWatermark, Watermark: Watermark{Source: src, WMillis: start + at}})
			next = at + hourMillis
		}
		if rnd.IntN(10) == 0 {
			at = max(0, at-rnd.Int64N(dayMillis))
		}
		e := Event{
			Source: src, Offset: int64(i), KafkaMillis: start + at, TimeMillis: start + at,
			Type: Type(1 + rnd.IntN(9)), User: fmt.Appendf(nil, "user-%d", rnd.IntN(users)),
			ID: fmt.Appendf(nil, "0195c9d2-7c1e-7a3b-8f7e-%012d", i),
		}
		product := rnd.IntN(5000)
		pr := Product{ID: fmt.Appendf(nil, "sku-%05d", product), Name: fmt.Appendf(nil, "Blue enamel kettle number %d", product),
			Category: fmt.Appendf(nil, "category-%d", product%40), Quantity: 1}
		switch e.Type {
		case TypePurchase:
			e.Items, e.Quantity, e.AmountMicros = []Product{pr}, 1, 12_990_000
		case TypeSearch:
			e.Query = fmt.Appendf(nil, "kettle %d", rnd.IntN(100_000))
		case TypeFeedback:
			e.Text = []byte("Arrived on time, works well.")
		default:
			e.Product = pr
		}
		log = append(log, Record{Kind: KindEvent, Event: e})
	}
	return log
}

func benchPartition(b testing.TB) *LogPartition {
	p, err := NewPartition(Config{LatenessMillis: 7 * dayMillis, MaxEventsUserDay: 100_000, ConfigVersion: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	return p
}

// BenchmarkApply is the whole of windowing for an event, its share of day rows, closing and
// Arrow columns included; live rows are off.
func BenchmarkApply(b *testing.B) {
	log := benchLog(2000, 60, 100)
	b.ReportAllocs()
	cpu := cpuTime(b)
	rows, events := 0, 0
	for b.Loop() {
		p := benchPartition(b)
		rows += benchFeed(b, p, log)
		events += len(log)
	}
	reportCPU(b, cpu, events, "event")
	b.ReportMetric(float64(rows)/float64(events), "rows/event")
}

func benchFeed(b testing.TB, p *LogPartition, log []Record) (rows int) {
	for i := range log {
		if err := p.Apply(int64(i), &log[i]); err != nil {
			b.Fatal(err)
		}
		for p.Pending() || i%1000 == 999 {
			more := p.Work(1 << 20)
			if p.days.Len() > 500 || !more {
				rows += p.days.Len()
				p.days.Take().Release()
			}
			if !more {
				break
			}
		}
	}
	return rows
}

// BenchmarkApplyOnly leaves out emission: no watermark comes.
func BenchmarkApplyOnly(b *testing.B) {
	log := benchLog(2000, 3, 100)
	b.ReportAllocs()
	cpu := cpuTime(b)
	events := 0
	for b.Loop() {
		p := benchPartition(b)
		for i := range log {
			if log[i].Kind != KindWatermark {
				if err := p.Apply(int64(i), &log[i]); err != nil {
					b.Fatal(err)
				}
			}
		}
		events += len(log)
	}
	reportCPU(b, cpu, events, "event")
}

// BenchmarkRow computes and appends the live rows of users with 100 events.
func BenchmarkRow(b *testing.B) {
	p := benchPartition(b)
	benchFeed(b, p, benchLog(2000, 60, 100))
	b.ReportAllocs()
	cpu := cpuTime(b)
	n := 0
	for b.Loop() {
		p.TouchAll()
		for more := true; more; {
			more = p.EmitLive(1 << 20)
			n += p.rows.Len()
			p.rows.Take().Release()
		}
	}
	reportCPU(b, cpu, n, "row")
}

// BenchmarkCheckpoint writes the state of users with 100 events, all changed.
func BenchmarkCheckpoint(b *testing.B) {
	p := benchPartition(b)
	benchFeed(b, p, benchLog(2000, 60, 100))
	b.ReportAllocs()
	cpu := cpuTime(b)
	size, users := 0, 0
	for b.Loop() {
		for _, u := range p.users {
			u.baseDirty = true
			p.markUser(u)
			for d := u.open; d != nil; d = d.older {
				d.dirty = true
			}
		}
		if err := p.Changes(LastRecord{}, func(k, v []byte) error {
			size += len(k) + len(v)
			return nil
		}); err != nil {
			b.Fatal(err)
		}
		users += p.Users()
	}
	reportCPU(b, cpu, users, "user")
	b.ReportMetric(float64(size)/float64(users), "B/user")
}

// BenchmarkHeap is the memory of a user with 100 events in 60 days.
func BenchmarkHeap(b *testing.B) {
	log := benchLog(2000, 60, 100)
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		p := benchPartition(b)
		benchFeed(b, p, log)
		p.days.reset()
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(p.Users()), "B/user")
	}
}
