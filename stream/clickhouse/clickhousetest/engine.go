// Package clickhousetest runs the embedded ClickHouse engine of cmd/engine for
// tests: a real engine in a process of its own, which can be killed and
// started again on its data. It owns that process and its folder; it is not
// for production code.
package clickhousetest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// Engine is a running engine.
type Engine struct {
	// Addr is host:port of its HTTP interface; it survives Restart.
	Addr string

	dir   string
	cmd   *exec.Cmd
	stdin io.Closer
	log   []byte
	tail  chan struct{} // closed when log is complete
}

// Main runs the tests of a package with an engine that they share: ready gets it
// before the first of them. It returns the exit code; an engine that does not
// start, or does not end well, is a failure.
func Main(m *testing.M, ready func(*Engine) error) (code int) {
	failed := func(err error) bool {
		if err != nil {
			fmt.Println(err)
			code = 1
		}
		return err != nil
	}
	dir, err := os.MkdirTemp("", "engine-test-")
	if failed(err) {
		return code
	}
	defer func() { _ = os.RemoveAll(dir) }()
	e, err := Start(dir)
	if failed(err) {
		return code
	}
	defer func() { failed(e.Stop()) }()
	if failed(ready(e)) {
		return code
	}
	return m.Run()
}

// Start builds bin/engine into dir, unless it is there, and starts it on the
// data below dir.
func Start(dir string) (*Engine, error) {
	e := &Engine{dir: dir, Addr: "127.0.0.1:0"}
	if _, err := os.Stat(e.binary()); err != nil {
		out, err := exec.Command("go", "build", "-o", e.binary(), "profilestream/cmd/engine").CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("building the engine: %w: %s", err, out)
		}
	}
	return e, e.Restart()
}

func (e *Engine) binary() string { return filepath.Join(e.dir, "engine") }

// Restart starts the engine again after Kill or Stop.
func (e *Engine) Restart() error {
	e.cmd = exec.Command(e.binary(), "-until-stdin-closes", "-path", filepath.Join(e.dir, "data"), "-listen", e.Addr)
	var err error
	if e.stdin, err = e.cmd.StdinPipe(); err != nil {
		return fmt.Errorf("starting the engine: %w", err)
	}
	stderr, err := e.cmd.StderrPipe()
	if err != nil {
		return fmt.Errorf("starting the engine: %w", err)
	}
	if err := e.cmd.Start(); err != nil {
		return fmt.Errorf("starting the engine: %w", err)
	}
	lines, last := bufio.NewScanner(stderr), ""
	for lines.Scan() {
		var line struct{ Msg, Addr string }
		last = lines.Text()
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "engine listens" {
			e.Addr = line.Addr
			e.tail = make(chan struct{})
			go func() {
				defer close(e.tail)
				e.log, _ = io.ReadAll(stderr)
			}()
			return nil
		}
	}
	return fmt.Errorf("starting the engine: %w: %s; make setup fetches what it needs", e.cmd.Wait(), last)
}

// Kill ends the engine as a power cut would.
func (e *Engine) Kill() error { return e.end(syscall.SIGKILL) }

// Stop ends the engine after its running statements.
func (e *Engine) Stop() error { return e.end(syscall.SIGTERM) }

// Pause stops the engine's process without ending it, until Resume.
func (e *Engine) Pause() error { return e.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume lets a paused engine go on.
func (e *Engine) Resume() error { return e.cmd.Process.Signal(syscall.SIGCONT) }

func (e *Engine) end(s syscall.Signal) error {
	if err := e.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("ending the engine: %w", err)
	}
	<-e.tail
	err := e.cmd.Wait()
	_ = e.stdin.Close()
	if s == syscall.SIGKILL || err == nil {
		return nil
	}
	return fmt.Errorf("ending the engine: %w: %s", err, e.log)
}
