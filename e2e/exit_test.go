package e2e

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"profilestream/e2e/harness"
)

// wrongCase is one wrong key: what the file or the environment says, and the key
// that the error must name. The unit test of the configuration reads the same file.
type wrongCase struct{ YAML, Env, Key string }

func wrongCases(t *testing.T) []wrongCase {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(harness.Root(t), "cmd", "internal", "config", "testdata", "wrong.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []wrongCase
	if err := yaml.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 25 {
		t.Fatalf("%d cases of wrong configuration, want at least 25", len(cases))
	}
	return cases
}

// TestWrongConfigurationExits2 gives each binary one wrong key at a time. ingest
// gets every case, the others every fourth: they share the code that loads.
func TestWrongConfigurationExits2(t *testing.T) {
	commands := [][]string{{"ingest", "-config"}, {"scorer", "-config"}, {"sink", "-config"}, {"profilectl", "migrate", "-c"}, {"profilectl", "topics", "create", "-c"}}
	for i, command := range commands {
		t.Run(strings.Join(command, " "), func(t *testing.T) {
			n := 0
			for j, c := range wrongCases(t) {
				if i == 0 || j%4 == i-1 {
					wrongExits2(t, command, c)
					n++
				}
			}
			t.Logf("%d cases", n)
		})
	}
}

func wrongExits2(t *testing.T, command []string, c wrongCase) {
	t.Helper()
	file := harness.WriteFile(t, "wrong.yaml", c.YAML)
	code, out := execute(t, c.Env, append(command, file)...)
	if code != 2 {
		t.Errorf("%s%s: exit code %d, want 2; it said: %s", c.YAML, c.Env, code, out)
	}
	if !strings.Contains(out, "configuration: "+c.Key+": ") && !strings.Contains(out, "configuration: "+c.Key+" ") {
		t.Errorf("%s%s: the key %s is not named: %s", c.YAML, c.Env, c.Key, out)
	}
}

// TestWrongArgumentsExit2 covers what is no key of the configuration.
func TestWrongArgumentsExit2(t *testing.T) {
	for _, c := range []struct {
		command string
		named   string
	}{
		{"ingest -until yesterday -drain", "-until"},
		{"ingest -until 2026-01-01T00:00:00Z", "-until"},
		{"ingest -log-level loud", "-log-level"},
		{"ingest stray", "stray"},
		{"ingest -force", "-force"},
		{"scorer -until 2026-01-01T00:00:00Z", "-until"},
		{"sink -config missing.yaml", "missing.yaml"},
		{"engine -unheard-of", "unheard-of"},
		{"engine -listen 0.0.0.0:0 -path x", "listen"},
		{"profilectl simulate --unheard-of", "unheard-of"},
		{"profilectl migrate -c missing.yaml", "missing.yaml"},
	} {
		t.Run(c.command, func(t *testing.T) {
			code, out := execute(t, "", strings.Fields(c.command)...)
			if code != 2 || !strings.Contains(out, c.named) {
				t.Fatalf("exit code %d, want 2 and %q named: %s", code, c.named, out)
			}
		})
	}
}

// TestHelpExits0 asks every binary, and every command of profilectl, for help:
// it has an example that begins with the command itself.
func TestHelpExits0(t *testing.T) {
	for _, c := range []string{
		"ingest", "scorer", "sink", "engine", "profilectl", "profilectl demo", "profilectl simulate", "profilectl migrate",
		"profilectl topics create", "profilectl topics list", "profilectl model import", "profilectl model show", "profilectl model list",
		"profilectl model diff", "profilectl model promote", "profilectl model rollback",
		"profilectl train", "profilectl score",
	} {
		t.Run(c, func(t *testing.T) {
			code, out := execute(t, "", append(strings.Fields(c), "-h")...)
			if code != 0 || !strings.Contains(out, "\n  "+c+" ") {
				t.Fatalf("exit code %d, want 0 and an example: %s", code, out)
			}
		})
	}
}

// execute runs a binary in an empty folder, with one more variable in its
// environment, until it ends. One that takes the wrong for right would run for
// ever: it is killed after a while, which is exit code -1.
func execute(t *testing.T, env string, command ...string) (code int, output string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, harness.Binary(t, command[0]), command[1:]...)
	cmd.Dir = t.TempDir()
	cmd.Env = os.Environ()
	if env != "" {
		cmd.Env = append(cmd.Env, env)
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String()
}
