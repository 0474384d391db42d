package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/segmentio/kafka-go"

	"profilestream/e2e/harness"
)

// erasure is a shop of which one customer asks to be forgotten. It has a broker
// of its own: an erasure concerns all runs of a cluster.
type erasure struct {
	*run
	user  string
	state string // folder of local state
}

func newErasure(t *testing.T) *erasure {
	t.Helper()
	e := &erasure{run: newRun(t, "erase"), state: filepath.Join(t.TempDir(), "state")}
	shared := e.kafka.Addr
	e.kafka = harness.StartKafka(t)
	for _, topic := range e.topics {
		e.kafka.CreateTopic(topic, inputPartitions[strings.TrimPrefix(topic, "erase.")])
	}
	e.rewrite("erase.yaml", shared, e.kafka.Addr, "database: shop", "database: forgetful",
		"profile: {", "privacy: {erasure_key: 0123456789abcdef}\nprofile: {state_dir: "+e.state+", ")
	return e
}

// rewrite makes a configuration of the one at hand.
func (e *erasure) rewrite(name string, pairs ...string) {
	e.t.Helper()
	raw, err := os.ReadFile(e.config)
	if err != nil {
		e.t.Fatal(err)
	}
	e.config = harness.WriteFile(e.t, name, strings.NewReplacer(pairs...).Replace(string(raw)))
}

func (e *erasure) database() string { return "forgetful_" + e.name }

// again is the same shop under another run.
func (e *erasure) again(name string) *erasure {
	e.t.Helper()
	next := *e
	r := *e.run
	r.name, next.run = name, &r
	next.rewrite(name+".yaml", "run: "+e.name+"\n", "run: "+name+"\n")
	return &next
}

// inputs sends the shop's history with dead letters that name the customer, and
// then, when its days are closed, an event of the customer's first day.
func (e *erasure) inputs() (until time.Time) {
	e.t.Helper()
	feed, _ := simulated(e.t, "--seed", "5", "--users", "30", "--days", "20", "--events", size("E2E_ERASE_EVENTS", 2500), "--late", "0", "--poison", "0.004")
	var first struct {
		User string `json:"user_id"`
	}
	if err := json.Unmarshal(feed.Purchases[0].Value, &first); err != nil {
		e.t.Fatal(err)
	}
	e.user = first.User
	feed = e.named(feed)
	last := feed.Clickstream[len(feed.Clickstream)-1].Time
	e.kafka.Send(append(feed.Clickstream, harness.Message{Topic: e.topics[0], Time: last, Key: []byte(e.user), Value: []byte(`{"user_id":"` + e.user + `","type":"page_view","ts":`)}))
	e.kafka.Send(append(feed.Purchases, harness.Message{Topic: e.topics[1], Time: last, Value: []byte(`{"user_id":"` + e.user + `","type":"purchase","ts":"soon","total":9}`)}))
	until = last.Truncate(24*time.Hour).AddDate(0, 0, 10)
	e.drain(until)
	early := fmt.Sprintf(`{"event_id":"late","user_id":%q,"type":"page_view","ts":%d}`, e.user, feed.Clickstream[0].Time.UnixMilli())
	e.kafka.Send([]harness.Message{{Topic: e.topics[0], Time: until, Value: []byte(early)}})
	e.drain(until)
	return until
}

// inTopics counts the records of our topics that hold the id, by topic. Of the
// compacted topic it counts what a reader sees once the broker has compacted it.
func (e *erasure) inTopics() map[string]int {
	e.t.Helper()
	meta, err := e.kafka.Client.Metadata(e.t.Context(), &kafka.MetadataRequest{})
	if err != nil {
		e.t.Fatal(err)
	}
	out := map[string]int{}
	for _, topic := range meta.Topics {
		if !strings.HasPrefix(topic.Name, "profile.") {
			continue
		}
		newest := map[string]bool{}
		e.kafka.Read(topic.Name, func(p int, m kafka.Message) {
			key := fmt.Sprint(p, " ", m.Offset)
			if strings.HasSuffix(topic.Name, ".state") {
				key = string(m.Key)
				if delete(newest, key); m.Value == nil {
					return
				}
			}
			holds := bytes.Contains(m.Key, []byte(e.user)) || bytes.Contains(m.Value, []byte(e.user))
			for _, h := range m.Headers {
				holds = holds || bytes.Contains(h.Value, []byte(e.user))
			}
			if holds {
				newest[key] = true
			}
		})
		if n := len(newest); n > 0 {
			out[topic.Name] = n
		}
	}
	return out
}

// inTables counts the rows of every table of our databases that hold the id.
func (e *erasure) inTables() map[string]int {
	e.t.Helper()
	out := map[string]int{}
	for _, table := range e.engine.Rows(e.t, "SELECT database, name FROM system.tables WHERE startsWith(database, 'forgetful') AND engine LIKE '%MergeTree'") {
		for _, row := range e.engine.Rows(e.t, "SELECT * FROM "+table[0]+".`"+table[1]+"`") {
			if strings.Contains(strings.Join(row, " "), e.user) {
				out[table[0]+"."+table[1]]++
			}
		}
	}
	return out
}

// inFiles lists the files of local state and caches that hold the id.
func (e *erasure) inFiles() (files []string) {
	e.t.Helper()
	for _, dir := range []string{e.state, cacheDir()} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			raw, err := os.ReadFile(path)
			if bytes.Contains(raw, []byte(e.user)) {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			e.t.Fatal(err)
		}
	}
	return files
}

