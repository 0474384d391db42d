package stage

import (
	"context"
	"errors"
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
	Lag       func(context.Context) ([]console.StageLag, error) // asks how far each stage is behind
	Log       *slog.Logger
}

// Console opens the console over the configured ClickHouse.
func Console(cfg *config.Config, o ConsoleOptions) (*console.Server, error) {
	ch, err := ClickHouseConfig(cfg)
	if err != nil {
		return nil, err
	}
	opts := console.Options{
		Database: cfg.Database(), Run: cfg.Run, Currency: cfg.Profile.Currency, Token: o.Token.Reveal(), Lag: o.Lag, Log: o.Log,
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
