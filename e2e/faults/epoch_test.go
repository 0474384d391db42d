package faults

import (
	"context"
	"fmt"
	"strings"
	"time"

	"profilestream/e2e/harness"
	"profilestream/stream/wire"
)

// goesOn has a run go on behind what it lost, and then behind an input topic
// that is made anew, as it is told to. Every record that was there counts once.
func (x *trial) goesOn(c *wire.Client, lost int64) {
	records := int64(x.line.events) - lost
	x.newEpoch("lost records", records)
	topic := x.topics[0]
	if err := c.DeleteTopics(context.Background(), topic); err != nil {
		x.Fatal(err)
	}
	x.kafka.CreateTopic(topic, inputPartitions["clickstream"])
	const anew = 300
	var msgs []harness.Message
	for i := range anew {
		at := x.begin.AddDate(0, 0, feedDays).Add(time.Duration(i) * time.Second)
		value := fmt.Appendf(nil, `{"user_id":"anew %d","type":"page_view","ts":%d}`, i%20, at.UnixMilli())
		msgs = append(msgs, harness.Message{Topic: topic, Partition: i % inputPartitions["clickstream"], Time: at, Value: value})
	}
	x.kafka.Send(msgs)
	p := x.start("ingest")
	if x.exits(p, 1) {
		x.must(strings.Contains(p.Log(), "made anew"), "the topic was made anew, which is not said: %s", p.Last())
	}
	x.newEpoch("topic made anew", records+anew)
}

// newEpoch drains the run where it may go on behind a gap, and holds its
// accounting against the number of records.
func (x *trial) newEpoch(what string, records int64) {
	x.exits(x.startWith("ingest", x.config, []string{"PROFILESTREAM_INPUT_ON_GAP=new_epoch"}, "-drain", "-until", x.until.Format(time.RFC3339)), 0)
	x.exits(x.startWith("scorer", x.config, nil, "-drain"), 0)
	x.exits(x.startWith("sink", x.config, nil, "-drain"), 0)
	got := x.engine.Rows(x, "SELECT sum(records), sum(applied + duplicates + late + dead_lettered) FROM "+database(x.run)+".accounting")
	want := fmt.Sprint(records)
	x.must(len(got) == 1 && got[0][0] == want && got[0][1] == want, "%s: records and what became of them: %v, want %s", what, got, want)
}