// gone waits until the broker tells of no topic of a run any more.
func (e *erasure) gone(run string) {
	e.t.Helper()
	harness.Eventually(e.t, time.Minute, "the topics of run "+run+" are gone", func() error {
		meta, err := e.kafka.Client.Metadata(e.t.Context(), &kafka.MetadataRequest{})
		if err != nil {
			return err
		}
		for _, topic := range meta.Topics {
			if strings.HasPrefix(topic.Name, "profile."+run+".") {
				return fmt.Errorf("%s is there", topic.Name)
			}
		}
		return nil
	})
}

// others are the rows of all other customers, without positions and times of
// scoring; scores to three places.
func (e *erasure) others() []string {
	e.t.Helper()
	var out []string
	for _, view := range []string{"profiles_latest", "profile_days"} {
		for _, row := range e.engine.Rows(e.t, "SELECT user_id, as_of, toString(digest), round(churn_probability, 3), round(value_expected, 0), toString(revenue_total) FROM "+
			e.database()+"."+view+" WHERE user_id != '"+e.user+"' ORDER BY ALL") {
			out = append(out, view+" "+strings.Join(row, " "))
		}
	}
	return out
}

// erase runs the command and returns the stage of its receipt.
func (e *erasure) erase(args ...string) (stage string) {
	e.t.Helper()
	out := profilectl(e.t, append([]string{"erase", e.user, "-c", e.config, "--json"}, args...)...)
	var receipt struct{ Stage string }
	if err := json.Unmarshal([]byte(out), &receipt); err != nil || strings.Contains(out, e.user) {
		e.t.Fatalf("the receipt: %v\n%s", err, out)
	}
	return receipt.Stage
}

// TestErasure erases a customer with purchases, dead letters and a late event
// from a run at work, runs all history again under another name, promotes that
// run and retires the first: no topic, table or file of ours holds the id, the
// receipt says so, and everybody else's rows are what they were.
func TestErasure(t *testing.T) {
	e := newErasure(t)
	until := e.inputs()
	if holds := e.inTopics(); len(holds) != 7 {
		t.Fatalf("before, the search finds the id in topics %v, want all seven of the run", holds)
	}
	tables := e.inTables()
	for _, name := range []string{"profiles", "profile_history", "bad_event_rows", "late_event_rows"} {
		if tables[e.database()+"."+name] == 0 {
			t.Fatalf("before, the search finds the id in tables %v, not in %s", tables, name)
		}
	}
	if len(e.inFiles()) == 0 {
		t.Fatal("before, the search finds no file with the id")
	}
	before := e.others()

	var work []*harness.Process
	for _, binary := range []string{"ingest", "scorer", "sink"} {
		work = append(work, e.start(binary))
	}
	if stage := e.erase("--wait", "2m"); stage != "tables clean" {
		t.Errorf("the stage is %q, want tables clean", stage)
	}
	for _, p := range work {
		p.Signal(syscall.SIGTERM)
		p.MustExit(0, limit)
	}
	if holds := e.inTables(); len(holds) > 0 {
		t.Errorf("after the erasure the id is in tables %v", holds)
	}
	if files := e.inFiles(); len(files) > 0 {
		t.Errorf("after the erasure the id is in the files %v", files)
	}
	if holds := e.inTopics(); holds["profile.erase.state"] > 0 || holds["profile.erasures"] > 0 {
		t.Errorf("after the erasure the id is in topics %v", holds)
	}
	if rows := e.engine.Rows(t, "SELECT command FROM system.mutations WHERE startsWith(database, 'forgetful')"); len(rows) == 0 || strings.Contains(fmt.Sprint(rows), e.user) {
		t.Errorf("statements of deletion hold the id, or there are none: %q", rows)
	}
	if d := cmp.Diff(before, e.others()); d != "" {
		t.Errorf("the others' rows after the erasure (-before +after):\n%s", d)
	}

	next := e.again("erase2")
	next.drain(until)
	if d := cmp.Diff(before, next.others()); d != "" {
		t.Errorf("the others' rows in the new run (-before +after):\n%s", d)
	}
	if n := e.engine.Count(t, "SELECT countIf(records != applied + duplicates + late + dead_lettered) FROM "+next.database()+".accounting"); n > 0 {
		t.Errorf("%d source partitions of the new run do not add up", n)
	}
	for topic, n := range next.inTopics() {
		if strings.HasPrefix(topic, "profile.erase2.") {
			t.Errorf("the new run's topic %s holds the id %d times", topic, n)
		}
	}
	if stage := next.erase("--status"); stage != "tables clean" {
		t.Errorf("before the old run is retired the stage is %q", stage)
	}
	t.Log(profilectl(t, "erase", e.user, "-c", next.config, "--status"))
	t.Log(profilectl(t, "run", "promote", "erase2", "-c", next.config))
	t.Log(profilectl(t, "run", "retire", "erase", "--yes", "-c", e.config))
	next.gone("erase")
	if stage := next.erase(); stage != "complete" {
		t.Errorf("the stage is %q, want complete", stage)
	}
	if topics, tables, files := next.inTopics(), next.inTables(), next.inFiles(); len(topics)+len(tables)+len(files) > 0 {
		t.Errorf("in the end the id is in topics %v, tables %v and files %v", topics, tables, files)
	}
	t.Logf("%d rows of the other customers are equal\n%s", len(before), profilectl(t, "erase", e.user, "-c", next.config, "--status"))
}
