package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/runs"
	"profilestream/stream/wire"
)

func runCommand(s *shared) *cobra.Command {
	c := &cobra.Command{Use: "run", Short: "Start, look at, promote and retire runs; send rows to ClickHouse again"}
	status := &cobra.Command{
		Use: "status [NAME]", Short: "How far behind each stage of a run is",
		Long: "Status shows the run of the configuration, or the one of the name.",
		Example: `  profilectl run status -c f.yaml
  profilectl run status june -c f.yaml`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, k, err := s.kafka(cmd.ErrOrStderr())
			if err == nil && len(args) > 0 {
				k.Close()
				cfg, k, err = s.named(cmd, args[0])
			}
			if err != nil {
				return err
			}
			defer k.Close()
			return printLags(cmd.Context(), cmd.OutOrStdout(), cfg, k)
		},
	}
	var from string
	var gap bool
	resink := &cobra.Command{
		Use: "resink", Short: "Let the sink write all rows from a time on again, such as after a restored backup",
		Long: `Resink moves the sink's place in the topics scored, dlq and late back to a time.
Stop every sink of the run first, then start them again. Rows that ClickHouse has
already are written once more and count once. The time is that of the topics'
records: choose one before the backup was taken.`,
		Example: `  profilectl run resink --from 2026-02-01T03:00:00Z -c f.yaml
  profilectl run resink --from earliest -c f.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			at, err := parseStart("--from", from)
			if err != nil {
				return err
			}
			cfg, k, err := s.kafka(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			defer k.Close()
			n, err := rewind(cmd.Context(), cfg, k, at, gap)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "run %s: the sink writes %d messages again when it starts\n", cfg.Run, n)
			return err
		},
	}
	resink.Flags().StringVar(&from, "from", "", "earliest, or a time such as 2026-02-01T03:00:00Z")
	resink.Flags().BoolVar(&gap, "accept-gap", false, "go on although the topics no longer reach back to the time")
	c.AddCommand(runStartCommand(s), status, runListCommand(s), runPromoteCommand(s), runRetireCommand(s), resink)
	return c
}

// parseStart reads "earliest" or a time, as ListOffset takes it.
func parseStart(flag, s string) (int64, error) {
	if s == "earliest" {
		return wire.Earliest, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return 0, fmt.Errorf("%w: %s: %q is neither earliest nor a time such as 2026-02-01T03:00:00Z", errUsage, flag, s)
	}
	return t.UnixMilli(), nil
}

func printLags(ctx context.Context, w io.Writer, cfg *config.Config, k *wire.Client) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "STAGE\tTOPIC\tPARTITIONS\tRECORDS BEHIND")
	lags, err := runs.Lags(ctx, k, cfg)
	if err != nil {
		return err
	}
	for _, l := range lags {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\n", l.Stage, l.Topic, l.Partitions, l.Behind)
	}
	return t.Flush()
}

// rewind commits the places of a time for the sink and returns how many records
// lie behind them.
func rewind(ctx context.Context, cfg *config.Config, k *wire.Client, at int64, gap bool) (records int64, err error) {
	t, group := cfg.Topics(), cfg.Group("sink")
	lags, err := k.GroupLag(ctx, group, t.Scored, t.DLQ, t.Late)
	if err != nil {
		return 0, err
	}
	places := map[wire.TopicPartition]wire.Position{}
	for tp, l := range lags {
		first, err := k.ListOffset(ctx, tp.Topic, tp.Partition, wire.Earliest, false)
		if err != nil {
			return 0, err
		}
		place, err := k.ListOffset(ctx, tp.Topic, tp.Partition, at, false)
		if err != nil {
			return 0, err
		}
		if place == first && first > 0 && at >= 0 && !gap {
			return 0, fmt.Errorf("%v begins at offset %d, after the time: what came before was deleted by its retention. A new run over the event log fills the gap; --accept-gap goes on without it", tp, first)
		}
		if l.Committed >= 0 {
			place = min(place, l.Committed)
		}
		places[tp] = wire.Position{Offset: place}
		records += l.End - place
	}
	err = k.Commit(ctx, wire.Member{Group: group, Generation: -1}, places)
	if errors.Is(err, wire.ErrIllegalGeneration) {
		return 0, fmt.Errorf("a sink of run %s is still at work: stop every one of them first", cfg.Run)
	}
	return records, err
}
