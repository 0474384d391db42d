// Package failpoint kills the process at named points, so that tests can show what a crash there leaves behind.
//
// PROFILESTREAM_FAILPOINT="admission.after_append:3" makes the process kill itself with SIGKILL at the third hit of
// that point; without a number, at the first. "windowing.after_emit:3:stop" makes it stop itself with SIGSTOP, to go on
// from there at SIGCONT. Several points are separated by commas. Unset, a point costs one load.
package failpoint

import (
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Variable is the environment variable that arms points.
const Variable = "PROFILESTREAM_FAILPOINT"

type point struct {
	at    int64
	stops bool
	hits  atomic.Int64
}

// set is an armed process: its points never change after the start.
type set struct {
	points     map[string]*point
	kill, stop func(name string)
}

var armed = fromEnvironment()

func fromEnvironment() *set {
	spec := os.Getenv(Variable)
	if spec == "" {
		return nil
	}
	s, err := parse(spec)
	if err != nil {
		panic(err.Error()) // a test that asks for a crash that never comes would prove nothing
	}
	s.kill, s.stop = killSelf, stopSelf
	return s
}

func parse(spec string) (*set, error) {
	s := &set{points: make(map[string]*point)}
	for _, part := range strings.Split(spec, ",") {
		spec, stops := strings.CutSuffix(strings.TrimSpace(part), ":stop")
		name, count, counted := strings.Cut(spec, ":")
		at := int64(1)
		if counted {
			n, err := strconv.ParseInt(count, 10, 64)
			if err != nil || n < 1 {
				return nil, fmt.Errorf("%s: %q is not name, name:n or name:n:stop with n >= 1", Variable, part)
			}
			at = n
		}
		if name == "" {
			return nil, fmt.Errorf("%s: a point without a name", Variable)
		}
		s.points[name] = &point{at: at, stops: stops}
	}
	return s, nil
}

// Hit dies here if this point is armed and due.
func Hit(name string) {
	if armed != nil {
		armed.hit(name)
	}
}

func (s *set) hit(name string) {
	p := s.points[name]
	if p == nil || p.hits.Add(1) != p.at {
		return
	}
	if p.stops {
		s.stop(name)
	} else {
		s.kill(name)
	}
}

// killSelf says where it dies on stderr, for the harness to count, and leaves no time for anything else.
func killSelf(name string) {
	fmt.Fprintf(os.Stderr, "failpoint %s: killing process %d\n", name, os.Getpid())
	if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
		panic("bug: SIGKILL to ourselves: " + err.Error())
	}
	select {} // the signal arrives before this goroutine does anything else
}

// stopSelf says where it stops. The sleep is there for the signal to arrive in; it ends after SIGCONT.
func stopSelf(name string) {
	fmt.Fprintf(os.Stderr, "failpoint %s: stopping process %d\n", name, os.Getpid())
	if err := syscall.Kill(os.Getpid(), syscall.SIGSTOP); err != nil {
		panic("bug: SIGSTOP to ourselves: " + err.Error())
	}
	time.Sleep(10 * time.Millisecond)
}

// Hits returns how often each armed point was passed, as "name=n" ordered by name.
func Hits() []string {
	if armed == nil {
		return nil
	}
	var out []string
	for name, p := range armed.points {
		out = append(out, fmt.Sprintf("%s=%d", name, p.hits.Load()))
	}
	sort.Strings(out)
	return out
}
