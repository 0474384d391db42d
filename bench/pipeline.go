package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"profilestream/e2e/harness"
	"profilestream/schemas"
	"profilestream/stream"
	"profilestream/stream/wire"
)

const (
	logPartitions = 8
	database      = "bench"
	// drainLimit bounds a process that works off what it was given.
	drainLimit = 30 * time.Minute
)

// pipeline is one run of our processes, with its own topics and tables.
type pipeline struct {
	s      *session
	name   string
	config string
	topics schemas.Topics
}

// settings are what benchmarks change in a configuration.
type settings struct {
	inputs                      []string
	cacheDir                    string
	liveInterval, batchInterval time.Duration
	profile                     string // more keys of profile
	ingestOnly                  bool   // needs neither model nor engine
	noModel                     bool   // needs no model
}

func (s *session) pipeline(o settings) *pipeline {
	s.number++
	p := &pipeline{s: s, name: fmt.Sprintf("bench%d", s.number)}
	p.topics = schemas.RunTopics(p.name)
	if len(o.inputs) == 0 {
		o.inputs = []string{p.name + ".clickstream"}
		s.feed(o.inputs[0], 1)
	}
	p.configure(o)
	if err := stream.CreateTopics(context.Background(), s.client, stream.TopicsConfig{Run: p.name, Partitions: logPartitions, Replication: 1}); err != nil {
		s.Fatal(err)
	}
	return p
}

// with is the same run under other settings that a run may change.
func (p *pipeline) with(o settings) *pipeline {
	q := *p
	q.configure(o)
	return &q
}

func (p *pipeline) configure(o settings) {
	s := p.s
	if o.liveInterval == 0 {
		o.liveInterval, o.batchInterval = time.Second, time.Second
	}
	model, clickhouse := "none", "127.0.0.1:1"
	if !o.ingestOnly {
		clickhouse = s.engine().Addr()
	}
	if !o.ingestOnly && !o.noModel {
		model = s.bundle()
	}
	if o.profile != "" {
		o.profile = ", " + o.profile
	}
	p.config = harness.WriteFile(s, p.name+".yaml", fmt.Sprintf(`
run: %s
kafka: {brokers: ["%s"]}
input: {topics: [%s]}
log: {partitions: %d}
profile: {idle_after: 0s, live_interval: %s%s}
model: {dir: %s, cache_dir: "%s"}
clickhouse: {addr: ["%s"], database: %s, batch_interval: %s}
admin: {drain_deadline: 5m}
`, p.name, s.kafka().Addr, strings.Join(o.inputs, ", "), logPartitions, o.liveInterval, o.profile, model, o.cacheDir, clickhouse, database, o.batchInterval))
}

func (p *pipeline) start(binary string, args ...string) *harness.Process {
	if binary == "scorer" {
		args = append(args, "-force") // a benchmark's small model may be refused, and is as fast
	}
	return harness.Start(p.s, binary, p.config, nil, args...)
}

// drain runs a binary until its inputs are worked off.
func (p *pipeline) drain(binary string, args ...string) *harness.Process {
	proc := p.start(binary, append([]string{"-drain"}, args...)...)
	proc.MustExit(0, drainLimit)
	return proc
}

// kill ends processes at once: a graceful end would first finish what was
// fetched, which takes an encoder long and measures nothing.
func kill(procs ...*harness.Process) {
	for _, p := range procs {
		p.Kill()
	}
}

// remove deletes what the pipeline kept, to bound the disk that runs need.
func (p *pipeline) remove() {
	t := p.topics
	if err := p.s.client.DeleteTopics(context.Background(), t.Events, t.Windows, t.Days, t.Scored, t.State, t.DLQ, t.Late, t.Sources); err != nil {
		p.s.Fatal(err)
	}
	if p.s.db != nil {
		p.s.db.Rows(p.s, "DROP DATABASE IF EXISTS "+p.database())
	}
}

func (p *pipeline) database() string { return schemas.Database(database, p.name) }

// skip commits the ends of topics for a group that has no members: what is
// there now is not for it.
func (p *pipeline) skip(stage string, topics ...string) {
	s, ctx := p.s, context.Background()
	tps, err := s.client.Partitions(ctx, topics...)
	if err != nil {
		s.Fatal(err)
	}
	ends := map[wire.TopicPartition]wire.Position{}
	for _, tp := range tps {
		at, err := s.client.ListOffset(ctx, tp.Topic, tp.Partition, wire.Latest, false)
		if err != nil {
			s.Fatal(err)
		}
		ends[tp] = wire.Position{Offset: at}
	}
	if err := s.client.Commit(ctx, wire.Member{Group: "profilestream." + p.name + "." + stage, Generation: -1}, ends); err != nil {
		s.Fatal(err)
	}
}

// workedOff is a pipeline over the history that ingest has worked off: its
// log, its state and its rows are there; nothing is scored.
func (s *session) workedOff() *pipeline {
	if s.worked == nil {
		p := s.pipeline(settings{inputs: s.history().topics})
		s.progress("working the history off")
		p.drain("ingest")
		s.worked = p
	}
	return s.worked
}

// cacheDir keeps embeddings for the benchmarks of a warm cache.
func (s *session) cacheDir() string { return filepath.Join(s.dir, "embeddings") }
