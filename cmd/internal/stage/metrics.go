package stage

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"profilestream/profile"
)

// ingestMetrics are the metrics of admission and windowing. A user id is never
// a label.
type ingestMetrics struct {
	records     *prometheus.CounterVec
	bytes       *prometheus.CounterVec
	rejects     *prometheus.CounterVec
	epochs      *prometheus.CounterVec
	lostRecords *prometheus.CounterVec
	outcomes    *prometheus.GaugeVec
	watermarks  *prometheus.GaugeVec
	slowest     *prometheus.GaugeVec
	users       *prometheus.GaugeVec
	rows        *prometheus.CounterVec
	saveSeconds prometheus.Histogram
	state       *prometheus.CounterVec
}

func newIngestMetrics(r prometheus.Registerer) *ingestMetrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "profilestream_ingest_" + name, Help: help}, labels)
		r.MustRegister(c)
		return c
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "profilestream_ingest_" + name, Help: help}, labels)
		r.MustRegister(g)
		return g
	}
	m := &ingestMetrics{
		records:     counter("records_total", "Records read from the input topics.", "source"),
		bytes:       counter("bytes_total", "Bytes of the values read from the input topics.", "source"),
		rejects:     counter("dead_lettered_total", "Records sent to the DLQ at admission, by reason.", "source", "reason"),
		epochs:      counter("source_epochs_total", "Epochs begun because a source could not be read on from its committed place.", "source"),
		lostRecords: counter("source_lost_records_total", "Offsets that a source lost before they were read, as far as it tells.", "source"),
		outcomes:    gauge("source_records", "Records of a source by outcome, as of the last checkpoint of a log partition; survives restarts.", "log_partition", "source", "source_partition", "outcome"),
		watermarks:  gauge("watermark_seconds", "W of a log partition, in seconds since 1970.", "log_partition"),
		slowest:     gauge("slowest_source_watermark_seconds", "Watermark of the source that holds W back, in seconds since 1970.", "log_partition", "source", "source_partition"),
		users:       gauge("users", "Users with state.", "log_partition"),
		rows:        counter("rows_total", "Rows emitted by windowing.", "kind"),
		state:       counter("state_bytes_total", "Bytes of state written at checkpoints.", "log_partition"),
		saveSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "profilestream_ingest_checkpoint_seconds", Help: "Time that the state transaction of a checkpoint took.",
			Buckets: prometheus.ExponentialBuckets(.002, 2, 14),
		}),
	}
	r.MustRegister(m.saveSeconds)
	return m
}

// sourceMetrics are the counters of one topic's sources, looked up once.
type sourceMetrics struct{ records, bytes prometheus.Counter }

func (m *ingestMetrics) source(topic string) sourceMetrics {
	return sourceMetrics{m.records.WithLabelValues(topic), m.bytes.WithLabelValues(topic)}
}

func (m sourceMetrics) read(n, bytes int64) {
	m.records.Add(float64(n))
	m.bytes.Add(float64(bytes))
}

func (m *ingestMetrics) rejected(topic, reason string) {
	m.rejects.WithLabelValues(topic, reason).Inc()
}

// gap counts a new epoch; lost is -1 where nobody knows what was lost.
func (m *ingestMetrics) gap(topic string, lost int64) {
	m.epochs.WithLabelValues(topic).Inc()
	m.lostRecords.WithLabelValues(topic).Add(float64(max(lost, 0)))
}

func (m *ingestMetrics) emitted(live bool, n int) {
	kind := "day"
	if live {
		kind = "live"
	}
	m.rows.WithLabelValues(kind).Add(float64(n))
}

func (m *ingestMetrics) watermark(partition int32, p *profile.LogPartition) {
	label := strconv.Itoa(int(partition))
	m.users.WithLabelValues(label).Set(float64(p.Users()))
	if w, ok := p.W(); ok {
		m.watermarks.WithLabelValues(label).Set(float64(w) / 1000)
	}
}

func (m *ingestMetrics) checkpoint(partition int32, took time.Duration, bytes int) {
	m.saveSeconds.Observe(took.Seconds())
	m.state.WithLabelValues(strconv.Itoa(int(partition))).Add(float64(bytes))
}

// lost forgets what a log partition stood at: its next owner reports it from now
// on, and a value that stands still here would look like time that does.
func (m *ingestMetrics) lost(partition int32) {
	of := prometheus.Labels{"log_partition": strconv.Itoa(int(partition))}
	for _, g := range []*prometheus.GaugeVec{m.outcomes, m.watermarks, m.slowest, m.users} {
		g.DeletePartialMatch(of)
	}
}

// account exports the totals of a log partition, and which source holds W back.
func (m *ingestMetrics) account(partition int32, p *profile.LogPartition) {
	label := strconv.Itoa(int(partition))
	m.slowest.DeletePartialMatch(prometheus.Labels{"log_partition": label})
	var slowest *profile.SourceAccount
	for _, s := range p.Accounting() {
		sp := strconv.Itoa(int(s.Source.Partition))
		for outcome, n := range map[string]int64{
			"records": s.Records, "rejected": s.Rejected, "applied": s.Applied,
			"duplicate": s.Duplicates, "late": s.Late, "hot": s.Hot,
		} {
			m.outcomes.WithLabelValues(label, s.Source.Topic, sp, outcome).Set(float64(n))
		}
		if s.Listed && (slowest == nil || s.WMillis < slowest.WMillis) {
			slowest = &s
		}
	}
	if slowest != nil {
		m.slowest.WithLabelValues(label, slowest.Source.Topic, strconv.Itoa(int(slowest.Source.Partition))).Set(float64(slowest.WMillis) / 1000)
	}
}

// scorerMetrics are the metrics of scoring.
type scorerMetrics struct {
	rows     *prometheus.CounterVec
	skipped  prometheus.Counter
	degraded prometheus.Counter
	batch    prometheus.Histogram
	seconds  *prometheus.HistogramVec

	model        *prometheus.GaugeVec
	loadFailures prometheus.Counter
}

func newScorerMetrics(r prometheus.Registerer) *scorerMetrics {
	m := &scorerMetrics{
		rows:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "profilestream_scorer_rows_total", Help: "Rows scored."}, []string{"kind"}),
		degraded: prometheus.NewCounter(prometheus.CounterOpts{Name: "profilestream_scorer_degraded_rows_total", Help: "Rows scored from numbers alone while the encoder was down."}),
		skipped:  prometheus.NewCounter(prometheus.CounterOpts{Name: "profilestream_scorer_superseded_rows_total", Help: "Live rows not scored because a newer one of the user was in the same fetch."}),
		batch:    prometheus.NewHistogram(prometheus.HistogramOpts{Name: "profilestream_scorer_batch_size", Help: "Rows scored together.", Buckets: prometheus.ExponentialBuckets(1, 2, 14)}),
		seconds:  prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "profilestream_scorer_batch_seconds", Help: "Time to score rows together.", Buckets: prometheus.ExponentialBuckets(.001, 2, 16)}, []string{"kind"}),
	}
	m.model = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "profilestream_scorer_model_info", Help: "1 for the model at work."}, []string{"promotion", "model_version"})
	m.loadFailures = prometheus.NewCounter(prometheus.CounterOpts{Name: "profilestream_scorer_model_load_failures_total", Help: "Failed tries to load a promoted model."})
	r.MustRegister(m.rows, m.skipped, m.degraded, m.batch, m.seconds, m.model, m.loadFailures)
	return m
}

func (m *scorerMetrics) seated(w *working) {
	m.model.Reset()
	m.model.WithLabelValues(strconv.FormatInt(w.promotion, 10), w.version).Set(1)
}
