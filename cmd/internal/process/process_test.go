package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"profilestream/cmd/internal/config"
	"profilestream/stream"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("os/signal.loop"))
}

// output is a buffer that a process's goroutines may write to.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// file writes a configuration with the admin port on any free one.
func file(t *testing.T, more string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f.yaml")
	if err := os.WriteFile(path, []byte("admin: {listen: 127.0.0.1:0, drain_deadline: 1s}\n"+more), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func terminate(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}

func TestExitCodes(t *testing.T) {
	stopped := func(err func(ctx context.Context) error) func(context.Context, *Env) error {
		return func(ctx context.Context, _ *Env) error {
			terminate(t)
			<-ctx.Done()
			return err(ctx)
		}
	}
	returns := func(err error) func(context.Context, *Env) error {
		return func(context.Context, *Env) error { return err }
	}
	hang := make(chan struct{})
	defer close(hang)
	for _, c := range []struct {
		name string
		run  func(context.Context, *Env) error
		code int
		says string
	}{
		{"done", returns(nil), ExitOK, ""},
		{"failed", returns(errors.New("no luck")), ExitFailed, "no luck"},
		{"wrong configuration found late", returns(fmt.Errorf("taking over: %w", &config.Error{Key: "log.partitions", Reason: "differs"})), ExitConfig, "log.partitions"},
		{"flush past its deadline", returns(fmt.Errorf("windowing: %w", stream.ErrDeadline)), ExitDeadline, "deadline"},
		{"SIGTERM, drained", stopped(func(context.Context) error { return nil }), ExitOK, ""},
		{"SIGTERM while starting", stopped(func(ctx context.Context) error { return fmt.Errorf("creating topics: %w", ctx.Err()) }), ExitOK, ""},
		{"SIGTERM while starting, by its cause", stopped(func(ctx context.Context) error { return fmt.Errorf("creating topics: %w", context.Cause(ctx)) }), ExitOK, ""},
		{"SIGTERM, then a failure", stopped(func(context.Context) error { return errors.New("no luck") }), ExitFailed, "no luck"},
		{"SIGTERM, and no end", stopped(func(context.Context) error { <-hang; return nil }), ExitDeadline, "deadline"},
		{"cancelled by nobody", returns(context.Canceled), ExitFailed, "canceled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out output
			code := Main(Program{Name: "test", Run: c.run}, []string{"-config", file(t, "")}, &out)
			if code != c.code || !strings.Contains(out.String(), c.says) {
				t.Fatalf("exit %d, want %d; output %s", code, c.code, out.String())
			}
		})
	}
}

func TestWrongCommandLineOrConfiguration(t *testing.T) {
	run := func(context.Context, *Env) error {
		t.Error("the program runs")
		return nil
	}
	for _, c := range []struct {
		name string
		args []string
		says string
	}{
		{"unknown flag", []string{"-nosuch"}, "nosuch"},
		{"argument", []string{"extra"}, "extra"},
		{"until without drain", []string{"-until", "2026-01-01T00:00:00Z"}, "-until"},
		{"until is no time", []string{"-drain", "-until", "tomorrow"}, "-until"},
		{"level", []string{"-log-level", "loud"}, "-log-level"},
		{"no file", []string{"-config", "/nowhere/f.yaml"}, "/nowhere/f.yaml"},
		{"unknown key", []string{"-config", file(t, "nosuch: 1\n")}, "nosuch"},
		{"wrong value", []string{"-config", file(t, "log: {partitions: 0}\n")}, "log.partitions"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out output
			if code := Main(Program{Name: "test", HasUntil: true, Run: run}, c.args, &out); code != ExitConfig || !strings.Contains(out.String(), c.says) {
				t.Fatalf("exit %d; output %s", code, out.String())
			}
		})
	}
	var out output
	if code := Main(Program{Name: "test", Run: run}, []string{"-help"}, &out); code != ExitOK || !strings.Contains(out.String(), "Examples:") {
		t.Fatalf("-help: exit %d; output %s", code, out.String())
	}
}
