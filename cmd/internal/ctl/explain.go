package ctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/history"
	"profilestream/cmd/internal/models"
	"profilestream/cmd/internal/privacy"
	"profilestream/cmd/internal/stage"
	"profilestream/cmd/internal/training"
	"profilestream/inference/bundle"
	"profilestream/inference/explain"
	"profilestream/profile"
	"profilestream/stream"
	"profilestream/stream/wire"
)

type explainFlags struct {
	history, model, asOf, known string
	events                      int
	json, stored, list          bool
}

func explainCommand(s *shared) *cobra.Command {
	f := &explainFlags{}
	c := &cobra.Command{
		Use:   "explain USER",
		Short: "Say why a customer has a score, and what would change it",
		Long: `Explain replays one customer's events and shows the windows, the text that the
encoder read, the score, what each feature adds to the log-odds of churn, the
three events that mattered most (by leaving out each in turn), and the smallest
change of a few kinds that would have led to another band of churn.

The events come from the run's event log, or from a history with --history. From
the log it explains the latest row, as of a day the day row. What windowing found
late, repeated or erased does not count. --as-known-at takes an offset of the
customer's log partition (the column log_offset of a stored row), or a time at
which the log took its records: what came later is unknown. --stored computes a row
of ClickHouse again, restated or not, by its log_offset and the bundle of its
model_version, and fails unless digest and scores are the same.

The output holds personal data.`,
		Example: `  profilectl explain u0744386 -c f.yaml
  profilectl explain u0744386 -c f.yaml --as-of 2026-02-01 --as-known-at 2026-02-03T12:00:00Z --json
  profilectl explain u0744386 -c f.yaml --as-of 2026-02-01 --stored --list
  profilectl explain 12347 --history online_retail.csv.gz --model models/retail --as-of 2011-06-01`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := s.config()
			if err != nil {
				return err
			}
			p := &bar{w: cmd.ErrOrStderr()}
			x, err := f.run(cmd.Context(), s, cmd, cfg, args[0], p)
			p.done()
			if err != nil {
				return err
			}
			if f.json {
				e := json.NewEncoder(cmd.OutOrStdout())
				e.SetIndent("", "  ")
				err = e.Encode(x)
			} else {
				err = x.print(cmd.OutOrStdout())
			}
			return errors.Join(err, x.differs)
		},
	}
	fl := c.Flags()
	fl.StringVar(&f.history, "history", "", "read the events from a history (see profilectl train) instead of the run's event log")
	fl.StringVar(&f.model, "model", "", "folder of the model bundle, or its id in the store; without it the run's promoted one, else model.dir")
	fl.StringVar(&f.asOf, "as-of", "", "a UTC day, such as 2011-09-01: events before it count; or a time, such as 2011-08-31T12:00:00Z: events up to it")
	fl.StringVar(&f.known, "as-known-at", "", "offset of the log partition or time up to which events are known; without it all are")
	fl.IntVar(&f.events, "events", 300, "most events that are left out in turn")
	fl.BoolVar(&f.stored, "stored", false, "compute the row that ClickHouse has again, and compare")
	fl.BoolVar(&f.list, "list", false, "list the events that are known")
	fl.BoolVar(&f.json, "json", false, "print JSON")
	return c
}

// explained is what explain prints.
type explained struct {
	User string `json:"user_id"`
	// LogPartition and LogOffset are the place of the row's cause, where windowing
	// sent such a row; KnownOffset is the last offset that was read.
	LogPartition *int32 `json:"log_partition,omitempty"`
	LogOffset    *int64 `json:"log_offset,omitempty"`
	KnownOffset  *int64 `json:"known_offset,omitempty"`
	Currency     string `json:"currency"`
	// Known are the events that count by type, and KnownEvents each of them, oldest
	// first, with --list.
	Known       map[string]int  `json:"known"`
	KnownEvents []explain.Event `json:"known_events,omitempty"`
	Stored      *storedRow      `json:"stored,omitempty"`
	*explain.Explanation

	differs error // why the stored row is another one
}

