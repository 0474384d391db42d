package harness

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Engine is a ClickHouse engine of this test, in a process of its own.
type Engine struct {
	cmd  *exec.Cmd
	addr string
	path string
	done chan struct{}
}

// StartEngine starts an engine with an empty data folder; it ends with the test.
func StartEngine(tb testing.TB) *Engine {
	tb.Helper()
	e := &Engine{path: filepath.Join(tb.TempDir(), "clickhouse"), addr: "127.0.0.1:0"}
	e.Restart(tb)
	tb.Cleanup(e.Kill)
	return e
}

// Addr is the host:port of its HTTP interface.
func (e *Engine) Addr() string { return e.addr }

// Kill sends SIGKILL and waits for the end.
func (e *Engine) Kill() {
	_ = e.cmd.Process.Kill()
	<-e.done
}

// PeakBytes is the largest resident memory of an engine that has ended.
func (e *Engine) PeakBytes() int64 {
	return e.cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss * 1024
}

// Restart starts a stopped engine again, with its data, at the same address.
func (e *Engine) Restart(tb testing.TB) {
	tb.Helper()
	log, err := os.Create(filepath.Join(LogDir(tb), "engine.log"))
	if err != nil {
		tb.Fatal(err)
	}
	e.cmd = exec.Command(Binary(tb, "engine"), "-listen", e.addr, "-path", e.path)
	e.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := e.cmd.StderrPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := e.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	ready := make(chan string, 1)
	done := make(chan struct{})
	e.done = done
	go func() {
		defer close(done)
		defer log.Close()
		for s := bufio.NewScanner(out); s.Scan(); {
			_, _ = log.WriteString(s.Text() + "\n")
			var l struct{ Addr string }
			if json.Unmarshal(s.Bytes(), &l) == nil && l.Addr != "" {
				select {
				case ready <- l.Addr:
				default:
				}
			}
		}
		_ = e.cmd.Wait() // the tests look at what it did, not at how it ended
	}()
	select {
	case e.addr = <-ready:
	case <-done:
		tb.Fatalf("the engine ended: %v", e.cmd.ProcessState)
	case <-time.After(2 * time.Minute):
		tb.Fatal("the engine does not listen")
	}
}
