package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"profilestream/e2e/harness"
)

const (
	restoredUsers = 1_000_000
	beyondUsers   = 2_000_000
	beyondMiB     = 256
	// soakRate is the load under which memory is watched, and soakDay how long a day of event
	// time then takes, at most.
	soakRate = 8000
	soakDay  = 5 * time.Minute
	// takeoverLimit bounds a start, joining the group after a kill included.
	takeoverLimit = 10 * time.Minute
)

// usersOr is the number of users asked for, or that of the full form.
func (s *session) usersOr(full int) int {
	if s.users > 0 {
		return s.users
	}
	return full
}

// takeovers are the log lines of taking over, one a partition.
type takeovers struct {
	seconds, bytes, records, users float64 // the longest; sums
	stores                         int     // partitions whose state was in the local store
}

// takenOver waits until a process holds all log partitions.
func (s *session) takenOver(p *harness.Process) (t takeovers) {
	harness.Eventually(s, takeoverLimit, p.Name+" holds all log partitions", func() error {
		t = takeovers{}
		n := 0
		for line := range strings.Lines(p.Log()) {
			var l struct {
				Msg, State     string
				Seconds, Users float64
				Bytes          float64 `json:"state_bytes"`
				Records        float64 `json:"state_records"`
			}
			if json.Unmarshal([]byte(line), &l) != nil || l.Msg != "took over a log partition" {
				continue
			}
			n++
			t.seconds = max(t.seconds, l.Seconds)
			t.bytes += l.Bytes
			t.records += l.Records
			t.users += l.Users
			if l.State == "store" {
				t.stores++
			}
		}
		if p.Exited() {
			s.Fatalf("%s has ended; its last line: %s", p.Name, p.Last())
		}
		if n < logPartitions {
			return fmt.Errorf("%d of %d", n, logPartitions)
		}
		return nil
	})
	return t
}

// stateDir is a setting that keeps the state on the disk.
func (s *session) stateDir(cacheMiB int) string {
	s.number++
	return fmt.Sprintf("state_dir: %s, state_cache_mib: %d", filepath.Join(s.TempDir(), fmt.Sprint("state", s.number)), cacheMiB)
}

// prepareRestore measures how long a process takes to have its state: from the topic, into
// memory; from the topic into an empty local store; from the store, after a clean end; and after
// kill -9 under load.
func prepareRestore(s *session) func() []sample {
	c := s.crowd(s.usersOr(restoredUsers))
	c.send(c.users)
	memory := s.pipeline(settings{inputs: []string{c.topic}, ingestOnly: true})
	s.progress("working %d users off", c.users)
	memory.drain("ingest")
	return func() []sample {
		proc := memory.start("ingest")
		fromTopic := s.takenOver(proc)
		kill(proc)
		p := memory.with(settings{inputs: []string{c.topic}, ingestOnly: true, profile: s.stateDir(1024)})
		proc = p.start("ingest")
		filled := s.takenOver(proc)
		proc.Signal(syscall.SIGTERM)
		proc.MustExit(0, takeoverLimit)
		proc = p.start("ingest")
		clean := s.takenOver(proc)
		if clean.stores != logPartitions || clean.users != float64(c.users) {
			s.Fatalf("%d of %d partitions came from their stores, %.0f users of %d", clean.stores, logPartitions, clean.users, c.users)
		}
		c.send(c.users / 10)
		s.caughtUp(proc)
		kill(proc)
		proc = p.start("ingest")
		killed := s.takenOver(proc)
		kill(proc)
		note := fmt.Sprintf("bin/ingest, %d log partitions at once, restore_mib_per_second 256; %s; %.0f B of state records a user; the longest partition, from the fence to the state", logPartitions, c.note(), fromTopic.bytes/fromTopic.users)
		return []sample{
			{"restore_topic_seconds", fromTopic.seconds, "s", note + "; into memory"},
			{"restore_topic_rate", fromTopic.bytes / 1e6 / fromTopic.seconds, "MB/s", note + "; into memory"},
			{"restore_fill_seconds", filled.seconds, "s", note + "; into an empty local store"},
			{"restart_local_seconds", clean.seconds, "s", note + "; from the local store after a clean end"},
			{"restart_killed_seconds", killed.seconds, "s", fmt.Sprintf("%s; from the local store after kill -9 behind %d events, %.0f records from the topic", note, visit*c.users/10, killed.records)},
		}
	}
}

