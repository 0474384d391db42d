package ctl

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"profilestream/cmd/internal/admin"
	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/process"
	"profilestream/cmd/internal/stage"
	"profilestream/stream/kafkatest"
	"profilestream/stream/wire"
)

// TestDoctorNamesTrouble: what would stop a start, or hurt later, is named, and
// nothing else is.
func TestDoctorNamesTrouble(t *testing.T) {
	for name, c := range map[string]struct {
		settings map[string]string // of the input topic
		then     func(t *testing.T, cfg *config.Config, c *wire.Client)
		state    string
		says     string
	}{
		"in order":             {nil, nil, "", ""},
		"timestamps unbounded": {map[string]string{"message.timestamp.type": "CreateTime", "message.timestamp.after.max.ms": "9223372036854775807"}, nil, "warning", "producers' and unbounded"},
		"retention too short":  {map[string]string{"retention.ms": "3600000"}, nil, "warning", "less than profile.lateness"},
		"no input topic": {nil, func(t *testing.T, cfg *config.Config, c *wire.Client) {
			cfg.Input.Topics = append(cfg.Input.Topics, "eu.clickstream")
		}, "trouble", "is not there"},
		"log partitions changed": {nil, func(t *testing.T, cfg *config.Config, c *wire.Client) { cfg.Log.Partitions++ }, "trouble", "log.partitions says 3"},
		"made anew":              {nil, func(t *testing.T, cfg *config.Config, c *wire.Client) { remake(t, c, cfg.Input.Topics[0]) }, "trouble", "deleted and made anew"},
		"made anew, goes on": {nil, func(t *testing.T, cfg *config.Config, c *wire.Client) {
			remake(t, c, cfg.Input.Topics[0])
			cfg.Input.OnGap = config.OnGapNewEpoch
		}, "warning", "deleted and made anew"},
		"overrun": {nil, func(t *testing.T, cfg *config.Config, c *wire.Client) {
			b := new(wire.Builder)
			for range 5 {
				b.Add(time.Now().UnixMilli(), nil, []byte("{"))
			}
			if _, err := c.NewProducer(cfg.Input.Topics[0], 0, wire.ProducerConfig{}).Append(t.Context(), b); err != nil {
				t.Fatal(err)
			}
			kafkatest.DeleteRecords(t, cfg.Kafka.Brokers[0], cfg.Input.Topics[0], 0, 4)
		}, "trouble", "below the start"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config.Default()
			cfg.Kafka.Brokers = kafkatest.Fake(t).Addrs
			cfg.Log.Partitions, cfg.Input.Topics = 2, []string{"clickstream"}
			client, err := wire.NewClient(wire.Config{Brokers: cfg.Kafka.Brokers})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(client.Close)
			settings := map[string]string{"message.timestamp.type": "LogAppendTime", "retention.ms": "-1"}
			for k, v := range c.settings {
				settings[k] = v
			}
			if err := client.CreateTopics(t.Context(), wire.Topic{Name: "clickstream", Partitions: 1, Replication: 1, Settings: settings}); err != nil {
				t.Fatal(err)
			}
			admitted(t, &cfg, client)
			if c.then != nil {
				c.then(t, &cfg, client)
			}
			var got []string
			for _, f := range examineKafka(t.Context(), &cfg, client) {
				if f.state != "ok" {
					got = append(got, f.state+": "+f.detail)
				}
			}
			if (c.state == "") != (len(got) == 0) {
				t.Errorf("found %q", got)
			}
			for _, g := range got {
				if !strings.HasPrefix(g, c.state+": ") || !strings.Contains(g, c.says) {
					t.Errorf("found %q, want a %s that says %q", g, c.state, c.says)
				}
			}
		})
	}
}

// admitted runs admission until the inputs are read.
func admitted(t *testing.T, cfg *config.Config, c *wire.Client) {
	t.Helper()
	if err := stage.CreateTopics(t.Context(), cfg, c); err != nil {
		t.Fatal(err)
	}
	if err := stage.Ingest(context.WithoutCancel(t.Context()), drainingEnv(cfg)); err != nil {
		t.Fatal(err)
	}
}

func remake(t *testing.T, c *wire.Client, topic string) {
	t.Helper()
	if err := c.DeleteTopics(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	settings := map[string]string{"message.timestamp.type": "LogAppendTime", "retention.ms": "-1"}
	if err := c.CreateTopics(t.Context(), wire.Topic{Name: topic, Partitions: 1, Replication: 1, Settings: settings}); err != nil {
		t.Fatal(err)
	}
}

func drainingEnv(cfg *config.Config) *process.Env {
	return &process.Env{Config: cfg, Log: slog.New(slog.DiscardHandler), Metrics: process.NewRegistry(), Health: &admin.Health{}, Drain: true}
}
