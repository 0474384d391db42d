package stage

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/errgroup"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/privacy"
	"profilestream/cmd/internal/process"
	"profilestream/profile"
	"profilestream/schemas"
	"profilestream/stream/clickhouse"
	"profilestream/stream/failpoint"
	"profilestream/stream/wire"
)

// erasures are the users that a process forgets: known before its first record,
// and followed from then on.
//
// Which part of the run drops what is decided so that totals stay exact over
// crashes, when a record may have been admitted before an erasure and is read
// again after it:
//
//   - An event of a run that began after the erasure is dropped by admission,
//     before it counts. Every owner of the source knows of the erasure.
//   - An event of a run that the erasure lists goes into the log as ever, and
//     windowing, which knows each position once, counts it and forgets it. That
//     log holds the user's earlier events anyway, until the run is retired.
//   - A rejected record is dropped by admission in any run: its totals have no
//     other keeper.
type erasures struct {
	set    *privacy.Set
	client *wire.Client
	log    *slog.Logger
	next   int64 // in the topic of erasures
}

func loadErasures(ctx context.Context, env *process.Env, c *wire.Client) (e *erasures, err error) {
	e = &erasures{client: c, log: env.Log}
	if failpoint.Due("erasures.ignore") {
		return e, nil
	}
	e.set, e.next, err = readErasures(ctx, env.Config, c)
	return e, err
}

// Erased are the users whom the configured run is to forget now.
func Erased(ctx context.Context, cfg *config.Config, c *wire.Client) (*privacy.Set, error) {
	s, _, err := readErasures(ctx, cfg, c)
	return s, err
}

func readErasures(ctx context.Context, cfg *config.Config, c *wire.Client) (*privacy.Set, int64, error) {
	key, err := privacy.ErasureKey(&cfg.Privacy)
	if err != nil {
		return nil, 0, err
	}
	return privacy.Load(ctx, c, key, cfg.Topics().Events)
}

// during follows the topic while work goes on. An erasure that this process
// cannot obey ends the work.
func (e *erasures) during(ctx context.Context, work func(context.Context) error) error {
	if e.set == nil {
		return work(ctx)
	}
	g, ctx := errgroup.WithContext(ctx)
	follow, stop := context.WithCancel(ctx)
	g.Go(func() error { return e.follow(follow) })
	g.Go(func() error {
		defer stop()
		return work(ctx)
	})
	return g.Wait()
}

func (e *erasures) follow(ctx context.Context) error {
	pause := backoff.NewExponentialBackOff()
	pause.MaxInterval = maxReloadInterval
	for {
		next, err := e.set.Follow(ctx, e.client, e.next)
		if ctx.Err() != nil {
			return nil
		}
		var wrong *config.Error
		if errors.As(err, &wrong) {
			return wrong
		}
		e.log.Warn("following the erasures failed, trying again", "error", err)
		if e.next = max(e.next, next); errors.Is(err, wire.ErrOffsetOutOfRange) {
			e.next = wire.Earliest // the topic was compacted or recreated
		}
		select {
		case <-time.After(pause.NextBackOff()):
		case <-ctx.Done():
			return nil
		}
	}
}

// forgets says whether admission is to drop a record, as if it had never been
// there: see erasures.
func (a *admission) forgets(s *source, r *wire.Record, reject *profile.Reject) bool {
	if reject == nil {
		covers, listed := a.erased.Covers(a.event.User, &s.id, r.Offset)
		return covers && !listed
	}
	return profile.Named(r.Key, r.Value, func(id []byte) bool {
		covers, _ := a.erased.Covers(id, &s.id, r.Offset)
		return covers
	})
}

// keptRows passes on the rows of users who were not erased after their cause, in
// pieces. The last piece is passed with last, and may be empty.
func keptRows(erased *privacy.Set, rows arrow.Record, fn func(piece arrow.Record, last bool) error) error {
	users, ok := rows.Column(schemas.ColUserID).(*array.String)
	partitions, ok2 := rows.Column(schemas.ColLogPartition).(*array.Int32)
	versions, ok3 := rows.Column(schemas.ColVersion).(*array.Int64)
	if erased == nil || !ok || !ok2 || !ok3 {
		return fn(rows, true)
	}
	pass := func(from, to int, last bool) error {
		piece := rows.NewSlice(int64(from), int64(to))
		defer piece.Release()
		return fn(piece, last)
	}
	from := 0
	for i := range users.Len() {
		if !erased.Hides([]byte(users.Value(i)), partitions.Value(i), versions.Value(i)) {
			continue
		}
		if i > from {
			if err := pass(from, i, false); err != nil {
				return err
			}
		}
		from = i + 1
	}
	if from == 0 {
		return fn(rows, true)
	}
	return pass(from, users.Len(), true)
}

// Forgotten says whether a dead letter or late event is of a user erased since.
func Forgotten(erased *privacy.Set, d *clickhouse.Diverted) bool {
	src := profile.Source{Topic: d.SourceTopic, Partition: d.SourcePartition, Epoch: d.SourceEpoch}
	return erased.Near(&src, d.SourceOffset) && profile.Named(d.Key, d.Value, func(id []byte) bool {
		covers, _ := erased.Covers(id, &src, d.SourceOffset)
		return covers
	})
}
