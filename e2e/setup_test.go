package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"profilestream/e2e/harness"
)

// parts are what all tests of the package share: one broker, one engine, one
// model bundle. Each test has its own run, and so its own topics and tables.
var parts struct {
	once   sync.Once
	kafka  *harness.Kafka
	engine *harness.Engine
	bundle string
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
	dir, err := os.MkdirTemp("", "profilestream-e2e-")
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

// start returns the shared parts, started at the first call.
func start(t *testing.T) (*harness.Kafka, *harness.Engine) {
	t.Helper()
	shared.TB = t // a failure of the shared parts is one of the test at work
	parts.once.Do(func() {
		parts.kafka = harness.StartKafka(&shared)
		parts.engine = harness.StartEngine(&shared)
	})
	if parts.kafka == nil || parts.engine == nil {
		t.Fatal("the broker or the engine did not start: see the first test")
	}
	return parts.kafka, parts.engine
}

var train sync.Once

// bundle is a model trained on another simulated shop than the tests'.
func bundle(t *testing.T) string {
	t.Helper()
	train.Do(func() {
		if parts.bundle = os.Getenv("E2E_BUNDLE"); parts.bundle != "" {
			return // made by an earlier run: only for trying things out
		}
		dir := shared.TempDir()
		profilectl(t, "simulate", "--quiet", "--seed", "1007", "--users", size("E2E_TRAIN_USERS", 800), "--days", "150",
			"--events", size("E2E_TRAIN_EVENTS", 80_000), "--late", "0", "--poison", "0", "--out", filepath.Join(dir, "history"))
		out := filepath.Join(dir, "bundle")
		t.Log(profilectl(t, "train", filepath.Join(dir, "history"), "--out", out, "--encoder", filepath.Join(dir, "encoder")))
		parts.bundle = out
	})
	if parts.bundle == "" {
		t.Fatal("the bundle was not trained: see the first test that needed it")
	}
	return parts.bundle
}

// profilectl runs a command that must succeed and returns its output.
func profilectl(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(harness.Binary(t, "profilectl"), args...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("profilectl %s: %v\n%s%s", strings.Join(args, " "), err, out, errs.String())
	}
	return string(out)
}

// size is a number from the environment, so that a full run and a quick one are
// the same test.
func size(name string, normal int) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return strconv.Itoa(normal)
}

// run is one pipeline under test.
type run struct {
	t      *testing.T
	name   string
	kafka  *harness.Kafka
	engine *harness.Engine
	config string
	topics []string
	moves  []harness.OracleMove
}

var inputPartitions = map[string]int{"clickstream": 4, "purchases": 2}

// limit bounds one drain of a whole history.
const limit = 40 * time.Minute

// newRun creates the input topics of a run and its configuration.
func newRun(t *testing.T, name string) *run {
	t.Helper()
	r := &run{t: t, name: name}
	r.kafka, r.engine = start(t)
	r.topics = []string{name + ".clickstream", name + ".purchases"}
	for _, topic := range r.topics {
		r.kafka.CreateTopic(topic, inputPartitions[topic[len(name)+1:]])
	}
	r.config = harness.WriteFile(&shared, name+".yaml", fmt.Sprintf(`
run: %s
kafka: {brokers: ["%s"], session_timeout: 5s}
input: {topics: [%s]}
log: {partitions: 8}
profile: {idle_after: 0s, checkpoint_interval: 2s, rates: {USD: 0.79}}
model: {dir: %s, cache_dir: %s}
clickhouse: {addr: ["%s"], database: shop}
admin: {drain_deadline: 2m}
`, name, r.kafka.Addr, strings.Join(r.topics, ", "), bundle(t), cacheDir(), r.engine.Addr()))
	return r
}

// cacheDir keeps embeddings between the runs of this package, so that runs
// after the first do not pay for the encoder again.
func cacheDir() string { return filepath.Join(shared.dir, "embeddings") }

func (r *run) database() string { return "shop_" + r.name }

// named gives a feed's messages this run's topics.
func (r *run) named(f *harness.Feed) *harness.Feed {
	rename := func(in []harness.Message) []harness.Message {
		out := make([]harness.Message, len(in))
		for i, m := range in {
			m.Topic = r.name + "." + m.Topic
			out[i] = m
		}
		return out
	}
	return &harness.Feed{Clickstream: rename(f.Clickstream), Purchases: rename(f.Purchases)}
}

func (r *run) start(binary string, env ...string) *harness.Process {
	r.t.Helper()
	return harness.Start(r.t, binary, r.config, env, forced(binary)...)
}

// forced has a scorer take the bundle whatever the gate says: it is trained on a
// shop too small to be sure of a verdict, and these tests are not about that.
func forced(binary string) []string {
	if binary == "scorer" {
		return []string{"-force"}
	}
	return nil
}

// drain moves time to an instant, in two ingest workers, and works everything
// off through to the tables.
func (r *run) drain(until time.Time) {
	r.t.Helper()
	at := until.Format(time.RFC3339)
	workers := []*harness.Process{
		harness.Start(r.t, "ingest", r.config, nil, "-drain", "-until", at),
		harness.Start(r.t, "ingest", r.config, nil, "-drain", "-until", at),
	}
	for _, w := range workers {
		w.MustExit(0, limit)
	}
	harness.Start(r.t, "scorer", r.config, nil, "-force", "-drain").MustExit(0, limit)
	harness.Start(r.t, "sink", r.config, nil, "-drain").MustExit(0, limit)
	r.moves = append(r.moves, r.kafka.Move(until, r.topics...))
}

// oracle computes what the tables must hold; the last move is its -until.
func (r *run) oracle() string {
	r.t.Helper()
	cfg := harness.OracleConfig{
		LatenessMillis: 168 * 3600 * 1000, MaxFutureSkew: 300_000, Currency: "GBP", Rates: map[string]string{"USD": "0.79"},
		MaxEventsUserDay: 100_000, Partitions: map[string]int{},
	}
	for _, topic := range r.topics {
		cfg.Partitions[topic] = inputPartitions[topic[len(r.name)+1:]]
	}
	last := len(r.moves) - 1
	cfg.Until, cfg.Moves = r.moves[last].Until, r.moves[:last]
	return r.kafka.Oracle(cfg, r.name, r.topics...)
}

// equalsOracle fails the test unless every view holds what the oracle says.
func (r *run) equalsOracle() (expected string) {
	r.t.Helper()
	expected = r.oracle()
	report, equal := harness.Compare(r.t, r.engine, r.database(), expected)
	if !equal {
		r.t.Fatalf("run %s is not what the oracle says:\n%s", r.name, report)
	}
	r.t.Logf("run %s equals the oracle:\n%s", r.name, report)
	return expected
}

// simulated writes a shop and loads it.
func simulated(t *testing.T, args ...string) (feed *harness.Feed, dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "shop")
	profilectl(t, append([]string{"simulate", "--quiet", "--out", dir}, args...)...)
	return harness.LoadFeed(t, dir, inputPartitions), dir
}
