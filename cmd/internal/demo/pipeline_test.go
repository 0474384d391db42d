package demo

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/stage"
	"profilestream/stream/kafkatest"
	"profilestream/stream/wire"
)

// TestPipelineEndsWithItsParts: a scorer that cannot start ends the demo,
// instead of letting it wait for scores for ever.
func TestPipelineEndsWithItsParts(t *testing.T) {
	cfg := config.Default()
	cfg.Kafka.Brokers = kafkatest.Fake(t).Addrs
	cfg.ClickHouse.Addr = []string{"127.0.0.1:1"}
	cfg.Model.Dir = filepath.Join(t.TempDir(), "nothing")
	d := &demo{cfg: &cfg, o: Options{Progress: func(string, int, int) {}, Log: slog.New(slog.DiscardHandler)}}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c, err := stage.Client(&cfg, d.o.Log)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, topic := range cfg.Input.Topics {
		if err := c.CreateTopics(ctx, wire.Topic{Name: topic, Partitions: 1, Replication: 1}); err != nil {
			t.Fatal(err)
		}
	}
	// A row that nobody will score.
	if err := stage.CreateTopics(ctx, &cfg, c); err != nil {
		t.Fatal(err)
	}
	b := new(wire.Builder)
	b.Add(0, nil, []byte("row"))
	if _, err := c.NewProducer(cfg.Topics().Windows, 0, wire.ProducerConfig{}).Append(ctx, b); err != nil {
		t.Fatal(err)
	}
	var wrong *config.Error
	if err := d.pipeline(ctx, time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)); !errors.As(err, &wrong) || wrong.Key != "model.dir" {
		t.Fatalf("the pipeline ends with %v", err)
	}
	if ctx.Err() != nil {
		t.Fatal("the pipeline ended only because its time was up")
	}
}
