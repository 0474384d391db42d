package ctl

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"profilestream/cmd/internal/privacy"
	"profilestream/cmd/internal/stage"
)

type eraseFlags struct {
	status, again, json bool
	wait                time.Duration
}

func eraseCommand(s *shared) *cobra.Command {
	f := &eraseFlags{}
	c := &cobra.Command{
		Use:   "erase USER",
		Short: "Erase a customer from every run, and say how far that has come",
		Long: `Erase has every run of the cluster forget what a customer did up to now: it
writes the erasure down (by a keyed hash of the id, privacy.erasure_key_file),
tells the event log of each run, waits until their state is erased, removes the
customer's rows in ClickHouse and prints a receipt. Repeating it is harmless and
completes one that was cut off; what the customer did since is erased with --again.

The event logs themselves and the input topics still hold the customer's events.
The erasure is complete when every run that there was is retired: start a new one
over the inputs, promote it, retire the old ones. A new run never sees the customer.
The input topics are yours to erase; the receipt names them.`,
		Example: `  profilectl erase u0744386 -c f.yaml
  profilectl erase u0744386 -c f.yaml --status --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] == "" {
				return fmt.Errorf("%w: USER is empty", errUsage)
			}
			r, err := f.run(cmd, s, args[0])
			if err != nil {
				return err
			}
			if f.json {
				e := json.NewEncoder(cmd.OutOrStdout())
				e.SetIndent("", "  ")
				return e.Encode(r)
			}
			return printReceipt(cmd.OutOrStdout(), r)
		},
	}
	fl := c.Flags()
	fl.BoolVar(&f.status, "status", false, "erase nothing: say how far an erasure has come")
	fl.BoolVar(&f.again, "again", false, "erase what an erased customer did since")
	fl.BoolVar(&f.json, "json", false, "print JSON")
	fl.DurationVar(&f.wait, "wait", time.Minute, "how long to wait for the runs")
	c.MarkFlagsMutuallyExclusive("status", "again")
	return c
}

func (f *eraseFlags) run(cmd *cobra.Command, s *shared, user string) (r *privacy.Receipt, err error) {
	ctx := cmd.Context()
	cfg, c, err := s.kafka(cmd.ErrOrStderr())
	if err != nil {
		return nil, err
	}
	defer c.Close()
	ch, err := stage.ClickHouse(cfg)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ch.Close()) }()
	say := func(what string) { fmt.Fprintln(cmd.ErrOrStderr(), what) }
	e, err := privacy.NewEraser(cfg, c, &privacy.Tables{Client: ch, Base: cfg.ClickHouse.Database}, user, say)
	if err != nil {
		return nil, err
	}
	e.Epochs = stage.SourceEpochs
	if !f.status {
		if err := e.Announce(ctx, f.again); err != nil {
			return nil, err
		}
		if err := e.Await(ctx, f.wait); err != nil {
			return nil, err
		}
	}
	say("looking at every store")
	return e.Receipt(ctx)
}

func printReceipt(w io.Writer, r *privacy.Receipt) error {
	fmt.Fprintf(w, "Erased at %s, looked at %s.\nHMAC-SHA256 of the id with key %s: %s\n\nStage: %s\n\n",
		r.ErasedAt.Format(time.RFC3339), r.Looked.Format(time.RFC3339), r.KeyID, r.Hash, r.Stage)
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "RUN\tTOLD\tSTATE ERASED\tROWS\tRETIRED")
	for _, l := range r.Runs {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\n", l.Run, yes(l.Told), yes(l.State || l.Retired), l.Rows, yes(l.Retired))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nOur topics that held the customer:")
	n := 0
	for _, l := range r.Runs {
		for _, x := range l.Topics {
			n++
			fmt.Fprintf(t, "  %s\t%s\n", x.Topic, held(x))
		}
	}
	if n == 0 {
		fmt.Fprintln(t, "  none is left")
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nYours to erase, our runs ignore the customer there below these offsets:")
	for _, in := range r.Inputs {
		ends := strings.Trim(fmt.Sprint(in.Ends), "[]")
		fmt.Fprintf(t, "  %s\t%s\t%s\n", in.Topic, ends, until(in.Until))
	}
	return t.Flush()
}

func held(x privacy.TopicLeft) string {
	if x.Compact {
		return "until the broker has compacted it: its records of the customer are deleted there"
	}
	return until(x.Until)
}

func until(t time.Time) string {
	if t.IsZero() {
		return "until it is deleted"
	}
	return "until " + t.Format(time.RFC3339) + ", or it is deleted"
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
