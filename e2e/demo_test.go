package e2e

import (
	"bufio"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"profilestream/e2e/harness"
)

// TestDemoServesTheConsole keeps a small demo up: the console that it names
// shows the shop, with its history by day, and ends with it.
func TestDemoServesTheConsole(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), harness.Binary(t, "profilectl"), "demo", "--keep", "--users", "60", "--days", "30", "--events", "3000",
		"--model", bundle(t), "--dir", t.TempDir())
	cmd.Cancel, cmd.WaitDelay = func() error { return cmd.Process.Signal(syscall.SIGTERM) }, time.Minute
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	address := ""
	for lines := bufio.NewScanner(out); address == "" && lines.Scan(); {
		if found := regexp.MustCompile(`^Console +http://(127\.0\.0\.1:\d+)$`).FindStringSubmatch(lines.Text()); found != nil {
			address = found[1]
		}
	}
	if address == "" {
		t.Fatalf("the demo names no console: %v: %s", cmd.Wait(), errs.String())
	}
	for path, want := range map[string]*regexp.Regexp{
		"/":          regexp.MustCompile(`(?s)<dt>Customers</dt><dd>[1-9].*data-chart`), // a chart is there once the summary by day is filled
		"/customers": regexp.MustCompile(`href="/customer\?id=`),
		"/segments":  regexp.MustCompile(`action="/segments/save"`),
		"/health":    regexp.MustCompile(`every record has an end`),
	} {
		if page, err := get(address, path); err != nil || !want.MatchString(page) {
			t.Errorf("%s lacks %s: %v\n%s", path, want, err, page)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil {
		t.Errorf("Ctrl-C ends the demo with %v: %s", err, errs.String())
	}
	if _, err := get(address, "/healthz"); err == nil {
		t.Error("the console outlives the demo")
	}
}
