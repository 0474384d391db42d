package clickhouse

import (
	"syscall"
	"testing"
	"time"

	"profilestream/schemas"
)

// BenchmarkEncode turns 20,000 rows with embeddings into one native block.
func BenchmarkEncode(b *testing.B) {
	rec := scoredRows(rowSpec{users: 20000, version: 1, asOf: noon, trigger: schemas.TriggerLive})
	defer rec.Release()
	cols := rowColumns(true)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buf, err = appendBlock(buf[:0], cols, []chunk{{rec, Meta{}}}); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(len(buf)))
	b.ReportMetric(float64(b.N)*20000/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkWriter inserts live rows with embeddings into the engine, 250 rows a
// message and 20,000 a block. cpu-us/row is the writer's process alone; the
// engine is another process on the same machine.
func BenchmarkWriter(b *testing.B) { benchmarkWriter(b, newSender, false) }

// BenchmarkWriterHistory inserts day rows, which have no embedding.
func BenchmarkWriterHistory(b *testing.B) { benchmarkWriter(b, newSender, true) }

// BenchmarkWriterBatches is BenchmarkWriter through the driver's batches.
func BenchmarkWriterBatches(b *testing.B) {
	benchmarkWriter(b, func(c *Client) sender { return &batchSender{conn: c.conn} }, false)
}

func benchmarkWriter(b *testing.B, s func(*Client) sender, history bool) {
	cfg := testConfig(b, "bench")
	c := testClient(b, cfg)
	w := run(b, newWriter(c.cfg, s(c), Deps{}))
	const perMessage, perOp = 250, 20000
	rec := scoredRows(rowSpec{users: perMessage, version: 1, asOf: noon, trigger: schemas.TriggerLive})
	defer rec.Release()
	cpu, begin := cpuSeconds(b), time.Now()
	for b.Loop() {
		for n := 0; n < perOp; n += perMessage {
			if _, err := w.AddScored(b.Context(), rec, Meta{History: history}); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := w.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	rows := float64(b.N) * perOp
	b.ReportMetric(rows/time.Since(begin).Seconds(), "rows/s") // with the flush, which the timer leaves out
	b.ReportMetric((cpuSeconds(b)-cpu)/rows*1e6, "cpu-us/row")
}

func cpuSeconds(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}
