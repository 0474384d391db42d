package faults

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/zeebo/xxh3"
	"gopkg.in/yaml.v3"

	"profilestream/e2e/harness"
	"profilestream/stream/kafkatest"
	"profilestream/stream/wire"
)

// nothingWrong is a fault of the harness: what a row damages is left whole, so
// that a refusal which it waits for does not come.
const nothingWrong = "harness.nothing_wrong"

// refused starts a process that must end with a code before it does anything,
// and must say why. What is behind stays behind until it is put right.
func (x *trial) refused(binary, config string, code int, said, stage string) bool {
	x.struck(stage)
	p := x.startWith(binary, config, nil)
	ready := false
	if !x.eventually(binary+" refuses "+said, func() bool { ready = ready || p.IsReady() == nil; return p.Exited() || ready }) {
		return false
	}
	if !x.must(!ready, "%s is ready although %s", binary, said) {
		p.Kill()
		return false
	}
	return x.exits(p, code) && x.must(strings.Contains(p.Log(), said), "%s does not say %q: %s", binary, said, p.Last())
}

// badModel is row 13: the scorer is given bundles that do not fit.
func badModel(x *trial) {
	x.setUp(options{pieces: 12})
	for _, m := range []struct {
		name, said string
		code       int
		harm       func(dir string)
	}{
		{"missing", "model.dir", 2, func(dir string) { x.remove(dir, "") }},
		{"wrong hash", "encoder.onnx", 1, func(dir string) { x.edit(dir, "encoder.onnx", flip) }},
		{"no tokenizer", "tokenizer.json", 2, func(dir string) { x.remove(dir, "tokenizer.json") }},
		{"corrupt manifest", "manifest.json", 1, func(dir string) { x.edit(dir, "manifest.json", func(b []byte) []byte { return b[:len(b)/2] }) }},
		{"wrong shape", "manifest.json", 1, func(dir string) {
			x.edit(dir, "manifest.json", func(b []byte) []byte { return []byte(strings.Replace(string(b), `"dim": 384`, `"dim": 128`, 1)) })
		}},
		{"heads of another kind", "heads.json", 1, func(dir string) { x.edit(dir, "heads.json", flip) }},
	} {
		dir := filepath.Join(x.TempDir(), "bundle")
		x.copyDir(parts.bundle, dir)
		if x.fault != nothingWrong {
			m.harm(dir)
		}
		o := x.opts
		o.bundle = dir
		x.send()
		worker := x.start("ingest")
		x.eventually("the scorer has work", func() bool { return x.lag("admission") == 0 && x.lag("scorer") > 0 })
		x.stop(worker)
		if !x.refused("scorer", x.configure(x.run, o), m.code, m.said, "scorer") || !x.workOn() {
			return
		}
		x.recoveries++
	}
	x.compare()
}

func flip(b []byte) []byte {
	b[len(b)/2] ^= 1
	return b
}

func (x *trial) remove(dir, name string) {
	if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
		x.Fatal(err)
	}
}

func (x *trial) edit(dir, name string, change func([]byte) []byte) {
	path := filepath.Join(dir, name)
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, change(b), 0o600)
	}
	if err != nil {
		x.Fatal(err)
	}
}

func (x *trial) copyDir(from, to string) {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		x.Fatal(err)
	}
}

// badConfiguration is row 19: while the run works, processes are started with
// one wrong key each. They end with 2, name the key and touch nothing.
func badConfiguration(x *trial) {
	x.setUp(options{pieces: 60})
	raw, err := os.ReadFile(filepath.Join(harness.Root(x), "cmd", "internal", "config", "testdata", "wrong.yaml"))
	if err != nil {
		x.Fatal(err)
	}
	var cases []struct{ YAML, Env, Key string }
	if err := yaml.Unmarshal(raw, &cases); err != nil || len(cases) < 25 {
		x.Fatalf("%d cases, %v", len(cases), err)
	}
	c := x.crew()
	for i, w := range cases {
		if i%3 == 0 {
			x.lagged(x.busy("admission"), "admission")
			if x.wrong > 0 {
				return
			}
		}
		x.kills++
		content := w.YAML
		if x.fault == nothingWrong {
			content, w.Env = "{}", ""
		}
		var env []string
		if w.Env != "" {
			env = []string{w.Env}
		}
		if w.Key == "admin.listen" { // which the harness sets for every process
			env = []string{"PROFILESTREAM_ADMIN_LISTEN=nowhere"}
		}
		p := x.startWith(crewBinaries[i%4], harness.WriteFile(x, "wrong.yaml", content), env)
		if !x.exits(p, 2) {
			return
		}
		x.must(strings.Contains(p.Log(), "configuration: "+w.Key), "%q: the key %s is not named: %s", w.YAML, w.Key, p.Last())
		x.recoveries++
	}
	x.note("%d wrong configurations", len(cases))
	x.finish(c)
}

