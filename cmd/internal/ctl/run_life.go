package ctl

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/runs"
	"profilestream/stream/wire"
)

// named connects and finds the configuration of a run by its name.
func (s *shared) named(cmd *cobra.Command, run string) (*config.Config, *wire.Client, error) {
	_, c, err := s.kafka(cmd.ErrOrStderr())
	if err != nil {
		return nil, nil, err
	}
	cfg, err := runs.Config(cmd.Context(), c, s.load, run)
	if err != nil {
		c.Close()
	}
	return cfg, c, err
}

func runListCommand(s *shared) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the runs that have topics or tables",
		Long: `List shows every run with topics in this cluster or tables beside the configured
database: where it starts, its configuration and model, how many records all its
stages have before them, and which one the serving views show.`,
		Example: "  profilectl run list -c f.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, c, err := s.kafka(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			defer c.Close()
			all, err := runs.List(cmd.Context(), c, s.load)
			if err != nil {
				return err
			}
			return printRuns(cmd.OutOrStdout(), all)
		},
	}
}

func printRuns(w io.Writer, all []runs.Listed) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "RUN\tFROM\tENDS\tCONFIG\tMODEL\tTOPICS\tDATABASE\tUSERS\tBEHIND\tSERVES")
	for _, l := range all {
		behind, serves := fmt.Sprint(l.Behind), ""
		if l.Behind < 0 {
			behind = ""
		}
		if l.Promoted {
			serves = "promoted"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%d\t%s\t%s\n", l.Run, l.Start, l.End, l.Config, l.Model, l.Topics, l.Database, l.Users, behind, serves)
	}
	return t.Flush()
}

func runPromoteCommand(s *shared) *cobra.Command {
	var force bool
	var wait time.Duration
	c := &cobra.Command{
		Use: "promote NAME", Short: "Point the serving views at a run",
		Long: `Promote has the views of the configured database (profilestream.profiles_latest and
the others) show the rows of a run. Each view changes in one step, and stays so when
a process restarts. A run that does not reach what its inputs hold now within --wait
is refused.`,
		Example: `  profilectl run promote june -c f.yaml
  profilectl run promote live -c f.yaml     # back`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, c, err := s.named(cmd, args[0])
			if err != nil {
				return err
			}
			defer c.Close()
			if !force {
				if err := exists(cmd.Context(), c, cfg); err != nil {
					return err
				}
				if err := runs.CaughtUp(cmd.Context(), c, cfg, wait); err != nil {
					return fmt.Errorf("%w (--force promotes it all the same)", err)
				}
			}
			before, after, err := runs.Promote(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "before: %s\nnow:    %s\n", before, after)
			return err
		},
	}
	c.Flags().BoolVar(&force, "force", false, "promote a run that lags")
	c.Flags().DurationVar(&wait, "wait", 30*time.Second, "how long the run may take to reach what its inputs hold now")
	return c
}

// exists refuses a name that no run has.
func exists(ctx context.Context, c *wire.Client, cfg *config.Config) error {
	topics, err := c.Topics(ctx)
	if err == nil && topics[cfg.Topics().State] == 0 {
		err = fmt.Errorf("there is no run %s: profilectl run list shows those that there are", cfg.Run)
	}
	return err
}

func runRetireCommand(s *shared) *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use: "retire NAME", Short: "Remove a run's topics, consumer groups and tables",
		Long: `Retire removes all there is of a run, after asking. Stop its processes first. A run
that the serving views show, or whose event log another run reads, is refused. The
database without a run's name has the serving views, so of the run live it empties the
tables. What was cut off is repeated.`,
		Example: `  profilectl run retire june -c f.yaml
  profilectl run retire june --yes -c f.yaml`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, c, err := s.named(cmd, args[0])
			if err != nil {
				return err
			}
			defer c.Close()
			left, err := runs.Left(cmd.Context(), c, cfg)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "run %s:\n%s", cfg.Run, remains(left))
			if !yes && !confirm(out, cmd.InOrStdin(), cfg.Run) {
				return fmt.Errorf("nothing was removed")
			}
			if err := runs.Retire(cmd.Context(), c, cfg, left); err != nil {
				return err
			}
			_, err = fmt.Fprintf(out, "run %s is retired\n", cfg.Run)
			return err
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c
}

func remains(r *runs.Remains) string {
	var b strings.Builder
	for _, t := range r.Topics {
		fmt.Fprintf(&b, "  topic %s\n", t)
	}
	for _, g := range r.Groups {
		fmt.Fprintf(&b, "  consumer group %s\n", g)
	}
	if r.Database != "" {
		fmt.Fprintf(&b, "  rows of database %s\n", r.Database)
	}
	if r.StateDir != "" {
		fmt.Fprintf(&b, "  local state %s\n", r.StateDir)
	}
	return b.String()
}

// confirm asks for the run's name.
func confirm(out io.Writer, in io.Reader, run string) bool {
	fmt.Fprintf(out, "This cannot be taken back. Type the name of the run to remove all of it: ")
	line, err := bufio.NewReader(in).ReadString('\n')
	return (err == nil || err == io.EOF) && strings.TrimSpace(line) == run
}
