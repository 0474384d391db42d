package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"profilestream/profile"
	"profilestream/stream/wire"
)

var inputPartitions = map[string]int{"clickstream": 4, "purchases": 2}

// sendAtOnce is how many records of a file are held in memory.
const sendAtOnce = 20_000

// input is a simulated history in two topics of Kafka.
type input struct {
	topics  []string
	dir     string // of profilectl simulate
	records int
	bytes   int64 // of the values
	users   int   // that an event is of
	note    string
}

type shop struct {
	name                string
	users, days, events int
	start               time.Time
}

// history is what most benchmarks read.
func (s *session) history() *input {
	return s.input(shop{name: "history", users: 2000, days: 60, events: s.events, start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)})
}

// input simulates a shop and sends its events, once for each name.
func (s *session) input(o shop) *input {
	if in := s.inputs[o.name]; in != nil {
		return in
	}
	s.kafka()
	in := &input{dir: filepath.Join(s.TempDir(), o.name)}
	s.progress("simulating %d events of %d users over %d days", o.events, o.users, o.days)
	s.profilectl("simulate", "--quiet", "--seed", "42", "--users", strconv.Itoa(o.users), "--days", strconv.Itoa(o.days), "--events", strconv.Itoa(o.events),
		"--start", o.start.Format(time.DateOnly), "--late", "0", "--poison", "0", "--out", in.dir)
	users, parser := map[string]bool{}, s.parser()
	var e profile.Event
	for _, name := range []string{"clickstream", "purchases"} {
		s.number++
		topic := fmt.Sprintf("bench%d.%s", s.number, name) // a name of its own, whatever failed before
		in.topics = append(in.topics, topic)
		kind, _ := profile.KindOfTopic(topic)
		f := s.feed(topic, inputPartitions[name])
		s.lines(in.dir, name, func(at int64, key, value string) {
			if r := parser.Parse([]byte(value), kind, at, &e); r != nil {
				s.Fatal(r)
			}
			users[string(e.User)] = true
			f.add(at, []byte(key), []byte(value))
			in.records++
			in.bytes += int64(len(value))
			if in.records%sendAtOnce == 0 {
				f.flush()
			}
			if in.records%200_000 == 0 {
				s.progress("sent %d records of %s", in.records, o.name)
			}
		})
		f.flush()
	}
	in.users = len(users)
	in.note = fmt.Sprintf("%d simulated events (%.0f B each, uncompressed) of %d users over %d days, 10 %% of them out of order, 1 %% twice",
		in.records, float64(in.bytes)/float64(in.records), in.users, o.days)
	s.inputs[o.name] = in
	return in
}

// feed sends records to an input topic, in turn to its partitions, uncompressed.
type feed struct {
	s         *session
	producers []*wire.Producer
	batches   []wire.Builder
	n         int
}

// feed makes an input topic that keeps its records whatever their timestamps.
func (s *session) feed(topic string, partitions int) *feed {
	s.kafka()
	if err := s.client.CreateTopics(context.Background(), wire.Topic{Name: topic, Partitions: partitions, Replication: 1, Settings: map[string]string{"retention.ms": "-1"}}); err != nil {
		s.Fatal(err)
	}
	return s.feedTo(topic, partitions)
}

// feedTo sends to a topic that is there.
func (s *session) feedTo(topic string, partitions int) *feed {
	f := &feed{s: s, batches: make([]wire.Builder, partitions)}
	for p := range partitions {
		f.producers = append(f.producers, s.client.NewProducer(topic, int32(p), wire.ProducerConfig{}))
	}
	return f
}

func (f *feed) add(millis int64, key, value []byte) {
	f.batches[f.n%len(f.batches)].Add(millis, key, value)
	f.n++
}

// flush waits until the broker has what was added.
func (f *feed) flush() {
	for p := range f.batches {
		b := &f.batches[p]
		if b.Len() == 0 {
			continue
		}
		if _, err := f.producers[p].Append(context.Background(), b); err != nil {
			f.s.Fatal(err)
		}
		b.Reset()
	}
}

// lines reads a file of profilectl simulate.
func (s *session) lines(dir, name string, fn func(at int64, key, value string)) {
	f, err := os.Open(filepath.Join(dir, name+".jsonl"))
	if err != nil {
		s.Fatal(err)
	}
	defer f.Close()
	scan := bufio.NewScanner(f)
	scan.Buffer(nil, 16<<20)
	for scan.Scan() {
		var l struct {
			KafkaTS    int64  `json:"kafka_ts"`
			Key, Value string `json:",omitempty"`
		}
		if err := json.Unmarshal(scan.Bytes(), &l); err != nil {
			s.Fatalf("%s: %v", f.Name(), err)
		}
		fn(l.KafkaTS, l.Key, l.Value)
	}
	if err := scan.Err(); err != nil {
		s.Fatal(err)
	}
}
