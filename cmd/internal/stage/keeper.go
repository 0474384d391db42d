package stage

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"

	"profilestream/cmd/internal/models"
	"profilestream/stream/wire"
)

// maxReloadInterval is how late at most it is noticed that a bundle which could
// not be loaded now can be.
const maxReloadInterval = 15 * time.Second

// keeper seats the model of a run's newest promotion. The one at work goes on
// until the new one has scored a trial row; if that fails it stays, the failure
// is shown, and loading is tried again until it succeeds or a newer promotion
// comes.
type keeper struct {
	log     *slog.Logger
	metrics *scorerMetrics
	seat    *seat
	// open loads a promotion's model. What old has in common with it is shared.
	open func(ctx context.Context, p models.Promotion, old *working) (*working, error)
	// close frees a model that no batch is at.
	close  func(*working) error
	wanted chan models.Promotion // holds the newest one that was not looked at
}

func newKeeper(log *slog.Logger, m *scorerMetrics, s *seat) *keeper {
	return &keeper{log: log, metrics: m, seat: s, wanted: make(chan models.Promotion, 1)}
}

// want has a promotion loaded, instead of one that waits for that. It is called
// from one goroutine.
func (k *keeper) want(p models.Promotion) {
	select {
	case <-k.wanted:
	default:
	}
	k.wanted <- p
}

// run loads what is wanted until ctx ends.
func (k *keeper) run(ctx context.Context) {
	pause := backoff.NewExponentialBackOff()
	pause.MaxInterval = maxReloadInterval
	var p models.Promotion
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case p = <-k.wanted:
			pause.Reset()
		case <-again:
		}
		again = nil
		if err := k.load(ctx, p); err != nil && ctx.Err() == nil {
			if k.seat.fail(err) {
				k.log.Error("cannot load a promoted model, the one at work stays", "promotion", p.Number, "bundle", p.Bundle, "error", err)
			}
			again = time.After(pause.NextBackOff())
		}
	}
}

// load seats a promotion's model, unless a newer one is seated.
func (k *keeper) load(ctx context.Context, p models.Promotion) error {
	old := k.seat.seated()
	if old != nil && old.promotion >= p.Number {
		return nil
	}
	start := time.Now()
	w, err := k.open(ctx, p, old)
	if err != nil {
		k.metrics.loadFailures.Inc()
		return err
	}
	w.promotion = p.Number
	k.seat.put(w)
	k.metrics.seated(w)
	k.log.Info("loaded the model", "promotion", p.Number, "model_version", w.version, "seconds", time.Since(start).Seconds())
	if old == nil {
		return nil
	}
	<-old.idle // a batch is never long
	if err := k.close(old); err != nil {
		k.log.Warn("closing the model that was at work", "model_version", old.version, "error", err)
	}
	return nil
}

// follow passes on what the models topic says, until ctx ends. What cannot be
// read counts as a model that cannot be loaded.
func (k *keeper) follow(ctx context.Context, c *wire.Client, run string, from int64) {
	pause := backoff.NewExponentialBackOff()
	pause.MaxInterval = maxReloadInterval
	for ctx.Err() == nil {
		err := models.Follow(ctx, c, run, from, func(r models.Record, err error) {
			pause.Reset()
			if err != nil {
				k.metrics.loadFailures.Inc()
				if k.seat.fail(err) {
					k.log.Error("cannot read a promotion, the model at work stays", "error", err)
				}
				return
			}
			k.want(r.Current())
		})
		if ctx.Err() != nil {
			return
		}
		k.log.Warn("following the promotions failed, trying again", "error", err)
		if errors.Is(err, wire.ErrOffsetOutOfRange) { // the topic was compacted or recreated
			from = wire.Earliest
		}
		select {
		case <-time.After(pause.NextBackOff()):
		case <-ctx.Done():
		}
	}
}