func (f *explainFlags) run(ctx context.Context, s *shared, cmd *cobra.Command, cfg *config.Config, user string, p *bar) (x *explained, err error) {
	m, err := f.moment()
	if err != nil {
		return nil, err
	}
	x = &explained{User: user, Currency: cfg.Profile.Currency, Known: map[string]int{}}
	if f.stored && f.history == "" {
		if x.Stored, err = f.lookUp(ctx, cfg, user, m); err != nil {
			return nil, err
		}
		f.known = strconv.FormatInt(x.Stored.LogOffset, 10)
	}
	var u *history.User
	var b *bundle.Bundle
	if f.history != "" {
		u, b, err = f.fromHistory(ctx, cfg, m, x, p)
	} else {
		u, b, err = f.fromLog(ctx, s, cmd, cfg, m, x, p)
	}
	if err != nil {
		return nil, err
	}
	sc, err := stage.NewScorer(cfg.Model, b, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, sc.Close()) }()
	warnRefused(p, sc.Bundle())
	row, err := u.Row(ctx)
	if err != nil {
		return nil, err
	}
	defer row.Release()
	for _, e := range u.Events() {
		x.Known[e.Type]++
	}
	if f.list {
		x.KnownEvents = u.Events()
	}
	x.Explanation, err = explain.Explain(ctx, sc.Scorer, row, u, explain.Options{Events: f.events, Currency: cfg.Profile.Currency, Progress: p.step})
	if err == nil && x.Stored != nil {
		x.differs = x.check()
	}
	return x, err
}

// moment is nil where no --as-of is given.
func (f *explainFlags) moment() (*history.Moment, error) {
	if f.events < 1 {
		return nil, fmt.Errorf("%w: --events must be at least 1", errUsage)
	}
	if f.asOf == "" {
		return nil, nil
	}
	if day, err := time.Parse(time.DateOnly, f.asOf); err == nil {
		m := history.EndOfDay(day.Add(-time.Millisecond))
		return &m, nil
	}
	t, err := time.Parse(time.RFC3339Nano, f.asOf)
	if err != nil {
		return nil, fmt.Errorf("%w: --as-of: %q is neither a day such as 2011-09-01 nor a time such as 2011-08-31T12:00:00Z", errUsage, f.asOf)
	}
	if m := history.EndOfDay(t); m.Until == t.UnixMilli() {
		return &m, nil
	}
	return &history.Moment{Until: t.UnixMilli(), Live: true, Watermark: t.UnixMilli()}, nil
}

// fromHistory finds the customer in files; without --as-of as of the end of the
// last day.
func (f *explainFlags) fromHistory(ctx context.Context, cfg *config.Config, m *history.Moment, x *explained, p *bar) (*history.User, *bundle.Bundle, error) {
	if f.stored {
		return nil, nil, fmt.Errorf("%w: --stored compares with rows of a run, a history has none", errUsage)
	}
	if f.known != "" {
		return nil, nil, fmt.Errorf("%w: --as-known-at asks for the order of the event log, which a history does not have", errUsage)
	}
	h, err := training.Load(ctx, cfg, f.history, p.step)
	if err != nil {
		return nil, nil, err
	}
	warnRejected(p, f.history, h)
	if m == nil {
		_, last := h.Span()
		end := history.EndOfDay(last)
		m = &end
	}
	u, err := h.User(x.User, *m)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", f.history, err)
	}
	b, err := f.folder(cfg)
	return u, b, err
}

// folder is the bundle of --model, else of model.dir. One that the gate refused
// is explained as forced, for a scorer can have scored with it in no other way.
func (f *explainFlags) folder(cfg *config.Config) (*bundle.Bundle, error) {
	dir := cfg.Model.Dir
	if f.model != "" {
		dir = f.model
		if (models.Store{Dir: cfg.Model.StoreDir()}).Has(dir) {
			return bundleOf(&cfg.Model, dir)
		}
	}
	b, err := stage.LoadBundle(dir)
	if err == nil && len(b.Refused()) > 0 {
		b = b.Forced()
	}
	return b, err
}

