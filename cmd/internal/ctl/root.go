package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/process"
	"profilestream/cmd/internal/simulate"
)

// Main runs profilectl and returns its exit code: 0 done, 2 wrong
// configuration or usage, 1 else.
func Main(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return process.ExitOK
	}
	fmt.Fprintln(stderr, "profilectl:", err)
	var wrong *config.Error
	if errors.As(err, &wrong) || errors.Is(err, errUsage) {
		return process.ExitConfig
	}
	return process.ExitFailed
}

// errUsage marks errors of the command line itself.
var errUsage = errors.New("usage")

// shared are the flags of every command.
type shared struct {
	path  string
	level string
}

func (s *shared) config() (*config.Config, error) { return config.Load(s.path, os.Environ()) }

func (s *shared) logger(w io.Writer) (*slog.Logger, error) {
	var lv slog.Level
	if err := lv.UnmarshalText([]byte(s.level)); err != nil {
		return nil, fmt.Errorf("%w: --log-level: %w", errUsage, err)
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: lv})), nil
}

func newRoot() *cobra.Command {
	s := &shared{}
	root := &cobra.Command{
		Use:   "profilectl",
		Short: "Operate a profilestream: set up, feed, train, score, inspect",
		Long: `profilectl operates a profilestream, the streaming customer-profile engine
between Kafka and ClickHouse. The long-running processes are ingest, scorer and
sink; this tool sets up what they need and looks at what they did.`,
		Example: `  profilectl demo                                    # all of it, on this machine, in minutes
  profilectl topics create -c f.yaml                 # create a run's topics
  profilectl migrate -c f.yaml                       # create or upgrade the ClickHouse tables
  profilectl simulate --users 2000 --days 60 --out shop
  profilectl model show models/current`,
		SilenceUsage: true, SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w: %w", errUsage, err) })
	root.PersistentFlags().StringVarP(&s.path, "config", "c", "", "configuration file (YAML); without it defaults and the environment hold")
	root.PersistentFlags().StringVar(&s.level, "log-level", "warn", "debug, info, warn or error")
	root.AddCommand(simulate.Command(), topicsCommand(s), migrateCommand(s), modelCommand(s), trainCommand(s), scoreCommand(s), explainCommand(s), demoCommand(s), dlqCommand(s), eraseCommand(s), runCommand(s), verifyCommand(s), doctorCommand(s), consoleCommand(s))
	strict(root)
	return root
}

// strict makes wrong arguments of a command, and of those below it, errors of
// usage. A command that only has others below it shows its help.
func strict(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			err := check(c, args)
			if err != nil && !errors.Is(err, errUsage) {
				err = fmt.Errorf("%w: %s: %w", errUsage, c.CommandPath(), err)
			}
			return err
		}
	}
	if c.HasSubCommands() && !c.Runnable() {
		c.Args = func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("%w: unknown command %q for %q", errUsage, args[0], c.CommandPath())
			}
			return nil
		}
		c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	}
	for _, below := range c.Commands() {
		strict(below)
	}
}
