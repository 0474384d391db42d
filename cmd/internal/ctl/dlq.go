package ctl

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/stage"
	"profilestream/stream"
	"profilestream/stream/clickhouse"
	"profilestream/stream/wire"
)

// deadLetter is a record of the DLQ or late topic.
type deadLetter struct {
	SourceTopic     string    `json:"source_topic"`
	SourcePartition int32     `json:"source_partition"`
	SourceEpoch     int32     `json:"source_epoch,omitempty"`
	SourceOffset    int64     `json:"source_offset"`
	Reason          string    `json:"reason"`
	Field           string    `json:"field,omitempty"`
	KafkaTime       time.Time `json:"kafka_timestamp"`
	Truncated       bool      `json:"truncated,omitempty"`
	Bytes           int       `json:"bytes"`
	Value           string    `json:"value,omitempty"`
}

func dlqCommand(s *shared) *cobra.Command {
	c := &cobra.Command{Use: "dlq", Short: "Look at dead-lettered and late records, send them again"}
	var late bool
	c.PersistentFlags().BoolVar(&late, "late", false, "the late topic instead of the DLQ")
	var reason string
	var limit int
	ls := &cobra.Command{
		Use: "ls", Short: "List records by source position, without their values",
		Example: "  profilectl dlq ls -c f.yaml --reason bad_time --limit 20",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
			fmt.Fprintln(t, "SOURCE\tOFFSET\tREASON\tFIELD\tKAFKA TIME\tBYTES")
			n := 0
			err := s.deadLetters(cmd.Context(), cmd.ErrOrStderr(), late, func(d *deadLetter, _ []byte) error {
				if reason != "" && d.Reason != reason || n >= limit {
					return nil
				}
				n++
				_, err := fmt.Fprintf(t, "%s[%d]\t%d\t%s\t%s\t%s\t%d\n", d.SourceTopic, d.SourcePartition, d.SourceOffset, d.Reason, d.Field, d.KafkaTime.Format(time.RFC3339), d.Bytes)
				return err
			})
			if err != nil {
				return err
			}
			return t.Flush()
		},
	}
	ls.Flags().StringVar(&reason, "reason", "", "only this reason")
	ls.Flags().IntVar(&limit, "limit", 100, "at most so many")
	show := &cobra.Command{
		Use: "show TOPIC PARTITION OFFSET", Short: "Print one record by its source position, value and all (it may hold personal data)",
		Example: "  profilectl dlq show clickstream 3 10482 -c f.yaml",
		Args:    cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.showDeadLetter(cmd, late, args)
		},
	}
	stats := &cobra.Command{
		Use: "stats", Short: "Count records by source topic, reason and field",
		Example: "  profilectl dlq stats -c f.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			counts := map[[3]string]int{}
			err := s.deadLetters(cmd.Context(), cmd.ErrOrStderr(), late, func(d *deadLetter, _ []byte) error {
				counts[[3]string{d.SourceTopic, d.Reason, d.Field}]++
				return nil
			})
			if err != nil {
				return err
			}
			return printCounts(cmd.OutOrStdout(), counts)
		},
	}
	c.AddCommand(ls, show, stats, dlqReplayCommand(s))
	return c
}

func printCounts(w io.Writer, counts map[[3]string]int) error {
	keys := make([][3]string, 0, len(counts))
	for k := range counts {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool {
		if a, b := counts[keys[i]], counts[keys[j]]; a != b {
			return a > b
		}
		return fmt.Sprint(keys[i]) < fmt.Sprint(keys[j])
	})
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "RECORDS\tSOURCE\tREASON\tFIELD")
	for _, k := range keys {
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\n", counts[k], k[0], k[1], k[2])
	}
	return t.Flush()
}

func (s *shared) showDeadLetter(cmd *cobra.Command, late bool, args []string) error {
	partition, err := strconv.ParseInt(args[1], 10, 32)
	if err != nil {
		return fmt.Errorf("%w: %q is no partition", errUsage, args[1])
	}
	offset, err := strconv.ParseInt(args[2], 10, 64)
	if err != nil {
		return fmt.Errorf("%w: %q is no offset", errUsage, args[2])
	}
	found := false
	err = s.deadLetters(cmd.Context(), cmd.ErrOrStderr(), late, func(d *deadLetter, value []byte) error {
		if found || d.SourceTopic != args[0] || int64(d.SourcePartition) != partition || d.SourceOffset != offset {
			return nil
		}
		found = true
		d.Value = string(value)
		e := json.NewEncoder(cmd.OutOrStdout())
		e.SetIndent("", "  ")
		return e.Encode(d)
	})
	if err == nil && !found {
		err = fmt.Errorf("no record of %s[%d]@%d is there", args[0], partition, offset)
	}
	return err
}

func (s *shared) deadLetters(ctx context.Context, stderr io.Writer, late bool, fn func(d *deadLetter, value []byte) error) error {
	return s.diverted(ctx, stderr, late, func(d *clickhouse.Diverted) error { return fn(newDeadLetter(d), d.Value) })
}

// diverted calls fn for each record of the DLQ or late topic of the run.
func (s *shared) diverted(ctx context.Context, stderr io.Writer, late bool, fn func(d *clickhouse.Diverted) error) error {
	cfg, c, err := s.kafka(stderr)
	if err != nil {
		return err
	}
	defer c.Close()
	topic := cfg.Topics().DLQ
	if late {
		topic = cfg.Topics().Late
	}
	tps, err := c.Partitions(ctx, topic)
	if err != nil {
		return err
	}
	for _, tp := range tps {
		_, err := stream.Read(ctx, c, stream.ReadConfig{TopicPartition: tp, From: wire.Earliest}, func(r *wire.Record) error {
			d, err := stage.DivertedRow(r)
			if err != nil {
				return fmt.Errorf("%v@%d: %w", tp, r.Offset, err)
			}
			return fn(&d)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func newDeadLetter(d *clickhouse.Diverted) *deadLetter {
	return &deadLetter{
		SourceTopic: d.SourceTopic, SourcePartition: d.SourcePartition, SourceEpoch: d.SourceEpoch, SourceOffset: d.SourceOffset,
		Reason: d.Reason, Field: d.Field, KafkaTime: time.UnixMilli(d.KafkaMillis).UTC(), Truncated: d.Truncated, Bytes: len(d.Value),
	}
}

// kafka connects to Kafka as the configuration says.
func (s *shared) kafka(stderr io.Writer) (*config.Config, *wire.Client, error) {
	cfg, err := s.config()
	if err != nil {
		return nil, nil, err
	}
	log, err := s.logger(stderr)
	if err != nil {
		return nil, nil, err
	}
	c, err := stage.Client(cfg, log)
	return cfg, c, err
}
