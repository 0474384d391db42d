package ctl

import (
	"fmt"
	"sort"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"profilestream/cmd/internal/stage"
)

func topicsCommand(s *shared) *cobra.Command {
	c := &cobra.Command{Use: "topics", Short: "Create or list the Kafka topics of the run"}
	create := &cobra.Command{
		Use: "create", Short: "Create the run's topics that do not exist, with the right settings",
		Long:    "Create makes the run's own topics. The input topics are yours: it does not touch them. The processes do the same at their start.",
		Example: "  profilectl topics create -c f.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, k, err := s.kafka(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			defer k.Close()
			if err := stage.CreateTopics(cmd.Context(), cfg, k); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "run %s: topics are there, with %d partitions\n", cfg.Run, cfg.Log.Partitions)
			return err
		},
	}
	list := &cobra.Command{
		Use: "list", Short: "List the cluster's topics with their partitions",
		Example: "  profilectl topics list -c f.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, k, err := s.kafka(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			defer k.Close()
			topics, err := k.Topics(cmd.Context())
			if err != nil {
				return err
			}
			names := make([]string, 0, len(topics))
			for n := range topics {
				names = append(names, n)
			}
			sort.Strings(names)
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
			for _, n := range names {
				fmt.Fprintf(t, "%s\t%d\n", n, topics[n])
			}
			return t.Flush()
		},
	}
	c.AddCommand(create, list)
	return c
}
