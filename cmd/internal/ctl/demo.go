package ctl

import (
	"github.com/spf13/cobra"

	"profilestream/cmd/internal/demo"
)

func demoCommand(s *shared) *cobra.Command {
	o := demo.Options{Users: 400, Days: 60, Events: 30_000, Seed: 1}
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run the whole pipeline on this machine over a simulated shop",
		Long: `Demo starts an embedded Kafka and an embedded ClickHouse (bin/engine), trains a
model if there is none, sends a simulated shop's events, works them off with the
stages of ingest, scorer and sink, and prints the customers most at risk and most
valuable from ClickHouse.`,
		Example: `  profilectl demo
  profilectl demo --keep                 # stay up, with the console, and print the addresses
  profilectl demo --users 2000 --events 200000`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := s.logger(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			p := &bar{w: cmd.ErrOrStderr()}
			defer p.done()
			o.Out, o.Log, o.Progress, o.EndProgress = cmd.OutOrStdout(), log, p.step, p.done
			return demo.Run(cmd.Context(), o)
		},
	}
	f := c.Flags()
	f.IntVar(&o.Users, "users", o.Users, "customers of the simulated shop")
	f.IntVar(&o.Days, "days", o.Days, "days of its history")
	f.Int64Var(&o.Events, "events", o.Events, "about how many events")
	f.Uint64Var(&o.Seed, "seed", o.Seed, "seed of the shop")
	f.StringVar(&o.Model, "model", "models/demo", "folder of the model bundle; trained first if it is not there")
	f.StringVar(&o.Encoder, "encoder", "models/encoder", "folder of the imported encoder")
	f.StringVar(&o.Dir, "dir", "", "data folder that stays; without it a temporary one")
	f.BoolVar(&o.Keep, "keep", false, "stay up after the tables are printed, and serve the console")
	return c
}