// lostPlace is row 18: partitions are added; the committed offset is beyond the
// log, or before it; the number of log partitions is changed.
func lostPlace(x *trial) {
	x.setUp(options{pieces: 20})
	if !x.workOn() {
		return
	}
	c := x.wire()
	tp := wire.TopicPartition{Topic: x.topics[0], Partition: 1}
	group := "profilestream." + x.run + ".admission"
	move := func(p wire.Position) {
		if err := c.Commit(context.Background(), wire.Member{Group: group, Generation: -1}, map[wire.TopicPartition]wire.Position{tp: p}); err != nil {
			x.Fatal(err)
		}
	}
	committed, err := c.CommittedOffsets(context.Background(), group, []wire.TopicPartition{tp})
	if err != nil {
		x.Fatal(err)
	}
	committedAt := committed[tp]
	x.send()
	x.send()
	beyond := committedAt
	beyond.Offset += 1_000_000
	move(beyond)
	x.kills++
	x.lagged(x.kafka.Ends(tp.Topic)[tp.Partition]-committedAt.Offset, "admission")
	p := x.start("ingest")
	if !x.exits(p, 1) {
		return
	}
	x.must(strings.Contains(p.Log(), "beyond the end"), "an offset beyond the log is refused without saying so: %s", p.Last())
	move(committedAt)
	if x.workOn() {
		x.recoveries++
	}
	x.overran(c)
	x.moreLogPartitions()
	x.morePartitions(c)
	x.compare()
}

// overran makes another run and deletes records that it has not read yet, as
// retention would.
func (x *trial) overran(c *wire.Client) {
	y := &trial{TB: x.TB, line: &line{leastLag: -1, seed: x.seed}, rng: x.rng, events: 1000, run: x.run + "_lost", fault: x.fault}
	y.setUp(options{pieces: 2})
	if !y.workOn() {
		return
	}
	read := y.kafka.Ends(y.topics[0])[0]
	y.send()
	x.kills++
	x.lagged(y.lag("admission"), "admission")
	ends := y.kafka.Ends(y.topics[0])
	kafkatest.DeleteRecords(x, y.kafka.Addr, y.topics[0], 0, ends[0]-1)
	p := y.start("ingest")
	if y.exits(p, 1) {
		x.must(strings.Contains(p.Log(), "below the start"), "retention overran the offset, which is not said: %s", p.Last())
		x.recoveries++
	}
	y.goesOn(c, ends[0]-1-read)
	x.wrong += y.wrong
	x.why = append(x.why, y.why...)
}

// moreLogPartitions starts a worker with another number of log partitions.
func (x *trial) moreLogPartitions() {
	x.send()
	raw, err := os.ReadFile(x.config)
	if err != nil {
		x.Fatal(err)
	}
	wrong := harness.WriteFile(x, "partitions.yaml", strings.Replace(string(raw), "{partitions: 4,", "{partitions: 5,", 1))
	if x.refused("ingest", wrong, 2, "log.partitions", "admission") && x.workOn() {
		x.recoveries++
	}
}

// morePartitions adds partitions to an input topic of a running pipeline, which
// finds and admits them.
func (x *trial) morePartitions(c *wire.Client) {
	crew := x.crew()
	x.send()
	lag := x.busy("admission")
	x.kills++
	x.lagged(lag, "admission")
	total := inputPartitions["clickstream"] + 1
	if err := c.AddPartitions(context.Background(), x.topics[0], total); err != nil {
		x.Fatal(err)
	}
	// Time runs at a thousand times its speed here: a partition that is found after its events were sent would be late.
	x.eventually("the new partition has an owner", func() bool {
		owned := x.kafka.Committed("profilestream."+x.run+".admission", x.topics[0])
		return len(owned) == total && owned[total-1] >= 0
	})
	for _, piece := range x.pieces {
		for i := range piece { // by content, so that what is sent twice stays together
			if m := &piece[i]; m.Topic == x.topics[0] && xxh3.Hash(m.Value)>>32%uint64(total) == 0 {
				m.Partition = total - 1
			}
		}
	}
	for x.send() {
	}
	if x.caughtUp(crew.ps...) {
		x.recoveries++
		crew.stop()
	}
}
