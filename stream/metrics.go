package stream

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the counters of one component's Kafka end. A nil *Metrics counts nothing.
type Metrics struct {
	records, bytes *prometheus.CounterVec
	lag            *prometheus.GaugeVec
	flush          prometheus.Histogram
	commits        prometheus.Counter
	rebalances     prometheus.Counter
	restarts       prometheus.Counter
	owned          prometheus.Gauge
}

// NewMetrics registers profilestream_<component>_* on reg.
func NewMetrics(reg prometheus.Registerer, component string) (*Metrics, error) {
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "profilestream", Subsystem: component, Name: name, Help: help}
	}
	by := []string{"topic", "partition"}
	m := &Metrics{
		records: prometheus.NewCounterVec(prometheus.CounterOpts(opts("fetched_records_total", "Records read from Kafka and processed.")), by),
		bytes:   prometheus.NewCounterVec(prometheus.CounterOpts(opts("fetched_bytes_total", "Bytes of record batches read from Kafka, as compressed.")), by),
		lag:     prometheus.NewGaugeVec(prometheus.GaugeOpts(opts("lag_records", "Offsets between what was processed and the end of the partition.")), by),
		flush: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "profilestream", Subsystem: component, Name: "flush_duration_seconds",
			Help: "Time to make effects durable before a commit.", Buckets: prometheus.ExponentialBuckets(0.001, 2.5, 12)}),
		commits:    prometheus.NewCounter(prometheus.CounterOpts(opts("commits_total", "Positions committed."))),
		rebalances: prometheus.NewCounter(prometheus.CounterOpts(opts("rebalances_total", "Group generations joined."))),
		restarts:   prometheus.NewCounter(prometheus.CounterOpts(opts("restarts_total", "Times the group was left after a failure and joined again."))),
		owned:      prometheus.NewGauge(prometheus.GaugeOpts(opts("owned_partitions", "Partitions this process owns."))),
	}
	for _, c := range []prometheus.Collector{m.records, m.bytes, m.lag, m.flush, m.commits, m.rebalances, m.restarts, m.owned} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// partitionMetrics holds the counters of one owned partition.
type partitionMetrics struct {
	m       *Metrics
	labels  []string
	records prometheus.Counter
	bytes   prometheus.Counter
	lag     prometheus.Gauge
}

func (m *Metrics) partition(tp TopicPartition) *partitionMetrics {
	if m == nil {
		return nil
	}
	l := []string{tp.Topic, strconv.Itoa(int(tp.Partition))}
	return &partitionMetrics{m: m, labels: l, records: m.records.WithLabelValues(l...), bytes: m.bytes.WithLabelValues(l...), lag: m.lag.WithLabelValues(l...)}
}

func (p *partitionMetrics) processed(records int64, bytes int, lag int64) {
	if p != nil {
		p.records.Add(float64(records))
		p.bytes.Add(float64(bytes))
		p.lag.Set(float64(lag))
	}
}

// lost forgets the lag of a partition that somebody else reports from now on.
func (p *partitionMetrics) lost() {
	if p != nil {
		p.m.lag.DeleteLabelValues(p.labels...)
	}
}

func (m *Metrics) flushed(d time.Duration) {
	if m != nil {
		m.flush.Observe(d.Seconds())
	}
}

func (m *Metrics) committed() {
	if m != nil {
		m.commits.Inc()
	}
}

func (m *Metrics) joined(owned int) {
	if m != nil {
		m.rebalances.Inc()
		m.owned.Set(float64(owned))
	}
}

func (m *Metrics) restarted() {
	if m != nil {
		m.restarts.Inc()
		m.owned.Set(0)
	}
}