// errKnown ends the reading of the log at --as-known-at.
var errKnown = errors.New("the rest is not known")

// fromLog finds the customer in the run's event log.
func (f *explainFlags) fromLog(ctx context.Context, s *shared, cmd *cobra.Command, cfg *config.Config, m *history.Moment, x *explained, p *bar) (*history.User, *bundle.Bundle, error) {
	known, err := f.knownAt()
	if err != nil {
		return nil, nil, err
	}
	log, err := s.logger(cmd.ErrOrStderr())
	if err != nil {
		return nil, nil, err
	}
	c, err := stage.Client(cfg, log)
	if err != nil {
		return nil, nil, err
	}
	defer c.Close()
	topic := cfg.Topics().Events
	tps, err := c.Partitions(ctx, topic)
	if err != nil {
		return nil, nil, err
	}
	pseudonyms, err := privacy.NewPseudonyms(&cfg.Privacy)
	if err != nil {
		return nil, nil, err
	}
	stored := pseudonyms.Stored(x.User)
	tp := wire.TopicPartition{Topic: topic, Partition: profile.Partition([]byte(stored), int32(len(tps)))}
	x.LogPartition = &tp.Partition
	if m == nil {
		m = &history.Moment{Until: history.Forever, Live: true}
	}
	l, err := history.NewLog(cfg, tp.Partition, stored, m.Until)
	if err != nil {
		return nil, nil, err
	}
	last := int64(-1)
	_, err = stream.Read(ctx, c, stream.ReadConfig{
		TopicPartition: tp, From: wire.Earliest,
		Progress: func(at, end int64) { p.step("reading "+topic, int(at), int(end)) },
	}, func(r *wire.Record) error {
		if known(r) {
			return errKnown
		}
		last = r.Offset
		return l.Add(r.Offset, r.Timestamp, r.Value)
	})
	if err != nil && !errors.Is(err, errKnown) {
		return nil, nil, fmt.Errorf("%v: %w", tp, err)
	}
	x.KnownOffset = &last
	u, err := l.User(m.Live)
	if err != nil {
		return nil, nil, fmt.Errorf("%v: %w", tp, err)
	}
	if u.Stored >= 0 {
		x.LogOffset = &u.Stored
	}
	if x.Stored != nil && f.model == "" {
		b, err := bundleOf(&cfg.Model, x.Stored.ModelVersion)
		return u, b, err
	}
	b, err := f.bundle(ctx, c, cfg)
	return u, b, err
}

// knownAt says of a record whether it came after --as-known-at.
func (f *explainFlags) knownAt() (func(*wire.Record) bool, error) {
	if f.known == "" {
		return func(*wire.Record) bool { return false }, nil
	}
	if n, err := strconv.ParseInt(f.known, 10, 64); err == nil && n >= 0 {
		return func(r *wire.Record) bool { return r.Offset > n }, nil
	}
	t, err := parseKnown(f.known)
	if err != nil {
		return nil, err
	}
	return func(r *wire.Record) bool { return r.Timestamp > t.UnixMilli() }, nil
}

// bundle is the one asked for, else the run's promoted one, else that of
// model.dir.
func (f *explainFlags) bundle(ctx context.Context, c *wire.Client, cfg *config.Config) (*bundle.Bundle, error) {
	if f.model == "" {
		r, _, err := models.Newest(ctx, c, cfg.Run)
		if err != nil {
			return nil, err
		}
		if now := r.Current(); now.Number > 0 {
			b, err := (models.Store{Dir: cfg.Model.StoreDir()}).Load(now)
			if err == nil && now.Forced {
				b = b.Forced()
			}
			return b, err
		}
	}
	return f.folder(cfg)
}
