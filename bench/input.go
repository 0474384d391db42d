package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"profilestream/e2e/harness"
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
	users   int   // distinct keys
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
	k := s.kafka()
	in := &input{dir: filepath.Join(s.TempDir(), o.name)}
	s.progress("simulating %d events of %d users over %d days", o.events, o.users, o.days)
	s.profilectl("simulate", "--quiet", "--seed", "42", "--users", strconv.Itoa(o.users), "--days", strconv.Itoa(o.days), "--events", strconv.Itoa(o.events),
		"--start", o.start.Format(time.DateOnly), "--late", "0", "--poison", "0", "--out", in.dir)
	users := map[string]bool{}
	for _, name := range []string{"clickstream", "purchases"} {
		topic := "bench." + o.name + "." + name
		in.topics = append(in.topics, topic)
		k.CreateTopic(topic, inputPartitions[name])
		var batch []harness.Message
		s.lines(in.dir, name, func(at int64, key, value string) {
			batch = append(batch, harness.Message{Topic: topic, Partition: in.records % inputPartitions[name], Time: time.UnixMilli(at), Key: []byte(key), Value: []byte(value)})
			users[key] = true
			in.records++
			in.bytes += int64(len(value))
			if len(batch) == sendAtOnce {
				k.Send(batch)
				batch = batch[:0]
				s.progress("sent %d records of %s", in.records, o.name)
			}
		})
		k.Send(batch)
	}
	in.users = len(users)
	in.note = fmt.Sprintf("%d simulated events (%.0f B each, uncompressed) of %d users over %d days, 10 %% of them out of order, 1 %% twice",
		in.records, float64(in.bytes)/float64(in.records), in.users, o.days)
	s.inputs[o.name] = in
	return in
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
