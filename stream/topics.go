package stream

import (
	"context"
	"strconv"
	"time"

	"profilestream/schemas"
	"profilestream/stream/wire"
)

// MaxInputBytes is the largest value of an input record that is parsed; larger ones go to the DLQ as they are.
const MaxInputBytes = 1 << 20

// MaxLogBatchBytes is the batch limit of the topics that carry valid input values. A canonical record holds the value,
// its unescaped strings again (at most as much), and some fields.
const MaxLogBatchBytes = 4 * MaxInputBytes

// MaxDeadLetterBatchBytes is the batch limit of the DLQ, which keeps values that are larger than any valid one.
const MaxDeadLetterBatchBytes = 12 << 20

// MaxRowBatchBytes is the batch limit of the topics that carry Arrow messages and state.
const MaxRowBatchBytes = 8 << 20

// TopicsConfig says how the topics of a run are made.
type TopicsConfig struct {
	Run         string
	OthersLog   bool // the run reads the event log of another one and has none
	Partitions  int  // of the log and of everything derived from it
	Replication int
	// Retention of the event log; 0 keeps it for ever, so that any run can be replayed.
	Retention time.Duration
	// RowRetention of windows, days and scored rows, and of the DLQ and late topics: 7 days where 0.
	RowRetention time.Duration
}

// RunTopics returns the topics of a run, and those that it shares, with their settings. All are stamped at append, so that retention counts from
// when we wrote and not from when an event happened. Keys that were erased must leave the compacted topics soon, hence
// their short delete retention.
func RunTopics(cfg TopicsConfig) []wire.Topic {
	names := schemas.RunTopics(cfg.Run)
	if cfg.RowRetention == 0 {
		cfg.RowRetention = 7 * 24 * time.Hour
	}
	topic := func(name string, maxBytes int, retention time.Duration) wire.Topic {
		return wire.Topic{Name: name, Partitions: cfg.Partitions, Replication: cfg.Replication, Settings: map[string]string{
			"cleanup.policy":         "delete",
			"message.timestamp.type": "LogAppendTime",
			"max.message.bytes":      strconv.Itoa(maxBytes),
			"retention.ms":           retentionMillis(retention),
			"retention.bytes":        "-1",
		}}
	}
	own := []wire.Topic{
		topic(names.Windows, MaxRowBatchBytes, cfg.RowRetention),
		topic(names.Days, MaxRowBatchBytes, cfg.RowRetention),
		topic(names.Scored, MaxRowBatchBytes, cfg.RowRetention),
		compacted(names.State, cfg.Partitions, cfg.Replication),
		compacted(names.Sources, 1, cfg.Replication),
		topic(names.DLQ, MaxDeadLetterBatchBytes, cfg.RowRetention),
		topic(names.Late, MaxLogBatchBytes, cfg.RowRetention),
	}
	if !cfg.OthersLog {
		own = append(own, topic(names.Events, MaxLogBatchBytes, cfg.Retention))
	}
	return append(own, SharedTopics(cfg.Replication)...)
}

// ArchiveTopic is an input topic of a run's own, for what it reads from files: one partition, stamped as the files say,
// kept for ever.
func ArchiveTopic(name string, replication int) wire.Topic {
	return wire.Topic{Name: name, Partitions: 1, Replication: replication, Settings: map[string]string{
		"cleanup.policy":         "delete",
		"message.timestamp.type": "CreateTime",
		"max.message.bytes":      strconv.Itoa(MaxDeadLetterBatchBytes),
		"retention.ms":           "-1",
		"retention.bytes":        "-1",
	}}
}

// SharedTopics returns the topics that all runs of a cluster share.
func SharedTopics(replication int) []wire.Topic {
	return []wire.Topic{
		compacted(schemas.ModelsTopic, 1, replication), compacted(schemas.ErasuresTopic, 1, replication), compacted(schemas.RunsTopic, 1, replication),
	}
}

func compacted(name string, partitions, replication int) wire.Topic {
	return wire.Topic{Name: name, Partitions: partitions, Replication: replication, Settings: map[string]string{
		"cleanup.policy":            "compact",
		"message.timestamp.type":    "LogAppendTime",
		"max.message.bytes":         strconv.Itoa(MaxRowBatchBytes),
		"min.cleanable.dirty.ratio": "0.2",
		"delete.retention.ms":       "3600000",
		"segment.ms":                "600000",
		"segment.bytes":             strconv.Itoa(64 << 20),
	}}
}

func retentionMillis(d time.Duration) string {
	if d == 0 {
		return "-1"
	}
	return strconv.FormatInt(d.Milliseconds(), 10)
}

// CreateTopics makes the topics of a run that do not exist yet. It returns a *wire.PartitionCountError where one exists
// with another number of partitions.
func CreateTopics(ctx context.Context, c *wire.Client, cfg TopicsConfig) error {
	return c.CreateTopics(ctx, RunTopics(cfg)...)
}
