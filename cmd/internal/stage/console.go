package stage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/console"
	"profilestream/stream/clickhouse"
)

// ConsoleOptions say where and to whom the console is served.
type ConsoleOptions struct {
	Listen    string
	Token     config.Secret // empty: the loopback address only
	AllowSave bool
	Log       *slog.Logger
}

// Console opens the console over the configured ClickHouse. Kafka is asked for
// the lag when a page wants it.
func Console(cfg *config.Config, o ConsoleOptions) (*console.Server, error) {
	ch, err := ClickHouseConfig(cfg)
	if err != nil {
		return nil, err
	}
	opts := console.Options{
		Database: cfg.Database(), Run: cfg.Run, Currency: cfg.Profile.Currency, Token: o.Token.Reveal(), Log: o.Log,
		Lag: func(ctx context.Context) ([]console.StageLag, error) { return lags(ctx, cfg, o.Log) },
	}
	if opts.Reader, err = clickhouse.OpenReader(ch, console.QueryLimit); err != nil {
		return nil, &config.Error{Key: "clickhouse", Reason: err.Error()}
	}
	if o.AllowSave {
		if opts.Writer, err = clickhouse.OpenWriter(ch); err != nil {
			return nil, errors.Join(err, opts.Reader.Close())
		}
	}
	return console.Listen(o.Listen, opts)
}

// lags asks Kafka how far each stage of the run is behind.
func lags(ctx context.Context, cfg *config.Config, log *slog.Logger) ([]console.StageLag, error) {
	k, err := Client(cfg, log)
	if err != nil {
		return nil, err
	}
	defer k.Close()
	t := cfg.Topics()
	var out []console.StageLag
	for _, g := range []struct {
		stage  string
		topics []string
	}{
		{"admission", cfg.Input.Topics}, {"windowing", []string{t.Events}},
		{"scorer", []string{t.Windows, t.Days}}, {"sink", []string{t.Scored, t.DLQ, t.Late}},
	} {
		places, err := k.GroupLag(ctx, cfg.Group(g.stage), g.topics...)
		if err != nil {
			return nil, fmt.Errorf("asking for the lag of %s: %w", g.stage, err)
		}
		for _, topic := range g.topics {
			l := console.StageLag{Stage: g.stage, Topic: topic}
			for tp, place := range places {
				if tp.Topic == topic {
					l.Partitions, l.Behind = l.Partitions+1, l.Behind+place.Records()
				}
			}
			out = append(out, l)
		}
	}
	return out, nil
}
