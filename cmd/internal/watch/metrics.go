package watch

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"profilestream/cmd/internal/models"
	"profilestream/inference/stability"
)

// metrics are the newest figures. A user id is never a label.
type metrics struct {
	features, scores, auc, brier, ece *prometheus.GaugeVec
	failures                          prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, append([]string{"model_version"}, labels...))
		r.MustRegister(g)
		return g
	}
	m := &metrics{
		features: gauge("profilestream_feature_psi", "Population stability index of a feature against the rows the model was trained on.", "feature"),
		scores:   gauge("profilestream_score_psi", "Population stability index of a score against the rows the model was trained on.", "score"),
		auc:      gauge("profilestream_model_roc_auc", "ROC-AUC of churn_probability in the newest week whose horizon has passed."),
		brier:    gauge("profilestream_model_brier", "Brier score of churn_probability in the newest week whose horizon has passed."),
		ece:      gauge("profilestream_model_ece", "Expected calibration error of churn_probability in the newest week whose horizon has passed."),
		failures: prometheus.NewCounter(prometheus.CounterOpts{Name: "profilestream_watch_failures_total", Help: "Failed tries to compute drift and quality."}),
	}
	r.MustRegister(m.failures)
	return m
}

// export sets the metrics to what the tables hold, whoever computed it.
func (w *Watcher) export(ctx context.Context) error {
	m := w.metrics
	for _, g := range []*prometheus.GaugeVec{m.features, m.scores, m.auc, m.brier, m.ece} {
		g.Reset()
	}
	drift := w.table("drift_rows")
	rows, err := w.conn.Query(ctx, "SELECT model_version, name, assumeNotNull(psi) FROM "+drift+" FINAL WHERE psi IS NOT NULL AND day = (SELECT max(day) FROM "+drift+")")
	if err != nil {
		return fmt.Errorf("reading drift: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var version, name string
		var psi float64
		if err := rows.Scan(&version, &name, &psi); err != nil {
			return fmt.Errorf("reading drift: %w", err)
		}
		g := m.features
		if name == stability.Churn || name == stability.Value {
			g = m.scores
		}
		g.WithLabelValues(version, name).Set(psi)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading drift: %w", err)
	}
	return w.exportQuality(ctx)
}

func (w *Watcher) exportQuality(ctx context.Context) error {
	rows, err := w.conn.Query(ctx, "SELECT model_version, roc_auc, brier, ece FROM "+w.table("model_quality_rows")+" FINAL ORDER BY week DESC LIMIT 1 BY model_version")
	if err != nil {
		return fmt.Errorf("reading quality: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var version string
		var auc *float64
		var brier, ece float64
		if err := rows.Scan(&version, &auc, &brier, &ece); err != nil {
			return fmt.Errorf("reading quality: %w", err)
		}
		if auc != nil {
			w.metrics.auc.WithLabelValues(version).Set(*auc)
		}
		w.metrics.brier.WithLabelValues(version).Set(brier)
		w.metrics.ece.WithLabelValues(version).Set(ece)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading quality: %w", err)
	}
	return nil
}

// bundles are the folders where a bundle may be.
func (w *Watcher) bundles(id string) []string {
	store := models.Store{Dir: w.model.StoreDir()}
	if store.Has(id) {
		return []string{store.Path(id), w.model.Dir}
	}
	return []string{w.model.Dir}
}
