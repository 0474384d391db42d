package e2e

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"profilestream/e2e/harness"
)

// lateUsers are the users with an event that the live run found late.
const lateUsers = 100

// TestRunBesideLive starts a run with a longer lateness beside one at work, kills
// it in the middle, promotes it under readers and goes on with it.
func TestRunBesideLive(t *testing.T) {
	feed, _ := simulated(t, "--users", size("E2E_RUN_USERS", 60), "--events", size("E2E_RUN_EVENTS", 4000), "--days", "30", "--late", "0", "--seed", "23")
	live := newRun(t, "rival")
	live.beside(live.named(feed))

	begun := time.Now()
	next := startRun(live, "rival_b", "--from", "earliest", "--set", "profile.lateness=30d", "--rate", size("E2E_RUN_RATE", 1500))
	total, at := live.killHalfway("rival_b", next)
	next = startRun(live, "rival_b", "--rate", "0")
	next.says("goes on")
	next.says("caught up")
	t.Logf("killed with -9 at %d of %d records, caught up %s after the start", at, total, time.Since(begun).Round(time.Second))

	out, err := ctl("run", "start", "rival_b", "--from", "earliest", "--set", "profile.lateness=20d", "-c", live.config)
	if err == nil || !strings.Contains(out, "profile.lateness is 720h0m0s, not 480h0m0s") || !strings.Contains(out, "config_version") {
		t.Errorf("another configuration under the name: %v\n%s", err, out)
	}
	live.promotedUnderReaders("rival_b")
	live.stayRestated("rival_b")

	t.Run("causes are named", func(t *testing.T) { live.causes(t) })
	t.Run("retired", func(t *testing.T) { live.retired(t, next) })
}

// causes starts three more runs side by side: an undisturbed one as rival_b, which
// has the same tables, and two over the live run's log, with another configuration
// and with another model. What they differ by from the live run is named.
func (r *run) causes(t *testing.T) {
	model := filepath.Join(t.TempDir(), "other")
	variant(t, bundle(t), model, .3, "", []byte("{}"))
	others := []*started{
		startRun(r, "rival_c", "--from", "earliest", "--set", "profile.lateness=30d", "--drain"),
		startRun(r, "rival_d", "--log-of", r.name, "--set", "profile.max_events_user_day=5", "--drain"),
		startRun(r, "rival_e", "--log-of", r.name, "--model", model, "--drain"),
	}
	for _, s := range others {
		s.ends()
	}
	r.settled("admission", "windowing", "scorer", "sink")

	if out, code := r.verify("rival_b", "rival_c"); code != 0 || !strings.HasSuffix(out, "Equal.\n") {
		t.Errorf("a run that was killed and promoted beside an undisturbed one: exit code %d\n%s", code, out)
	}
	says := func(out string, want ...string) {
		t.Helper()
		for _, w := range want {
			if !strings.Contains(out, w) {
				t.Errorf("verify does not say %q:\n%s", w, out)
			}
		}
	}
	topic, partition, offset := r.where("late-0")
	says(r.differs(r.name, "rival_c", map[string]int64{"late event": 0, "configuration": 0}),
		fmt.Sprintf("at %s[%d]@%d is late in run rival, not in run rival_c", topic, partition, offset), "profile.lateness 168h0m0s -> 720h0m0s")
	says(r.differs(r.name, "rival_d", map[string]int64{"configuration": 0}), "profile.max_events_user_day 100000 -> 5")
	says(r.differs(r.name, "rival_e", map[string]int64{"model": 0}), "model_version "+idOf(t, bundle(t))+"/", "-> "+idOf(t, model)+"/", ": churn 0.")

	t.Setenv("PROFILESTREAM_RUN", "rival_e")
	if out, err := ctl("model", "promote", "--force", model, "-c", r.config); err == nil || !strings.Contains(out, "run rival_e reads the event log of run rival and keeps the model that it was started with") {
		t.Errorf("a model is promoted in a run over another one's log: %v\n%s", err, out)
	}
}

// where finds an event in the inputs by its id.
func (r *run) where(id string) (topic string, partition int, offset int64) {
	r.t.Helper()
	for _, name := range r.topics {
		r.kafka.Read(name, func(p int, m kafka.Message) {
			if strings.Contains(string(m.Value), fmt.Sprintf(`"event_id":%q`, id)) {
				topic, partition, offset = name, p, m.Offset
			}
		})
	}
	if topic == "" {
		r.t.Fatalf("event %s is in no topic", id)
	}
	return topic, partition, offset
}

