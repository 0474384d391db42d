package engine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ReadyMessage is the message of the log line with which bin/engine says where it listens, in its field addr.
const ReadyMessage = "engine listens"

// Options of an engine in a process of its own.
type Options struct {
	Binary      string    // bin/engine; "" looks beside the running program, then in ./bin
	Path        string    // data folder
	Listen      string    // "" picks a free port of the loopback interface
	MemoryBytes int64     // 0 is the engine's default
	Cache       string    // folder of .setup/run; "" is the engine's default
	Flags       []string  // more of the engine's flags
	Log         io.Writer // what the engine writes to standard error; nil drops it
}

// Process is a running bin/engine. It ends with this process, however this one ends: its standard input is a pipe
// from here, and it stops when that closes.
type Process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	addr  string
	done  chan struct{} // closed when it has exited
	err   error         // of its exit; read after done
}

// Start runs bin/engine and returns once it answers, or with the reason why it does not.
func Start(ctx context.Context, o Options) (*Process, error) {
	binary, err := o.binary()
	if err != nil {
		return nil, err
	}
	args := []string{"-until-stdin-closes", "-path", o.Path, "-listen", firstOf(o.Listen, "127.0.0.1:0")}
	if o.MemoryBytes > 0 {
		args = append(args, "-memory", strconv.FormatInt(o.MemoryBytes, 10))
	}
	if o.Cache != "" {
		args = append(args, "-cache", o.Cache)
	}
	args = append(args, o.Flags...)
	p := &Process{cmd: exec.Command(binary, args...), done: make(chan struct{})}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("starting the engine: %w", err)
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the engine: %w", err)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the engine: %w", err)
	}
	ready := make(chan string, 1)
	go p.follow(stderr, o.Log, ready)
	select {
	case p.addr = <-ready:
		return p, nil
	case <-p.done:
		return nil, fmt.Errorf("starting the engine: it stopped: %w", p.err)
	case <-ctx.Done():
		return nil, errors.Join(fmt.Errorf("starting the engine: %w", context.Cause(ctx)), p.Kill())
	}
}

func (o Options) binary() (string, error) {
	if o.Binary != "" {
		return o.Binary, nil
	}
	var tried []string
	if self, err := os.Executable(); err == nil {
		tried = append(tried, filepath.Join(filepath.Dir(self), "engine"))
	}
	tried = append(tried, filepath.Join("bin", "engine"))
	for _, path := range tried {
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return path, nil
		}
	}
	return "", fmt.Errorf("starting the engine: there is none of %s; make build makes it", strings.Join(tried, ", "))
}

// follow passes the log on, reports the address, and waits for the process once its log has ended.
func (p *Process) follow(stderr io.Reader, log io.Writer, ready chan<- string) {
	defer close(p.done)
	if log == nil {
		log = io.Discard
	}
	last := ""
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		last = lines.Text()
		fmt.Fprintln(log, last)
		var line struct{ Msg, Addr string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == ReadyMessage {
			ready <- line.Addr
		}
	}
	_, copyErr := io.Copy(log, stderr) // after a line longer than the buffer
	if p.err = errors.Join(copyErr, p.cmd.Wait()); p.err != nil && last != "" {
		p.err = fmt.Errorf("%w: %s", p.err, last)
	}
}

// Addr is host:port of the HTTP interface.
func (p *Process) Addr() string { return p.addr }

// Pid of the process, for signals.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the process has exited.
func (p *Process) Done() <-chan struct{} { return p.done }

// Stop lets running statements finish and waits for the exit; it is killed when ctx ends first.
func (p *Process) Stop(ctx context.Context) error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping the engine: %w", err)
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("stopping the engine: %w", context.Cause(ctx)), p.Kill())
	}
	if p.err != nil {
		return fmt.Errorf("stopping the engine: %w", p.err)
	}
	return nil
}

// Kill ends the process as a power cut would, for it, and waits for the exit.
func (p *Process) Kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("killing the engine: %w", err)
	}
	<-p.done
	return nil
}

// PeakRSS is the largest resident memory, in bytes, that the process has had; while it runs, so far.
func (p *Process) PeakRSS() (int64, error) {
	select {
	case <-p.done:
		usage, ok := p.cmd.ProcessState.SysUsage().(*syscall.Rusage)
		if !ok {
			return 0, errors.New("reading the engine's memory: the system reports none")
		}
		return usage.Maxrss << 10, nil
	default:
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Pid()))
	if err != nil {
		return 0, fmt.Errorf("reading the engine's memory: %w", err)
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	fields := strings.Fields(after)
	if len(fields) == 0 {
		return 0, errors.New("reading the engine's memory: it has just exited")
	}
	kib, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading the engine's memory: %w", err)
	}
	return kib << 10, nil
}

// stopGrace is a Stop's usual limit: the engine's own drain deadline and its shutdown.
const stopGrace = drainDeadline + 10*time.Second

// Close stops the process within the usual limit.
func (p *Process) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopGrace)
	defer cancel()
	return p.Stop(ctx)
}
