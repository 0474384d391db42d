package watch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"

	"profilestream/cmd/internal/config"
	"profilestream/inference/bundle"
	"profilestream/inference/stability"
	"profilestream/schemas"
	"profilestream/stream/clickhouse"
)

// Watcher computes drift and quality of one run. It is not safe for concurrent use.
type Watcher struct {
	conn     driver.Conn
	database string
	lateness time.Duration
	model    config.Model
	every    time.Duration
	log      *slog.Logger
	metrics  *metrics
	refs     map[string]*stability.Reference // by id of the bundle
}

// New makes a watcher over the migrated database of the configured run. References
// are read from the bundles of model.dir and the store; where a process has neither,
// drift is not known.
func New(cfg *config.Config, c *clickhouse.Client, r prometheus.Registerer, log *slog.Logger) *Watcher {
	return &Watcher{
		conn: c.Conn(), database: c.Database(), lateness: cfg.Profile.Lateness, model: cfg.Model, every: cfg.ClickHouse.WatchInterval,
		log: log, metrics: newMetrics(r), refs: map[string]*stability.Reference{},
	}
}

func (w *Watcher) table(name string) string {
	return schemas.QuoteIdentifier(w.database) + "." + name
}

// Run watches until ctx ends, now and then every interval; 0 is never. A failure is
// logged and counted, and the next time tries again.
func (w *Watcher) Run(ctx context.Context) {
	if w.every == 0 {
		return
	}
	t := time.NewTicker(w.every)
	defer t.Stop()
	for {
		w.Try(ctx, true)
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// Try computes what is due and exports the newest figures. A failure is logged and
// counted. If sparing, it computes nothing where another process has done so of late.
func (w *Watcher) Try(ctx context.Context, sparing bool) {
	fresh, err := false, error(nil)
	if sparing {
		fresh, err = w.fresh(ctx)
	}
	if err == nil && !fresh {
		err = w.Once(ctx)
	}
	if err == nil {
		err = w.export(ctx)
	}
	if err != nil && ctx.Err() == nil {
		w.metrics.failures.Inc()
		w.log.Warn("watching the model failed", "error", err)
	}
}

// fresh says whether drift was computed within three quarters of the interval.
func (w *Watcher) fresh(ctx context.Context) (bool, error) {
	var fresh bool
	err := w.conn.QueryRow(ctx, "SELECT max(computed_at) > now64(3) - toIntervalSecond(?) FROM "+w.table("drift_rows"), int64(w.every.Seconds()*3/4)).Scan(&fresh)
	if err != nil {
		return false, fmt.Errorf("looking for drift of late: %w", err)
	}
	return fresh, nil
}

// Once computes drift now, and the quality of every week that can be judged.
func (w *Watcher) Once(ctx context.Context) error {
	ds, err := w.drifts(ctx)
	if err != nil || len(ds) == 0 {
		return err
	}
	if err := w.keepDrift(ctx, ds); err != nil {
		return err
	}
	weeks, err := w.ripen(ctx)
	if err != nil {
		return err
	}
	for _, r := range weeks {
		q, err := w.judge(ctx, r)
		if err != nil {
			return err
		}
		if err := w.keepQuality(ctx, &q); err != nil {
			return err
		}
	}
	if len(weeks) > 0 {
		w.log.Info("judged weeks whose horizon has passed", "weeks", len(weeks))
	}
	return nil
}

// reference is that of the bundle of a model_version; nil if it is not known.
func (w *Watcher) reference(version string) *stability.Reference {
	id, _, _ := strings.Cut(version, "/")
	if r, ok := w.refs[id]; ok {
		return r
	}
	for _, dir := range w.bundles(id) {
		r, err := bundle.ReadReference(dir, id)
		if err == nil {
			w.refs[id] = r
			return r
		}
		if !errors.Is(err, fs.ErrNotExist) {
			w.log.Warn("reading the reference of drift", "bundle", id, "error", err)
		}
	}
	return nil
}
