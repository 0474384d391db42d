package training

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/history"
	"profilestream/cmd/internal/stage"
	"profilestream/stream"
	"profilestream/stream/wire"
)

// EventLog stands for the event log of the configured run where a history is
// asked for.
const EventLog = "log"

// Load reads a history and shows its progress: a file or folder, see
// history.Load, or with the word EventLog the run's event log.
func Load(ctx context.Context, cfg *config.Config, path string, progress func(stage string, done, total int)) (*history.History, error) {
	h, err := history.New(cfg)
	if err != nil {
		return nil, err
	}
	what := "reading " + filepath.Base(path)
	if path == EventLog {
		what = "reading " + cfg.Topics().Events
		err = loadLog(ctx, cfg, h, func(done, total int) { progress(what, done, total) })
	} else {
		progress(what, 0, 1)
		err = h.Load(ctx, path)
	}
	if err != nil {
		return nil, err
	}
	if h.Len() == 0 {
		return nil, fmt.Errorf("%s holds no valid event; %s", path, cmp.Or(h.RejectedWords(), "it is empty"))
	}
	progress(what, h.Len(), h.Len())
	return h, nil
}

// loadLog reads every partition of the run's event log up to its end now.
func loadLog(ctx context.Context, cfg *config.Config, h *history.History, progress func(done, total int)) error {
	c, err := stage.Client(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer c.Close()
	tps, err := c.Partitions(ctx, cfg.Topics().Events)
	if err != nil {
		return err
	}
	for k, tp := range tps {
		p := h.NewPartition()
		_, err := stream.Read(ctx, c, stream.ReadConfig{
			TopicPartition: tp, From: wire.Earliest,
			Progress: func(int64, int64) { progress(k, len(tps)) },
		}, func(r *wire.Record) error { return p.Add(r.Offset, r.Value) })
		if err != nil {
			return fmt.Errorf("reading %v: %w", tp, err)
		}
	}
	return nil
}
