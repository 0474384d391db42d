package clickhouse

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the writer's Prometheus metrics.
type Metrics struct {
	rows, blocks, bytes, rejected *prometheus.CounterVec
	failures                      *prometheus.CounterVec
	insertSeconds                 *prometheus.HistogramVec
	breaker                       *prometheus.GaugeVec
	queued                        prometheus.Gauge
	eventToRow                    prometheus.Histogram
}

// NewMetrics makes the metrics and registers them; r may be nil. Metrics that
// r already has under the same names are shared.
func NewMetrics(r prometheus.Registerer) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return register(r, prometheus.NewCounterVec(prometheus.CounterOpts{Name: "profilestream_sink_" + name, Help: help}, labels))
	}
	return &Metrics{
		rows:     counter("rows_total", "Rows that ClickHouse has acknowledged.", "table"),
		blocks:   counter("blocks_total", "Blocks that ClickHouse has acknowledged.", "table"),
		bytes:    counter("bytes_total", "Bytes of acknowledged blocks before compression.", "table"),
		rejected: counter("rejected_rows_total", "Rows that ClickHouse refused and that were diverted.", "table"),
		failures: counter("insert_failures_total", "Failed attempts to insert a block, by class of error.", "table", "class"),
		insertSeconds: register(r, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "profilestream_sink_insert_seconds", Help: "Time from sending a block to its acknowledgement.",
			Buckets: prometheus.ExponentialBuckets(.005, 2, 14),
		}, []string{"table"})),
		breaker: register(r, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "profilestream_breaker_state", Help: "State of a circuit breaker: 0 closed, 1 half open, 2 open.",
		}, []string{"name"})),
		queued: register(r, prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "profilestream_sink_queued_bytes", Help: "Arrow bytes that wait for an acknowledgement.",
		})),
		eventToRow: register(r, prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "profilestream_sink_event_to_row_seconds",
			Help:    "Time from the Kafka timestamp of the newest event in a live row to the row's acknowledgement.",
			Buckets: []float64{.1, .2, .3, .5, .75, 1, 1.5, 2, 3, 5, 10, 30, 60, 300, 1800, 7200, 86400},
		})),
	}
}

func (m *Metrics) blockSent(table string, e *encoded, took time.Duration) {
	m.blocks.WithLabelValues(table).Inc()
	m.bytes.WithLabelValues(table).Add(float64(len(e.body)))
	m.insertSeconds.WithLabelValues(table).Observe(took.Seconds())
}

// register registers c, or returns the equal collector that is there already:
// the stages of a demo share one registry.
func register[C prometheus.Collector](r prometheus.Registerer, c C) C {
	if r == nil {
		return c
	}
	var there prometheus.AlreadyRegisteredError
	if err := r.Register(c); errors.As(err, &there) {
		if old, ok := there.ExistingCollector.(C); ok {
			return old
		}
	}
	return c
}
