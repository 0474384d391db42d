package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"profilestream/e2e/harness"
	"profilestream/stream/wire"
)

// failure ends a benchmark; the others go on.
type failure string

// owner is the testing.TB that the harness wants: what it started ends with the
// program, and a failure ends the benchmark.
type owner struct {
	testing.TB
	dir      string
	mu       sync.Mutex
	cleanups []func()
}

func (o *owner) Helper()                           {}
func (o *owner) Name() string                      { return "bench" }
func (o *owner) Fatal(args ...any)                 { panic(failure(fmt.Sprint(args...))) }
func (o *owner) Fatalf(format string, args ...any) { panic(failure(fmt.Sprintf(format, args...))) }

func (o *owner) TempDir() string {
	dir, err := os.MkdirTemp(o.dir, "")
	if err != nil {
		o.Fatal(err)
	}
	return dir
}

func (o *owner) Cleanup(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cleanups = append(o.cleanups, f)
}

// close ends everything that was started and removes its files.
func (o *owner) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := len(o.cleanups) - 1; i >= 0; i-- {
		o.cleanups[i]()
	}
	o.cleanups = nil
	if err := os.RemoveAll(o.dir); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
}

// session holds what the benchmarks share: the broker, the engine, the inputs
// and a history that ingest has worked off. Each is made when first needed.
type session struct {
	owner
	out      string
	duration time.Duration // of one run, at least
	events   int           // of the history
	model    string
	users    int           // of the benchmarks of state; 0: the full form
	soak     time.Duration // of watching memory
	shop     string        // data folder of the engine, "": a temporary one
	began    time.Time

	broker *harness.Kafka
	db     *harness.Engine
	client *wire.Client
	inputs map[string]*input
	worked *pipeline
	rows   *seeds
	number int // of pipelines so far
}

func newSession(out string, duration time.Duration, events int, bundle string) (*session, error) {
	dir, err := os.MkdirTemp("", "profilestream-bench-")
	if err != nil {
		return nil, err
	}
	if out, err = filepath.Abs(out); err != nil {
		return nil, err
	}
	if bundle != "" {
		if bundle, err = filepath.Abs(bundle); err != nil {
			return nil, err
		}
	}
	s := &session{out: out, duration: duration, events: events, model: bundle, began: time.Now(), inputs: map[string]*input{}}
	s.dir = dir
	return s, nil
}

func (s *session) progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "[%6.1f s] %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

func (s *session) kafka() *harness.Kafka {
	if s.broker == nil {
		s.progress("starting Kafka")
		s.broker = harness.StartKafka(s)
		c, err := wire.NewClient(wire.Config{Brokers: []string{s.broker.Addr}})
		if err != nil {
			s.Fatal(err)
		}
		s.client = c
		s.Cleanup(c.Close)
	}
	return s.broker
}

func (s *session) engine() *harness.Engine {
	if s.db == nil {
		s.progress("starting the ClickHouse engine")
		if s.shop != "" {
			s.db = harness.StartEngineOn(s, s.shop)
		} else {
			s.db = harness.StartEngine(s)
		}
	}
	return s.db
}

// bundle is the model that the scorer runs. What it predicts does not matter
// here: the encoder is the same whatever the heads were trained on.
func (s *session) bundle() string {
	if s.model != "" {
		return s.model
	}
	path := filepath.Join(s.out, "model")
	if _, err := os.Stat(filepath.Join(path, "manifest.json")); err != nil {
		s.progress("training a model bundle in %s", path)
		history := filepath.Join(s.TempDir(), "history")
		s.profilectl("simulate", "--quiet", "--seed", "1007", "--users", "800", "--days", "150", "--events", "80000", "--late", "0", "--poison", "0", "--out", history)
		s.profilectl("train", history, "--out", path, "--encoder", filepath.Join(s.TempDir(), "encoder"))
	}
	s.model = path
	return path
}

func (s *session) profilectl(args ...string) {
	cmd := exec.Command(harness.Binary(s, "profilectl"), args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.Fatalf("profilectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
