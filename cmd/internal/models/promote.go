package models

import (
	"context"
	"errors"
	"fmt"
	"time"

	"profilestream/profile"
	"profilestream/schemas"
	"profilestream/stream/wire"
)

// ErrNothingEarlier: there is no promotion to roll back to.
var ErrNothingEarlier = errors.New("no such earlier promotion")

// Promoter puts bundles of the store to work in a run.
//
// A promotion has three effects, in this order: the record with its number; after
// Lead, its re-score in every partition of the event log; the record again, as
// rescored.
//
//   - Cut off after the first, scorers work with the new bundle and touched users
//     get new rows; the silent ones wait. Promoting the bundle again finds the
//     record incomplete and goes on with its number; another bundle gets a higher
//     number, and its re-score covers everyone.
//   - Cut off among the partitions, or before the last effect, promoting again
//     appends the re-score once more everywhere: windowing keeps the largest
//     number, and users get one more row of equal content.
//   - Two promoters at once: the transactional id belongs to the newer one from
//     its first call on, before it reads which number is next. Either the older
//     one has committed its number by then, and the newer takes the next; or its
//     commit is refused. So no two bundles share a number. The older one may
//     still append a re-score of its number, which is below: an extra row each.
//   - The reverse order, re-score first, would have every scorer wait for a
//     record that a crash may never let it see.
type Promoter struct {
	Client *wire.Client
	Run    string
	// Lead is how long scorers have to load the bundle before rows ask for it.
	Lead time.Duration
	// Step is told what is done next.
	Step func(what string)
	Now  func() time.Time
}

// Promote puts a bundle to work. again reports that it already was.
func (p *Promoter) Promote(ctx context.Context, bundle, manifest string, forced bool) (done Promotion, again bool, err error) {
	return p.promote(ctx, func(r *Record) (Promotion, error) {
		if c := r.Current(); c.Bundle == bundle && c.Manifest == manifest && c.Forced == forced {
			return c, nil
		}
		return Promotion{Bundle: bundle, Manifest: manifest, Forced: forced}, nil
	})
}

// Rollback puts the bundle of an earlier promotion to work, under a new number.
// to is that promotion's number.
func (p *Promoter) Rollback(ctx context.Context, to int64) (done Promotion, again bool, err error) {
	return p.promote(ctx, func(r *Record) (Promotion, error) {
		if c := r.Current(); c.Repeats == to && !r.Rescored {
			return c, nil
		}
		old, err := Target(r, to)
		if err != nil {
			return Promotion{}, err
		}
		return Promotion{Bundle: old.Bundle, Manifest: old.Manifest, Forced: old.Forced, Repeats: old.Number}, nil
	})
}

// Target is the promotion that a rollback returns to: the one of the number, or,
// for 0, the newest one of another bundle than the one at work. A rollback that
// was cut off is completed.
func Target(r *Record, to int64) (Promotion, error) {
	c := r.Current()
	if to == 0 && c.Repeats != 0 && !r.Rescored {
		to = c.Repeats
	}
	if to != 0 {
		if o, ok := r.Find(to); ok && to != c.Number {
			return o, nil
		}
		return Promotion{}, fmt.Errorf("promotion %d of run %s: %w", to, r.Run, ErrNothingEarlier)
	}
	for i := len(r.Promotions) - 1; i >= 0; i-- {
		if o := r.Promotions[i]; o.Manifest != c.Manifest {
			return o, nil
		}
	}
	return Promotion{}, fmt.Errorf("run %s: %w", r.Run, ErrNothingEarlier)
}

// promote does what choose says of the newest record: a promotion without a
// number is a new one; the current one is completed where it is not complete.
func (p *Promoter) promote(ctx context.Context, choose func(*Record) (Promotion, error)) (done Promotion, again bool, err error) {
	txn, err := p.Client.NewTransactor(ctx, "profilestream."+p.Run+".models", wire.TransactorConfig{})
	if err != nil {
		return Promotion{}, false, err
	}
	rec, _, err := Newest(ctx, p.Client, p.Run)
	if err != nil {
		return Promotion{}, false, err
	}
	want, err := choose(&rec)
	if err != nil {
		return Promotion{}, false, err
	}
	if want.Number == 0 {
		want.Number, want.At = rec.Current().Number+1, p.Now().UTC().Truncate(time.Millisecond)
		rec = rec.with(want)
		p.Step(fmt.Sprintf("announcing promotion %d", want.Number))
		if err := p.write(ctx, txn, &rec); err != nil {
			return Promotion{}, false, err
		}
	} else if rec.Rescored {
		return want, true, nil
	}
	p.Step(fmt.Sprintf("giving the scorers %s to load it", p.Lead.Round(100*time.Millisecond)))
	select {
	case <-time.After(p.Lead):
	case <-ctx.Done():
		return want, false, fmt.Errorf("promotion %d is announced but users are not re-scored; repeat the command to complete it: %w", want.Number, context.Cause(ctx))
	}
	if err := p.rescore(ctx, want.Number); err != nil {
		return want, false, fmt.Errorf("promotion %d is announced but not every user is re-scored; repeat the command to complete it: %w", want.Number, err)
	}
	rec.Rescored = true
	return want, false, p.write(ctx, txn, &rec)
}

// rescore appends the re-score to every partition of the event log.
func (p *Promoter) rescore(ctx context.Context, number int64) error {
	tps, err := p.Client.Partitions(ctx, schemas.RunTopics(p.Run).Events)
	if err != nil {
		return err
	}
	p.Step(fmt.Sprintf("having every user of %d log partitions scored again", len(tps)))
	value := profile.AppendRescore(nil, &profile.Rescore{Promotion: number})
	for _, tp := range tps {
		b := new(wire.Builder)
		b.Add(p.Now().UnixMilli(), nil, value)
		if _, err := p.Client.NewProducer(tp.Topic, tp.Partition, wire.ProducerConfig{}).Append(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

func (p *Promoter) write(ctx context.Context, txn *wire.Transactor, r *Record) error {
	value, err := r.encode()
	if err != nil {
		return err
	}
	b := new(wire.Builder)
	b.Add(p.Now().UnixMilli(), []byte(p.Run), value)
	_, err = txn.Append(ctx, topic.Topic, topic.Partition, b)
	if err == nil {
		err = txn.Commit(ctx)
	}
	if errors.Is(err, wire.ErrFenced) {
		return fmt.Errorf("another promotion of run %s began meanwhile: %w", p.Run, err)
	}
	return err
}
