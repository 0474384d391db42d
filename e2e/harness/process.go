package harness

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is one of our binaries, running.
type Process struct {
	Name string
	cmd  *exec.Cmd
	tb   testing.TB
	log  string
	done chan struct{}

	mu    sync.Mutex
	admin string
	last  string
	err   error
}

// Start runs a binary with a configuration file and extra arguments and
// environment. Its log goes to a file of the test; the process is killed at the
// end of the test.
func Start(tb testing.TB, name, config string, env []string, args ...string) *Process {
	tb.Helper()
	p := &Process{Name: name, tb: tb, done: make(chan struct{})}
	p.log = filepath.Join(LogDir(tb), fmt.Sprintf("%s-%d.log", name, time.Now().UnixNano()))
	f, err := os.Create(p.log)
	if err != nil {
		tb.Fatal(err)
	}
	p.cmd = exec.Command(Binary(tb, name), append([]string{"-config", config}, args...)...)
	p.cmd.Env = append(append(os.Environ(), "PROFILESTREAM_ADMIN_LISTEN=127.0.0.1:0"), env...)
	out, err := p.cmd.StderrPipe()
	if err != nil {
		tb.Fatal(err)
	}
	p.cmd.Stdout = f
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	go p.follow(out, f)
	tb.Cleanup(func() { p.Kill() })
	return p
}

func (p *Process) follow(out interface{ Read([]byte) (int, error) }, f *os.File) {
	defer close(p.done)
	defer f.Close()
	s := bufio.NewScanner(out)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		fmt.Fprintln(f, s.Text())
		var line struct{ Msg, Admin string }
		p.mu.Lock()
		p.last = s.Text()
		if json.Unmarshal(s.Bytes(), &line) == nil && line.Admin != "" {
			p.admin = line.Admin
		}
		p.mu.Unlock()
	}
	err := p.cmd.Wait()
	p.mu.Lock()
	p.err = err
	p.mu.Unlock()
}

// Admin is the address of the process's admin port, "" until it listens.
func (p *Process) Admin() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.admin
}

// Kill sends SIGKILL and waits for the end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Signal sends a signal.
func (p *Process) Signal(s syscall.Signal) {
	p.tb.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.tb.Fatalf("%s: %v", p.Name, err)
	}
}

// Terminate sends SIGTERM; the error says that the process has ended.
func (p *Process) Terminate() error { return p.cmd.Process.Signal(syscall.SIGTERM) }

// Exited says whether the process has ended.
func (p *Process) Exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Wait waits for the end and returns the exit code, -1 for a signal.
func (p *Process) Wait(limit time.Duration) int {
	p.tb.Helper()
	select {
	case <-p.done:
	case <-time.After(limit):
		p.tb.Fatalf("%s has not ended within %s; its log: %s; its last line: %s", p.Name, limit, p.log, p.Last())
	}
	return p.cmd.ProcessState.ExitCode()
}

// MustExit waits for an exit code.
func (p *Process) MustExit(code int, limit time.Duration) {
	p.tb.Helper()
	if got := p.Wait(limit); got != code {
		p.tb.Fatalf("%s ended with exit code %d, want %d; its log: %s; its last line: %s", p.Name, got, code, p.log, p.Last())
	}
}

// Last is the last line that the process logged.
func (p *Process) Last() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// Log is the whole log so far.
func (p *Process) Log() string {
	b, _ := os.ReadFile(p.log)
	return string(b)
}

// CPU is the user and system time of a process that has ended.
func (p *Process) CPU() time.Duration {
	return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
}

// PeakBytes is the largest resident memory so far of a process that runs, 0 where
// the system does not tell. Of one that has ended it is a bound from above: the
// system counts what its parent had when it started it.
func (p *Process) PeakBytes() int64 {
	if !p.Exited() {
		return peakOf(p.cmd.Process.Pid)
	}
	return p.cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss * 1024
}

// peakOf is the largest resident memory of a running process, 0 where the system does not tell.
func peakOf(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	var kib int64
	_, _ = fmt.Sscan(after, &kib) // 0 if it is not there
	return kib << 10
}

// ResidentBytes is the memory of a running process that is in RAM, 0 if it has ended.
func (p *Process) ResidentBytes() int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	var size, resident int64
	if err != nil {
		return 0
	}
	if _, err := fmt.Sscan(string(b), &size, &resident); err != nil {
		p.tb.Fatalf("memory of %s: %v", p.Name, err)
	}
	return resident * int64(os.Getpagesize())
}

// Ready waits until the process answers /readyz.
func (p *Process) Ready(limit time.Duration) {
	p.tb.Helper()
	Eventually(p.tb, limit, p.Name+" is ready", func() error {
		if p.Exited() {
			p.tb.Fatalf("%s ended before it was ready; its last line: %s", p.Name, p.Last())
		}
		return p.IsReady()
	})
}

// IsReady asks /readyz once; the error says why the process is not ready.
func (p *Process) IsReady() error {
	if p.Admin() == "" {
		return fmt.Errorf("does not listen yet")
	}
	res, err := http.Get("http://" + p.Admin() + "/readyz")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", res.StatusCode)
	}
	return nil
}

// Metric is the sum of the series of a process's metric, or of one series where
// the name has its labels; 0 where there is none.
func Metric(tb testing.TB, p *Process, series string) float64 {
	tb.Helper()
	sum := 0.0
	for _, v := range Metrics(tb, p, series) {
		sum += v
	}
	return sum
}

// Metrics are the values of the series of a process's metric.
func Metrics(tb testing.TB, p *Process, series string) (values []float64) {
	tb.Helper()
	res, err := http.Get("http://" + p.Admin() + "/metrics")
	if err != nil {
		tb.Fatalf("metrics of %s: %v", p.Name, err)
	}
	defer res.Body.Close()
	for s := bufio.NewScanner(res.Body); s.Scan(); {
		name, value, _ := strings.Cut(s.Text(), " ")
		if bare, _, _ := strings.Cut(name, "{"); name != series && bare != series {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			tb.Fatalf("metrics of %s: %v", p.Name, err)
		}
		values = append(values, v)
	}
	return values
}

// Eventually retries check until it returns nil.
func Eventually(tb testing.TB, limit time.Duration, what string, check func() error) {
	tb.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	end := time.After(limit)
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-end:
			tb.Fatalf("not within %s: %s: %v", limit, what, err)
		case <-tick.C:
		}
	}
}

// LogDir keeps the logs of a test. With PROFILESTREAM_E2E_LOGS they outlive it.
func LogDir(tb testing.TB) string {
	if dir := os.Getenv("PROFILESTREAM_E2E_LOGS"); dir != "" {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			tb.Fatal(err)
		}
		return dir
	}
	return tb.TempDir()
}