// caughtUp waits until a process has windowed its input and made checkpoints of it.
func (s *session) caughtUp(p *harness.Process) {
	var checkpoints float64
	since := time.Now()
	harness.Eventually(s, takeoverLimit, p.Name+" has made checkpoints of its input", func() error {
		m, ok := scrape(p)
		lag := m.sum("profilestream_windowing_lag_records", "") + m.sum("profilestream_admission_lag_records", "")
		if n := m.sum("profilestream_ingest_checkpoint_seconds_count", ""); n != checkpoints {
			checkpoints, since = n, time.Now()
		}
		if quiet := time.Since(since); !ok || lag > 0 || quiet < 12*time.Second {
			return fmt.Errorf("%.0f records behind, the last checkpoint %s ago", lag, quiet)
		}
		return nil
	})
}

// prepareBeyond measures a state that exceeds the memory given to it: throughput beside that of
// a process with all in memory, then resident memory under a steady load.
func prepareBeyond(s *session) func() []sample {
	c := s.crowd(s.usersOr(beyondUsers))
	c.send(c.users)
	return func() []sample {
		in := settings{inputs: []string{c.topic}, ingestOnly: true}
		drain := func(p *pipeline) (wall, cpu, peak float64) {
			start := time.Now()
			proc := p.drain("ingest")
			return time.Since(start).Seconds(), proc.CPU().Seconds(), float64(proc.PeakBytes()) / (1 << 20)
		}
		events := float64(c.sent)
		memory := s.pipeline(in)
		s.progress("working off with all in memory")
		memoryWall, memoryCPU, memoryPeak := drain(memory)
		memory.remove()
		in.profile = s.stateDir(beyondMiB)
		p := s.pipeline(in)
		s.progress("all in memory: %.0f events/s, peak %.0f MiB; working off with %d MiB", events/memoryWall, memoryPeak, beyondMiB)
		wall, cpu, peak := drain(p)
		s.progress("with %d MiB: %.0f events/s, peak %.0f MiB; watching memory for %s", beyondMiB, events/wall, peak, s.soak)
		days := s.watchMemory(p, c)
		first, last := days[0], days[len(days)-1]
		note := fmt.Sprintf("bin/ingest -drain with state_cache_mib %d; %s", beyondMiB, c.note())
		soak := fmt.Sprintf("the same, then %d events/s of all users for %s, after a first day of event time another %d; mean and peak MiB of each: %s", soakRate, s.soak, len(days), text(days))
		return []sample{
			{"state_memory_events_per_second", events / memoryWall, "events/s of wall", "all in memory: " + note},
			{"state_beyond_events_per_second", events / wall, "events/s of wall", note},
			{"state_beyond_share", memoryWall / wall, "of the throughput in memory", note},
			{"state_beyond_cpu_share", memoryCPU / cpu, "of the throughput a CPU second in memory", note},
			{"state_memory_peak", memoryPeak, "MiB", "all in memory: " + note},
			{"state_beyond_peak", peak, "MiB", note},
			{"state_beyond_slope", (last.mean - first.mean) / last.since.Sub(first.since).Minutes(), "MiB/min", soak},
			{"state_beyond_resident", last.mean, "MiB", soak},
		}
	}
}

// soakDayOf is one day of event time under the steady load, and the resident memory in it.
type soakDayOf struct {
	since      time.Time
	mean, peak float64 // MiB
}

func text(days []soakDayOf) string {
	var parts []string
	for _, d := range days {
		parts = append(parts, fmt.Sprintf("%.0f and %.0f", d.mean, d.peak))
	}
	return strings.Join(parts, ", ")
}

// watchMemory has a process work at a steady pace and returns its resident memory in each day of
// event time, without the first, in which caches fill. A day that closes has rows of all users to
// send, so that memory rises and falls with the days: only whole days compare.
func (s *session) watchMemory(p *pipeline, c *crowd) (days []soakDayOf) {
	proc := p.start("ingest")
	defer kill(proc)
	s.takenOver(proc)
	const dayMillis = 86_400_000
	length := min(soakDay, s.soak/2)
	c.step = dayMillis / (length.Seconds() * soakRate / visit)
	n := int(s.soak / length)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var mib []float64
	day, began := int(c.at/dayMillis), time.Now()
	for left := n + 1; ; <-tick.C {
		c.send(soakRate / visit)
		if m, ok := scrape(proc); ok {
			mib = append(mib, m["process_resident_memory_bytes"]/(1<<20))
		}
		now := int(c.at / dayMillis)
		if now == day {
			continue
		}
		if len(mib) == 0 {
			s.Fatalf("no reading of memory in a day of %s", time.Since(began))
		}
		d := soakDayOf{began, mean(mib), slices.Max(mib)}
		s.progress("a day of event time in %.0f s: memory %.0f MiB, at most %.0f", time.Since(began).Seconds(), d.mean, d.peak)
		if left--; left < n {
			days = append(days, d)
		}
		if left == 0 {
			return days
		}
		day, began, mib = now, time.Now(), mib[:0]
	}
}

func mean(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}
