// Package process is the life of a long-running binary: flags, configuration,
// logging, the admin port, signals and exit codes. What the binary does is
// given to it as a function; it knows nothing of the stages.
package process

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"profilestream/cmd/internal/admin"
	"profilestream/cmd/internal/config"
	"profilestream/stream"
)

// Exit codes of every process.
const (
	ExitOK       = 0
	ExitFailed   = 1
	ExitConfig   = 2
	ExitDeadline = 3
)

// Env is what a stage gets from its process.
type Env struct {
	Config  *config.Config
	Log     *slog.Logger
	Metrics *prometheus.Registry
	Health  *admin.Health
	// Drain: work until what is in the inputs now is done, then stop.
	Drain bool
	// Until, with Drain, is the time to which ingest moves every log partition;
	// zero: not at all.
	Until time.Time
	// Force: work with a model that the gate refused.
	Force bool
}

// Program describes a binary.
type Program struct {
	Name  string
	About string
	// HasUntil adds the flag -until.
	HasUntil bool
	// HasForce adds the flag -force.
	HasForce bool
	// Run works until ctx ends or, when draining, until it is done.
	Run func(ctx context.Context, env *Env) error
}

// Main runs a program and returns its exit code.
func Main(p Program, args []string, stderr io.Writer) int {
	env, err := p.parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return ExitOK
	}
	var wrong *config.Error
	if errors.As(err, &wrong) {
		fmt.Fprintln(stderr, err)
		return ExitConfig
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return ExitConfig
	}
	token, err := readToken(env.Config.Admin.TokenFile)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return ExitConfig
	}
	slog.SetDefault(env.Log)
	srv, err := admin.Listen(env.Config.Admin.Listen, token, env.Metrics, env.Health)
	if err != nil {
		env.Log.Error("cannot start", "error", err)
		return ExitFailed
	}
	env.Log.Info("started", "run", env.Config.Run, "config_version", env.Config.Version(), "admin", srv.Addr(), "drain", env.Drain)
	code := p.supervise(env)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := srv.Close(ctx); err != nil {
		env.Log.Warn("closing the admin port", "error", err)
	}
	env.Log.Info("stopped", "exit", code)
	return code
}

func (p Program) parse(args []string, stderr io.Writer) (*Env, error) {
	fs := flag.NewFlagSet(p.Name, flag.ContinueOnError)
	fs.SetOutput(stderr)
	path := fs.String("config", "", "configuration `file` (YAML); without it defaults and the environment hold")
	drain := fs.Bool("drain", false, "work until what is in the inputs now is done, then stop")
	level := fs.String("log-level", "info", "debug, info, warn or error")
	until := new(string)
	if p.HasUntil {
		until = fs.String("until", "", "with -drain: then move time to this `instant` (RFC 3339) in every log partition")
	}
	force := new(bool)
	if p.HasForce {
		force = fs.Bool("force", false, "load a model bundle that the gate refused; every row's model_version shows it")
	}
	fs.Usage = func() {
		fmt.Fprintf(stderr, "%s: %s\n\nUsage:\n  %s [-config f.yaml] [flags]\n\nExamples:\n  %s -config f.yaml\n  %s -config f.yaml -drain\n  PROFILESTREAM_KAFKA_BROKERS=kafka:9092 %s\n\nFlags:\n",
			p.Name, p.About, p.Name, p.Name, p.Name, p.Name)
		fs.PrintDefaults()
		fmt.Fprint(stderr, "\nExit codes: 0 after SIGTERM and a clean drain, 2 wrong configuration, 3 draining passed its deadline, 1 else.\n")
	}
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, &config.Error{Key: fs.Arg(0), Reason: "unexpected argument"}
	}
	var lv slog.Level
	if err := lv.UnmarshalText([]byte(*level)); err != nil {
		return nil, &config.Error{Key: "-log-level", Reason: err.Error()}
	}
	env := &Env{Drain: *drain, Force: *force, Health: &admin.Health{}, Metrics: NewRegistry()}
	if *until != "" {
		t, err := time.Parse(time.RFC3339, *until)
		if err != nil {
			return nil, &config.Error{Key: "-until", Reason: fmt.Sprintf("%q is not a time in RFC 3339", *until)}
		}
		if !*drain {
			return nil, &config.Error{Key: "-until", Reason: "needs -drain"}
		}
		env.Until = t
	}
	cfg, err := config.Load(*path, os.Environ())
	if err != nil {
		return nil, err
	}
	env.Config = cfg
	env.Log = slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: lv})).With("process", p.Name)
	return env, nil
}

// NewRegistry is a registry with the metrics of the Go runtime and the process.
func NewRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// supervise runs the program until it is done or told to stop. After a signal
// it has drain_deadline to finish; a second signal ends it at once.
func (p Program) supervise(env *Env) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx, env) }()
	select {
	case err := <-done:
		return p.exit(ctx, env, err)
	case <-ctx.Done():
	}
	stop()
	env.Log.Info("draining", "deadline", env.Config.Admin.DrainDeadline.String())
	deadline := time.NewTimer(env.Config.Admin.DrainDeadline)
	defer deadline.Stop()
	select {
	case err := <-done:
		return p.exit(ctx, env, err)
	case <-deadline.C:
		env.Log.Error("draining passed its deadline", "deadline", env.Config.Admin.DrainDeadline.String())
		return ExitDeadline
	}
}

func (p Program) exit(ctx context.Context, env *Env, err error) int {
	var wrong *config.Error
	switch {
	case err == nil, ctx.Err() != nil && errors.Is(err, context.Canceled):
		return ExitOK
	case errors.Is(err, stream.ErrDeadline):
		env.Log.Error("draining passed its deadline", "error", err)
		return ExitDeadline
	case errors.As(err, &wrong):
		env.Log.Error("wrong configuration", "key", wrong.Key, "error", err)
		return ExitConfig
	default:
		env.Log.Error("failed", "error", err)
		return ExitFailed
	}
}

func readToken(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", &config.Error{Key: "admin.token_file", Reason: err.Error()}
	}
	return strings.TrimSpace(string(b)), nil
}
