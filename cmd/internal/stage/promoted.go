package stage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/models"
	"profilestream/inference/bundle"
	"profilestream/inference/embed"
	"profilestream/profile"
)

// modelOpener opens the models of promotions as the configuration says: before
// the first one the bundle of model.dir, which the gate has to have passed unless
// force is set, and then those of the store, for which promote decided that.
func modelOpener(m config.Model, force bool) func(context.Context, models.Promotion, *working) (*working, error) {
	return func(ctx context.Context, p models.Promotion, old *working) (*working, error) {
		var b *bundle.Bundle
		var err error
		if p.Number == 0 {
			if b, err = LoadBundle(m.Dir); err == nil {
				b, err = admit(b, force)
			}
			if errors.Is(err, errRefused) {
				err = &config.Error{Key: "model.dir", Reason: fmt.Sprintf("%s: %v; -force loads it all the same", m.Dir, err)}
			}
		} else if b, err = (models.Store{Dir: m.StoreDir()}).Load(p); err == nil {
			b, err = admit(b, p.Forced)
		}
		if err != nil {
			return nil, err
		}
		return openModel(ctx, m, b, old)
	}
}

// errRefused marks a bundle that the gate refused.
var errRefused = errors.New("the gate refused the bundle")

// admit lets a bundle pass that the gate passed, or that is forced, which then
// shows in every row's model_version.
func admit(b *bundle.Bundle, force bool) (*bundle.Bundle, error) {
	switch reasons := b.Refused(); {
	case len(reasons) == 0:
		return b, nil
	case force:
		return b.Forced(), nil
	default:
		return nil, fmt.Errorf("%w %s: %s", errRefused, b.ID(), strings.Join(reasons, "; "))
	}
}

// openModel opens a bundle and has it score a row, before anyone depends on it.
func openModel(ctx context.Context, m config.Model, b *bundle.Bundle, old *working) (*working, error) {
	var share *Scorer
	if old != nil {
		share = old.rowScorer.(*Scorer)
	}
	s, err := NewScorer(m, b, share)
	if err != nil {
		return nil, err
	}
	if err := s.Try(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return &working{rowScorer: s, version: s.Version(), encoder: s.Encoder}, nil
}

func closeModel(w *working) error { return w.rowScorer.(*Scorer).Close() }

// Try scores a row of a user who looked at one thing, to see that the bundle
// works: files can be sound and still not fit each other.
func (s *Scorer) Try(ctx context.Context) error {
	p, err := profile.NewPartition(profile.Config{LatenessMillis: (24 * time.Hour).Milliseconds(), MaxEventsUserDay: 1})
	if err != nil {
		return err
	}
	p.SetLive(true)
	err = p.Apply(0, &profile.Record{Kind: profile.KindEvent, Event: profile.Event{
		Source: profile.Source{Topic: "clickstream"}, User: []byte("trial"), Type: profile.TypePageView, TimeMillis: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli(),
	}})
	if err != nil {
		return err
	}
	p.EmitLive(1 << 20)
	rows := p.Live().Take()
	defer rows.Release()
	scored, err := s.Score(ctx, rows)
	if err != nil {
		return fmt.Errorf("bundle %s: scoring a trial row: %w", s.Bundle().ID(), err)
	}
	scored.Release()
	return nil
}

// encoderStats are those of the encoder at work.
func (s *seat) encoderStats() embed.Stats {
	if w := s.seated(); w != nil && w.encoder != nil {
		return w.encoder.Stats()
	}
	return embed.Stats{}
}
