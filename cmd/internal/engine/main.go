package engine

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os/signal"
	"path/filepath"
	"syscall"
)

const usage = `engine is ClickHouse, embedded, behind ClickHouse's HTTP interface.

  engine -path data/clickhouse
  engine -path data/clickhouse -listen 127.0.0.1:0 -memory 1073741824
  curl 127.0.0.1:8123 --data 'SELECT version()'

It writes JSON lines to standard error; "` + ReadyMessage + `" has the address in addr. SIGTERM lets running
statements finish. Exit codes: 0 after SIGTERM, 2 wrong settings, 1 else.

`

// Main is the command: it parses args, serves until a signal or, where asked for, the end of stdin, and returns the
// exit code.
func Main(args []string, stdin io.Reader, stderr io.Writer) int {
	log := slog.New(slog.NewJSONHandler(stderr, nil))
	config, untilStdinCloses, err := parseFlags(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err == nil:
		err = config.Validate()
	}
	if err != nil {
		log.Error("wrong settings", "error", err.Error())
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if untilStdinCloses {
		go func() {
			// Nothing is ever written there: the end, or an error, means that the parent is gone.
			_, _ = io.Copy(io.Discard, stdin)
			stop()
		}()
	}
	if err := serve(ctx, config, log); err != nil {
		log.Error("engine failed", "error", err.Error())
		return 1
	}
	log.Info("engine stopped")
	return 0
}

func serve(ctx context.Context, config Config, log *slog.Logger) error {
	// First the port: it is the likelier to be taken, and the engine needs a second to start.
	listener, err := net.Listen("tcp", config.Listen)
	if err != nil {
		return fmt.Errorf("listening on %s: %w", config.Listen, err)
	}
	server, err := New(config)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	log.Info(ReadyMessage, "addr", listener.Addr().String(), "version", server.Version(), "path", config.Path)
	if err := server.Serve(ctx, listener); err != nil {
		return err
	}
	server.Close()
	return nil
}

func parseFlags(args []string, stderr io.Writer) (config Config, untilStdinCloses bool, err error) {
	config = Defaults()
	flags := flag.NewFlagSet("engine", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	cache := flags.String("cache", CacheFolder(), "`folder` of .setup/run, which holds lib/libchdb.so; also PROFILESTREAM_CACHE")
	flags.StringVar(&config.Listen, "listen", config.Listen, "`host:port`; port 0 picks a free one")
	flags.BoolVar(&config.AllowRemote, "allow-remote", false, "permit -listen beyond the loopback interface; there are no passwords")
	flags.StringVar(&config.Path, "path", "", "data `folder`")
	flags.Int64Var(&config.MemoryBytes, "memory", config.MemoryBytes, "limit of the engine's memory, in `bytes`")
	flags.Int64Var(&config.MaxBodyBytes, "max-body", config.MaxBodyBytes, "limit of one request's decoded body, in `bytes`")
	flags.IntVar(&config.MaxQueries, "max-queries", config.MaxQueries, "statements at a time; more wait")
	flags.IntVar(&config.Threads, "threads", config.Threads, "threads of one statement")
	flags.BoolVar(&untilStdinCloses, "until-stdin-closes", false, "stop when standard input ends, as it does when a parent process dies")
	if err := flags.Parse(args); err != nil {
		return config, false, err
	}
	if flags.NArg() > 0 {
		return config, false, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	config.Library = filepath.Join(*cache, "lib", "libchdb.so")
	return config, untilStdinCloses, nil
}