// beside starts the run's three processes on a feed and events of known users,
// one of each late.
func (r *run) beside(feed *harness.Feed) {
	r.t.Helper()
	for _, p := range []*harness.Process{r.start("ingest"), r.start("scorer"), r.start("sink")} {
		p.Ready(2 * time.Minute)
	}
	r.kafka.Send(r.views("first", shopStart, shopStart.Add(2*time.Hour)))
	r.kafka.Send(feed.Clickstream)
	r.kafka.Send(feed.Purchases)
	r.kafka.Send(r.views("last", shopStart.AddDate(0, 0, 29), shopStart.AddDate(0, 0, 30)))
	r.settled("admission", "windowing")
	r.kafka.Send(r.views("late", shopStart.AddDate(0, 0, 5), shopStart.AddDate(0, 0, 30)))
	harness.Eventually(r.t, time.Minute, "late events in the table", func() error {
		if n := r.engine.Count(r.t, "SELECT count() FROM "+r.database()+".late_events"); n != lateUsers {
			return fmt.Errorf("%d late events", n)
		}
		return nil
	})
}

// views is one product_view, within 100 minutes of each user with a late event.
func (r *run) views(id string, at, arrived time.Time) []harness.Message {
	var out []harness.Message
	for i := range lateUsers {
		value := fmt.Sprintf(`{"event_id":"%s-%d","user_id":"restated-%d","type":"product_view","ts":%q,"product":{"id":"p%d","name":"lamp","category":"garden"}}`,
			id, i, i, at.Add(time.Duration(i)*time.Minute).Format(time.RFC3339), i%5)
		out = append(out, harness.Message{Topic: r.topics[0], Partition: i % inputPartitions["clickstream"], Time: arrived, Value: []byte(value)})
	}
	return out
}

