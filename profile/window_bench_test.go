package profile

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
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

// benchLog is a made-up shop: sessions of five events some minutes apart, in order of time but for
// 10 % of the events, which come up to a day late; a watermark each hour of event time.
func benchLog(users, days, perUser int) []Record {
	const session = 5
	rnd := rand.New(rand.NewPCG(1, 2))
	src := Source{Topic: "clickstream"}
	start, length := dayStart(20_000), int64(days)*dayMillis
	type arrival struct {
		at int64
		e  Event
	}
	var events []arrival
	for i := range users * perUser / session {
		at := start + rnd.Int64N(length-hourMillis)
		user := fmt.Appendf(nil, "user-%d", rnd.IntN(users))
		for k := range session {
			at += rnd.Int64N(6 * 60_000)
			a := arrival{at, sessionEvent(rnd, at, user, i*session+k)}
			if rnd.IntN(10) == 0 {
				a.at += rnd.Int64N(dayMillis)
			}
			events = append(events, a)
		}
	}
	slices.SortFunc(events, func(a, b arrival) int { return cmp.Compare(a.at, b.at) })
	log := []Record{{Kind: KindSourceSet, SourceSet: SourceSet{Sources: []Source{src}}}}
	next := int64(0)
	for i := range events {
		a := &events[i]
		if a.at >= next {
			log = append(log, Record{Kind: KindWatermark, Watermark: Watermark{Source: src, WMillis: a.at}})
			next = a.at + hourMillis
		}
		a.e.Source, a.e.Offset = src, int64(i)
		log = append(log, Record{Kind: KindEvent, Event: a.e})
	}
	return log
}

func sessionEvent(rnd *rand.Rand, at int64, user []byte, i int) Event {
	e := Event{KafkaMillis: at, TimeMillis: at, Type: Type(1 + rnd.IntN(9)), User: user,
		ID: fmt.Appendf(nil, "0195c9d2-7c1e-7a3b-8f7e-%012d", i)}
	n := rnd.IntN(5000)
	pr := Product{ID: fmt.Appendf(nil, "sku-%05d", n), Name: fmt.Appendf(nil, "Blue enamel kettle number %d", n),
		Category: fmt.Appendf(nil, "category-%d", n%40), Quantity: 1}
	switch e.Type {
	case TypePurchase:
		e.Items, e.Quantity, e.AmountMicros = []Product{pr}, 1, 12_990_000
	case TypeSearch:
		e.Query = fmt.Appendf(nil, "kettle %d", rnd.IntN(10_000))
	case TypeFeedback:
		e.Text = []byte("Arrived on time, works well.")
	default:
		e.Product = pr
	}
	return e
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
				p.days.Recycle(p.days.Take())
			}
			if !more {
				break
			}
		}
	}
	for p.Work(1 << 20) {
		p.days.Recycle(p.days.Take())
	}
	p.days.Recycle(p.days.Take())
	p.TakeDiverted()
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
			p.rows.Recycle(p.rows.Take())
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
		p.days = newRowBatch(0)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(p.Users()), "B/user")
	}
}
