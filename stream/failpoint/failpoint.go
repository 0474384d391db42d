// Package failpoint kills the process at named points, so that tests can show what a crash there leaves behind.
//
// PROFILESTREAM_FAILPOINT="admission.after_append:3" makes the process kill itself with SIGKILL at the third hit of
// that point; without a number, at the first. Several points are separated by commas. Unset, a point costs one load.
package failpoint

import (
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// Variable is the environment variable that arms points.
const Variable = "PROFILESTREAM_FAILPOINT"

type point struct {
	at   int64
	hits atomic.Int64
}

// set is an armed process: its points never change after the start.
type set struct {
	points map[string]*point
	kill   func(name string)
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
	s.kill = killSelf
	return s
}

func parse(spec string) (*set, error) {
	s := &set{points: make(map[string]*point)}
	for _, part := range strings.Split(spec, ",") {
		name, count, counted := strings.Cut(strings.TrimSpace(part), ":")
		at := int64(1)
		if counted {
			n, err := strconv.ParseInt(count, 10, 64)
			if err != nil || n < 1 {
				return nil, fmt.Errorf("%s: %q is not name or name:n with n >= 1", Variable, part)
			}
			at = n
		}
		if name == "" {
			return nil, fmt.Errorf("%s: a point without a name", Variable)
		}
		s.points[name] = &point{at: at}
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
	if p := s.points[name]; p != nil && p.hits.Add(1) == p.at {
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