// settled waits until stages have gone through what their topics hold.
func (r *run) settled(stages ...string) {
	r.t.Helper()
	own := func(topic string) string { return "profile." + r.name + "." + topic }
	topics := map[string][]string{
		"admission": r.topics, "windowing": {own("events")}, "scorer": {own("windows"), own("days")}, "sink": {own("scored"), own("late"), own("dlq")},
	}
	for _, stage := range stages {
		harness.Eventually(r.t, 3*time.Minute, stage+" of run "+r.name+" has caught up", func() error {
			for _, topic := range topics[stage] {
				if err := r.kafka.CaughtUp("profilestream."+r.name+"."+stage, topic); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// started is a profilectl run start at work.
type started struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  *lockedBuffer
	done chan struct{}
	err  error // once done is closed
}

// lockedBuffer takes what a process prints while a test reads it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func startRun(r *run, name string, args ...string) *started {
	r.t.Helper()
	s := &started{t: r.t, out: &lockedBuffer{}, done: make(chan struct{})}
	s.cmd = exec.Command(harness.Binary(r.t, "profilectl"), append([]string{"run", "start", name, "--force", "-c", r.config}, args...)...)
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	go func() {
		defer close(s.done)
		s.err = s.cmd.Wait()
	}()
	r.t.Cleanup(func() { _ = s.cmd.Process.Kill() })
	return s
}

// says waits until the command has printed a text.
func (s *started) says(text string) {
	s.t.Helper()
	harness.Eventually(s.t, 2*time.Minute, "the run says "+text, func() error {
		if strings.Contains(s.out.String(), text) {
			return nil
		}
		select {
		case <-s.done:
			s.t.Fatalf("the run ended before it said %q:\n%s", text, s.out.String())
		default:
		}
		return fmt.Errorf("so far: %s", s.out.String())
	})
}

// ends waits until the command has done its work.
func (s *started) ends() {
	s.t.Helper()
	select {
	case <-s.done:
	case <-time.After(limit):
		s.t.Fatalf("the run does not end:\n%s", s.out.String())
	}
	if s.err != nil {
		s.t.Fatalf("the run ended with %v:\n%s", s.err, s.out.String())
	}
	lines := strings.Split(strings.TrimSpace(s.out.String()), "\n")
	s.t.Log(lines[len(lines)-1])
}

// killHalfway kills the command once it has read a part of the inputs.
func (r *run) killHalfway(name string, s *started) (total, at int64) {
	r.t.Helper()
	for _, topic := range r.topics {
		for _, end := range r.kafka.Ends(topic) {
			total += end
		}
	}
	harness.Eventually(r.t, time.Minute, "a third of the inputs is read", func() error {
		at = 0
		for _, topic := range r.topics {
			for _, n := range r.kafka.Committed("profilestream."+name+".admission", topic) {
				at += max(n, 0)
			}
		}
		if at < total/3 {
			return fmt.Errorf("%d of %d", at, total)
		}
		return nil
	})
	_ = s.cmd.Process.Kill()
	<-s.done
	if at >= total {
		r.t.Fatalf("all %d records were read before the kill", total)
	}
	return total, at
}

// promotedUnderReaders has the views change back and forth while they are read: a
// read never shows rows of two configurations.
func (r *run) promotedUnderReaders(name string) {
	r.t.Helper()
	r.t.Log(profilectl(r.t, "run", "promote", r.name, "-c", r.config))
	var reads, changes atomic.Int64
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		last := ""
		for {
			select {
			case <-stop:
				return
			default:
			}
			for _, view := range []string{"profiles_latest", "profile_days"} {
				row := r.engine.Rows(r.t, "SELECT uniqExact(config_version), any(config_version), count() FROM shop."+view)[0]
				if row[0] != "1" || row[2] == "0" {
					r.t.Errorf("a read of %s shows %s configurations in %s rows", view, row[0], row[2])
				}
				if view == "profiles_latest" && row[1] != last {
					changes.Add(1)
					last = row[1]
				}
			}
			reads.Add(2)
		}
	}()
	for _, to := range []string{name, r.name, name} {
		out := profilectl(r.t, "run", "promote", to, "-c", r.config)
		if !strings.Contains(out, "now:    database shop_"+to) {
			r.t.Errorf("promote %s says\n%s", to, out)
		}
	}
	close(stop)
	<-ended
	if changes.Load() < 3 {
		r.t.Errorf("the reader saw %d states of the views", changes.Load())
	}
	r.t.Logf("%d reads of two views over 3 promotions, none mixed", reads.Load())
}

// stayRestated: the promoted run shows the late events, before and after the next
// live event of the same users.
func (r *run) stayRestated(name string) {
	r.t.Helper()
	restatedUsers := func(database string, viewed int) int64 {
		return r.engine.Count(r.t, fmt.Sprintf("SELECT count() FROM %s.profiles_latest WHERE startsWith(user_id, 'restated-') AND events_total = %d AND product_views_90d = %[2]d", database, viewed))
	}
	if own, shown := restatedUsers(r.database(), 2), restatedUsers("shop", 3); own != lateUsers || shown != lateUsers {
		r.t.Errorf("%d users as reported, %d restated, want %d of each", own, shown, lateUsers)
	}
	r.kafka.Send(r.views("next", shopStart.AddDate(0, 0, 30), shopStart.AddDate(0, 0, 31)))
	harness.Eventually(r.t, time.Minute, "the next event of each user in "+name, func() error {
		if own, shown := restatedUsers(r.database(), 3), restatedUsers("shop", 4); own != lateUsers || shown != lateUsers {
			return fmt.Errorf("%d users as reported, %d restated", own, shown)
		}
		return nil
	})
	r.t.Logf("%d users restated by late events stay restated after their next event", lateUsers)
}

// retired: a run that serves, or is at work, stays; else nothing of it does.
func (r *run) retired(t *testing.T, b *started) {
	for name, why := range map[string]string{"rival_b": "promote another one first", "rival": "reads the event log"} {
		if out, err := ctl("run", "retire", name, "--yes", "-c", r.config); err == nil || !strings.Contains(out, why) {
			t.Errorf("retire %s: %v\n%s", name, err, out)
		}
	}
	profilectl(t, "run", "promote", "rival_c", "--force", "-c", r.config)
	if out, err := ctl("run", "retire", "rival_b", "--yes", "-c", r.config); err == nil || !strings.Contains(out, "is at work") {
		t.Errorf("retire of a run at work: %v\n%s", err, out)
	}
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if <-b.done; b.err != nil {
		t.Errorf("run start after SIGTERM: %v\n%s", b.err, b.out.String())
	}
	if out, err := ctl("run", "retire", "rival_b", "-c", r.config); err == nil || !strings.Contains(out, "nothing was removed") {
		t.Errorf("retire without an answer: %v\n%s", err, out)
	}
	for _, name := range []string{"rival_b", "rival_d", "rival_e"} {
		t.Log(profilectl(t, "run", "retire", name, "--yes", "-c", r.config))
	}
	list := profilectl(t, "run", "list", "-c", r.config)
	t.Log(list)
	if strings.Contains(list, "rival_b") || strings.Contains(list, "rival_d") || strings.Contains(list, "rival_e") || !strings.Contains(list, "rival_c") {
		t.Errorf("run list after the end of two runs:\n%s", list)
	}
	if n := r.engine.Count(t, "SELECT count() FROM system.databases WHERE name IN ('shop_rival_b', 'shop_rival_d', 'shop_rival_e')"); n != 0 {
		t.Errorf("%d databases of retired runs are there", n)
	}
}

// ctl runs a command of profilectl that may fail.
func ctl(args ...string) (string, error) {
	cmd := exec.Command(harness.Binary(shared.TB, "profilectl"), args...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
