package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"profilestream/e2e/harness"
)

// parts are what all rows share: a broker, which can also be reached through a
// proxy, an engine, and a model bundle whose encoder costs next to nothing.
var parts struct {
	once    sync.Once
	kafka   *harness.Kafka
	proxied [2]string // where the broker listens for the proxy, and where the proxy must
	engine  *harness.Engine
	bundle  string
	broken  string // as bundle, with an encoder that gives NaN
}

// owner outlives the tests: what it started ends with the package.
type owner struct {
	testing.TB
	dir      string
	cleanups []func()
}

func (o *owner) TempDir() string {
	dir, err := os.MkdirTemp(o.dir, "")
	if err != nil {
		panic(err)
	}
	return dir
}

func (o *owner) Cleanup(f func()) { o.cleanups = append(o.cleanups, f) }

var shared owner

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "profilestream-faults-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	shared.dir = dir
	code := m.Run()
	for i := len(shared.cleanups) - 1; i >= 0; i-- {
		shared.cleanups[i]()
	}
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// start starts the shared parts at the first call.
func start(tb testing.TB) {
	tb.Helper()
	shared.TB = tb // a failure of the shared parts is one of the test at work
	parts.once.Do(func() {
		port := harness.FreePorts(tb, 2)
		for i := range parts.proxied {
			parts.proxied[i] = strconv.Itoa(port + i)
		}
		parts.kafka = harness.StartCluster(&shared, 1, "PROXIED="+strings.Join(parts.proxied[:], ":"))
		parts.engine = harness.StartEngine(&shared)
		parts.bundle, parts.broken = bundles(tb, shared.TempDir())
	})
	if parts.broken == "" {
		tb.Fatal("the shared parts did not start: see the first test")
	}
}

// bundles trains heads on the vectors of a tiny encoder; the broken bundle has
// the same heads.
func bundles(tb testing.TB, dir string) (good, broken string) {
	tb.Helper()
	in := func(name string) string { return filepath.Join(dir, name) }
	for name, bad := range map[string]bool{"good": false, "broken": true} {
		writeEncoder(tb, in(name+"-weights"), bad)
		profilectl(tb, "model", "import", in(name+"-weights"), "--out", in(name+"-encoder"))
	}
	profilectl(tb, "simulate", "--quiet", "--seed", "1007", "--users", "300", "--days", "100", "--events", "15000", "--late", "0", "--poison", "0", "--out", in("history"))
	profilectl(tb, "train", in("history"), "--out", in("trained"), "--encoder", in("good-encoder"), "--rounds", "5", "--folds", "2")
	for _, name := range []string{"good", "broken"} {
		rewrite(tb, in("trained"), in(name+"-encoder"), in(name))
	}
	return in("good"), in("broken")
}

// profilectl runs a command that must succeed and returns its output.
func profilectl(tb testing.TB, args ...string) string {
	tb.Helper()
	cmd := exec.Command(harness.Binary(tb, "profilectl"), args...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		tb.Fatalf("profilectl %s: %v\n%s%s", strings.Join(args, " "), err, out, errs.String())
	}
	return string(out)
}
