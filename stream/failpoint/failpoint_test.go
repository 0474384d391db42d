package failpoint

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

func TestParse(t *testing.T) {
	for spec, ok := range map[string]bool{"a.b": true, "a:2": true, "a:1,b:3": true, "a:stop": true, "a:2:stop": true, "a:stop:2": false, ":stop": false, "a:0": false, ":1": false, "a:x": false, "a,": false} {
		if _, err := parse(spec); (err == nil) != ok {
			t.Errorf("%q: %v", spec, err)
		}
	}
}

func TestHitCounts(t *testing.T) {
	s, err := parse("a:2,b,c:2:stop")
	if err != nil {
		t.Fatal(err)
	}
	var killed []string
	s.kill = func(name string) { killed = append(killed, name) }
	s.stop = func(name string) { killed = append(killed, "stop "+name) }
	for _, name := range []string{"a", "other", "b", "c", "a", "c", "a", "b", "c"} {
		s.hit(name)
	}
	if got := strings.Join(killed, " "); got != "b a stop c" {
		t.Errorf("killed at %q", got)
	}
}

// The test runs itself as a child that must die by SIGKILL at the second hit and not before.
func TestKillsTheProcess(t *testing.T) {
	if os.Getenv("FAILPOINT_CHILD") != "" {
		for _, word := range []string{"one", "two", "three"} {
			os.Stdout.WriteString(word + "\n")
			Hit("test.point")
		}
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestKillsTheProcess$")
	cmd.Env = append(os.Environ(), "FAILPOINT_CHILD=1", Variable+"=test.point:2")
	out, err := cmd.Output()
	exit, ok := err.(*exec.ExitError)
	if !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("ended with %v", err)
	}
	if got := string(out); got != "one\ntwo\n" || !strings.Contains(string(exit.Stderr), "failpoint test.point") {
		t.Errorf("output %q, stderr %q", got, exit.Stderr)
	}
}

func BenchmarkUnset(b *testing.B) {
	for b.Loop() {
		Hit("admission.after_append")
	}
}
