package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/models"
	"profilestream/cmd/internal/stage"
	"profilestream/inference/bundle"
	"profilestream/inference/encoder"
	"profilestream/schemas"
	"profilestream/stream"
	"profilestream/stream/wire"
)

// errTrouble says that the doctor found something that would stop a process.
var errTrouble = errors.New("something would stop the pipeline; see above")

// finding is one line of the doctor's report.
type finding struct {
	state, what, detail string // state: ok, warning, trouble
}

func doctorCommand(s *shared) *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Check configuration, Kafka, ClickHouse and model before a start",
		Long:    "Doctor looks at what a start would need and names what would stop it or hurt later. It changes nothing. Exit code 1 if something would stop it.",
		Example: "  profilectl doctor -c f.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, c, err := s.kafka(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			defer c.Close()
			ctx, cancel := context.WithTimeout(cmd.Context(), 30*time.Second)
			defer cancel()
			found := []finding{{"ok", "configuration", "run " + cfg.Run + ", config_version " + cfg.Version()}}
			found = append(found, examineKafka(ctx, cfg, c)...)
			found = append(found, examineClickHouse(ctx, cfg))
			dir, model := examineModel(ctx, cfg, c)
			found = append(found, model, examineEncoder(cfg, dir))
			return report(cmd.OutOrStdout(), found)
		},
	}
}

func report(w io.Writer, found []finding) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	bad := false
	for _, f := range found {
		bad = bad || f.state == "trouble"
		fmt.Fprintf(t, "%s\t%s\t%s\n", f.state, f.what, f.detail)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if bad {
		return errTrouble
	}
	return nil
}

func examineKafka(ctx context.Context, cfg *config.Config, c *wire.Client) []finding {
	topics, err := c.Topics(ctx)
	if err != nil {
		return []finding{{"trouble", "kafka.brokers", "no answer: " + err.Error()}}
	}
	out := []finding{{"ok", "kafka.brokers", fmt.Sprintf("%d topics", len(topics))}}
	for _, name := range cfg.Input.Topics {
		if _, ok := topics[name]; !ok {
			out = append(out, finding{"trouble", "input topic " + name, "is not there: create it, or mend input.topics"})
			continue
		}
		out = append(out, examineInput(ctx, cfg, c, name, topics[name])...)
		out = append(out, examineOffsets(ctx, cfg, c, name)...)
	}
	for _, want := range stream.RunTopics(stream.TopicsConfig{Run: cfg.Run, OthersLog: cfg.Log.Of != "", Partitions: cfg.Log.Partitions, Replication: cfg.Log.Replication}) {
		switch have, ok := topics[want.Name]; {
		case !ok:
			out = append(out, finding{"ok", "topic " + want.Name, "is made at the first start"})
		case have != want.Partitions:
			out = append(out, finding{"trouble", "topic " + want.Name, fmt.Sprintf("has %d partitions, log.partitions says %d: the number of a run cannot change, start another run", have, want.Partitions)})
		case want.Name == cfg.Topics().Events:
			out = append(out, examineLog(ctx, c, want.Name)...)
		}
	}
	return out
}

// examineLog warns where the event log is not kept for ever.
func examineLog(ctx context.Context, c *wire.Client, name string) []finding {
	settings, err := c.TopicSettings(ctx, name)
	if err != nil {
		return []finding{{"warning", "topic " + name, "its settings cannot be read: " + err.Error()}}
	}
	if kept, ok := retention(settings); ok {
		return []finding{{"warning", "topic " + name, fmt.Sprintf("keeps records for %s: state that is lost cannot be made again from it, and no run can replay it", kept)}}
	}
	return nil
}

// examineInput warns where a topic's timestamps are the producers' and nothing
// bounds them: one wrong clock could then move a watermark far ahead; and where
// records are gone before the last of their time may have come.
func examineInput(ctx context.Context, cfg *config.Config, c *wire.Client, name string, partitions int) []finding {
	what := "input topic " + name
	settings, err := c.TopicSettings(ctx, name)
	if err != nil {
		return []finding{{"warning", what, "its settings cannot be read: " + err.Error()}}
	}
	var out []finding
	after := settings["message.timestamp.after.max.ms"]
	if settings["message.timestamp.type"] == "CreateTime" && (after == "" || len(after) > 12) {
		out = append(out, finding{"warning", what, "timestamps are the producers' and unbounded: set message.timestamp.after.max.ms, or LogAppendTime, so that a wrong clock cannot move time"})
	}
	if kept, ok := retention(settings); ok && kept < cfg.Profile.Lateness {
		out = append(out, finding{"warning", what, fmt.Sprintf("keeps records for %s, less than profile.lateness, %s: an outage of that length loses some that would have counted", kept, cfg.Profile.Lateness)})
	}
	if id, err := c.TopicID(ctx, name, 0); err == nil && id == "" {
		out = append(out, finding{"warning", what, "this cluster tells no ids of topics: one that is made anew is noticed only by the group's place in it"})
	}
	if len(out) == 0 {
		return []finding{{"ok", what, fmt.Sprintf("%d partitions", partitions)}}
	}
	return out
}

