package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"profilestream/e2e/harness"
	"profilestream/schemas"
	"profilestream/stream/wire"
)

// prepareBackfill measures, over the files of one history, what a backfill from them costs beside
// live ingest of the same events and beside a plain batch job. All three admit, leave out what
// came twice, and compute each customer's windows at the end of each day and now:
//   - live: bin/ingest -drain over the input topics;
//   - backfill: profilectl run start --archive until the files are in the run's topics, then
//     bin/ingest -drain over these; scoring and ClickHouse are left out;
//   - batch: the oracle of the end-to-end tests, one process of Python, from a dump of these topics to files.
func prepareBackfill(s *session) func() []sample {
	in := s.history()
	return func() []sample {
		var live, ingest [2]float64 // seconds of wall, of CPU
		s.timeDrain(in.topics, &live)
		run, load := s.loadArchive(in.dir)
		defer run.remove()
		topics := run.archive()
		s.timeDrain(topics, &ingest)
		batch := s.batchJob(topics)
		if err := s.client.DeleteTopics(context.Background(), topics...); err != nil {
			s.Fatal(err)
		}
		events := float64(in.records)
		backfill := events / (load + ingest[1])
		note := fmt.Sprintf("%s; CPU seconds: live %.1f, backfill %.1f (loading %.1f, ingest %.1f), batch %.1f; scorer, sink, broker and engine in none",
			in.note, live[1], load+ingest[1], load, ingest[1], batch)
		return []sample{
			{"backfill_events_per_cpu_second", backfill, "events/s of CPU", note},
			{"backfill_loaded_events_per_cpu_second", events / ingest[1], "events/s of CPU", "the archive is in its topics already; " + note},
			{"backfill_live_events_per_cpu_second", events / live[1], "events/s of CPU", note},
			{"backfill_batch_events_per_cpu_second", events / batch, "events/s of CPU", note},
			{"backfill_share_of_live", backfill * live[1] / events, "of live ingest's events a CPU second", note},
			{"backfill_times_batch", backfill * batch / events, "times the batch job's events a CPU second", note},
		}
	}
}

// archive are the topics of a run's archive.
func (p *pipeline) archive() []string {
	prefix := schemas.TopicPrefix(p.name) + "archive."
	return []string{prefix + "clickstream", prefix + "purchases"}
}

// loadArchive starts a run from the files of a folder, ends it once they are in its topics, and
// returns it with the CPU seconds until then, start of the process included.
func (s *session) loadArchive(dir string) (run *pipeline, cpu float64) {
	base := s.pipeline(settings{ingestOnly: true})
	defer base.remove()
	run = &pipeline{s: s, name: base.name + "_back"}
	run.topics = schemas.RunTopics(run.name)
	cmd := exec.Command(harness.Binary(s, "profilectl"), "run", "start", run.name, "--archive", dir, "--rate", "1", "--force", "--model", s.bundle(), "-c", base.config)
	said, err := os.Create(filepath.Join(s.TempDir(), "run.log"))
	if err != nil {
		s.Fatal(err)
	}
	defer said.Close()
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	limit, tick := time.After(drainLimit), time.NewTicker(100*time.Millisecond)
	defer tick.Stop()
	for loaded := false; !loaded; {
		select {
		case err := <-ended:
			log, _ := os.ReadFile(said.Name())
			s.Fatalf("the run ended before its archive was loaded: %v\n%s", err, log)
		case <-limit:
			_ = cmd.Process.Kill()
			s.Fatalf("the archive was not loaded within %s", drainLimit)
		case <-tick.C:
			loaded = s.begun(run)
		}
	}
	_ = cmd.Process.Kill()
	if err := <-ended; err == nil || !errors.As(err, new(*exec.ExitError)) {
		s.Fatalf("the run that was killed ended with %v", err)
	}
	return run, (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
}

// begun says that a run has committed where it begins to read its archive, which it does when all of it is loaded.
func (s *session) begun(run *pipeline) bool {
	for _, topic := range run.archive() {
		tps, err := s.client.Partitions(context.Background(), topic)
		if err != nil {
			return false // not made yet
		}
		at, err := s.client.CommittedOffsets(context.Background(), "profilestream."+run.name+".admission", tps)
		if err != nil {
			return false // the broker loads the group
		}
		if !slices.ContainsFunc(tps, func(tp wire.TopicPartition) bool { return at[tp].Offset >= 0 }) {
			return false
		}
	}
	return true
}

// batchJob runs the oracle over topics and returns its CPU seconds.
func (s *session) batchJob(topics []string) float64 {
	dir := s.TempDir()
	args := []string{filepath.Join(harness.Root(s), "e2e", "oracle", "oracle.py"), "--config", harness.WriteFile(s, "batch.json", "{}"), "--jobs", "1", "--out", filepath.Join(dir, "out")}
	for _, topic := range topics {
		path := filepath.Join(dir, topic+".jsonl")
		s.kafka().Dump(topic, path, false)
		args = append(args, "--input", path)
	}
	cmd := exec.Command("python3", args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.Fatalf("the batch job: %v\n%s", err, out)
	}
	return (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
}
