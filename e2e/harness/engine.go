package harness

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
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
	return StartEngineOn(tb, filepath.Join(tb.TempDir(), "clickhouse"))
}

// StartEngineOn is StartEngine on a data folder that may hold something already.
func StartEngineOn(tb testing.TB, path string) *Engine {
	tb.Helper()
	e := &Engine{path: path, addr: "127.0.0.1:0"}
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

// CPUSeconds is the processor time of a running engine so far.
func (e *Engine) CPUSeconds(tb testing.TB) float64 {
	tb.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", e.cmd.Process.Pid))
	_, after, ok := strings.Cut(string(stat), ") ")
	fields := strings.Fields(after)
	if err != nil || !ok || len(fields) < 13 {
		tb.Fatalf("processor time of the engine: %v", err)
	}
	const ticksPerSecond = 100 // USER_HZ
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err := errors.Join(err1, err2); err != nil {
		tb.Fatalf("processor time of the engine: %v", err)
	}
	return float64(user+system) / ticksPerSecond
}

// PeakBytesOf is the largest resident memory of a running engine while f runs.
func (e *Engine) PeakBytesOf(tb testing.TB, f func()) int64 {
	tb.Helper()
	// 5 takes the peak back to what is resident now.
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", e.cmd.Process.Pid), []byte("5"), 0); err != nil {
		tb.Fatal(err)
	}
	f()
	return peakOf(e.cmd.Process.Pid)
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