// retention is how long a topic keeps its records, false for ever.
func retention(settings map[string]string) (time.Duration, bool) {
	ms, err := strconv.ParseInt(settings["retention.ms"], 10, 64)
	if err != nil || ms < 0 || strings.Contains(settings["cleanup.policy"], "compact") {
		return 0, false
	}
	return time.Duration(ms) * time.Millisecond, true
}

// examineOffsets finds places at which admission could not go on.
func examineOffsets(ctx context.Context, cfg *config.Config, c *wire.Client, topic string) []finding {
	causes, err := stage.Gaps(ctx, cfg, c, topic)
	if err != nil {
		return []finding{{"trouble", "input topic " + topic, err.Error()}}
	}
	state := "trouble"
	if cfg.Input.OnGap == config.OnGapNewEpoch {
		state = "warning" // it goes on, as it is told to
	}
	var out []finding
	for _, cause := range causes {
		out = append(out, finding{state, "input topic " + topic, cause.Error()})
	}
	return out
}

func examineClickHouse(ctx context.Context, cfg *config.Config) finding {
	c, err := stage.ClickHouse(cfg)
	if err != nil {
		return finding{"trouble", "clickhouse", err.Error()}
	}
	defer c.Close()
	if err := c.Ping(ctx); err != nil {
		return finding{"trouble", "clickhouse.addr", "no answer: " + err.Error()}
	}
	return finding{"ok", "clickhouse.addr", strings.Join(cfg.ClickHouse.Addr, ", ") + ", database " + cfg.Database()}
}

// examineModel looks at the bundle that a scorer would load now, and says where
// it lies: the promoted one, or before the first promotion that of model.dir.
func examineModel(ctx context.Context, cfg *config.Config, c *wire.Client) (dir string, f finding) {
	topics, err := c.Topics(ctx)
	if err == nil && topics[schemas.ModelsTopic] > 0 {
		r, _, err := models.Newest(ctx, c, cfg.Run)
		if err != nil {
			return "", finding{"trouble", "topic " + schemas.ModelsTopic, err.Error()}
		}
		if p := r.Current(); p.Number > 0 {
			store := models.Store{Dir: cfg.Model.StoreDir()}
			if _, err := store.Load(p); err != nil {
				return store.Path(p.Bundle), finding{"trouble", "model.store", err.Error()}
			}
			return store.Path(p.Bundle), finding{"ok", "model.store", fmt.Sprintf("%s, promotion %d, bundle %s", store.Dir, p.Number, p.Bundle)}
		}
	}
	dir = cfg.Model.Dir
	if _, err := os.Stat(dir); err != nil {
		return dir, finding{"trouble", "model.dir", dir + " is not there: profilectl train makes a bundle"}
	}
	b, err := bundle.Load(dir)
	if err != nil {
		return dir, finding{"trouble", "model.dir", err.Error()}
	}
	if reasons := b.Refused(); len(reasons) > 0 {
		return dir, finding{"trouble", "model.dir", fmt.Sprintf("%s: the gate refused bundle %s (%s): scorer -force loads it all the same", dir, b.ID(), strings.Join(reasons, "; "))}
	}
	return dir, finding{"ok", "model.dir", dir + ", bundle " + b.ID()}
}

func examineEncoder(cfg *config.Config, dir string) finding {
	e, err := encoder.Open(encoder.Config{Dir: dir, Device: cfg.Model.Device, Runtime: cfg.Model.Runtime, Precision: cfg.Model.Precision, Threads: 1})
	if err != nil {
		return finding{"trouble", "encoder", err.Error()}
	}
	version := e.Version()
	if err := e.Close(); err != nil {
		return finding{"warning", "encoder", err.Error()}
	}
	return finding{"ok", "encoder", version}
}
