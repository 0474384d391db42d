package harness

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"testing"
	"time"

	"github.com/zeebo/xxh3"
)

// Feed is the records of the input topics in the order of their arrival.
type Feed struct {
	Clickstream, Purchases []Message
}

// LoadFeed reads the files that profilectl simulate wrote and spreads their
// records over partitions by their content: neighbours go to different ones, as
// from many producers, and a record that is sent twice goes where it went
// before, so that it is known which one was first in the log.
func LoadFeed(tb testing.TB, dir string, partitions map[string]int) *Feed {
	tb.Helper()
	return &Feed{
		Clickstream: loadLines(tb, dir, "clickstream", partitions["clickstream"]),
		Purchases:   loadLines(tb, dir, "purchases", partitions["purchases"]),
	}
}

func loadLines(tb testing.TB, dir, topic string, partitions int) []Message {
	tb.Helper()
	f, err := os.Open(filepath.Join(dir, topic+".jsonl"))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	var out []Message
	s := bufio.NewScanner(f)
	s.Buffer(nil, 64<<20)
	for s.Scan() {
		var l struct {
			KafkaTS     int64   `json:"kafka_ts"`
			Key         *string `json:"key"`
			KeyBase64   *string `json:"key_base64"`
			Value       *string `json:"value"`
			ValueBase64 *string `json:"value_base64"`
		}
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			tb.Fatalf("%s: %v", f.Name(), err)
		}
		m := Message{Topic: topic, Time: time.UnixMilli(l.KafkaTS), Key: text(tb, l.Key, l.KeyBase64), Value: text(tb, l.Value, l.ValueBase64)}
		m.Partition = int(xxh3.Hash(m.Value) % uint64(partitions))
		out = append(out, m)
	}
	if err := s.Err(); err != nil {
		tb.Fatal(err)
	}
	return out
}

func text(tb testing.TB, plain, coded *string) []byte {
	tb.Helper()
	switch {
	case plain != nil:
		return []byte(*plain)
	case coded != nil:
		b, err := base64.StdEncoding.DecodeString(*coded)
		if err != nil {
			tb.Fatal(err)
		}
		return b
	}
	return nil
}

// Before splits messages, ordered by arrival, at an instant.
func Before(msgs []Message, t time.Time) (before, after []Message) {
	i := sort.Search(len(msgs), func(i int) bool { return !msgs[i].Time.Before(t) })
	return msgs[:i], msgs[i:]
}

// Days sends a feed day by day, in batches of random sizes. Each day it is drawn
// how many days a topic is behind, at most 3: now the one waits for the other, now
// the other way round. Only the time of delivery differs: the records, their order
// within a partition and their timestamps are the same. between is called after
// each day.
func (k *Kafka) Days(f *Feed, random *rand.Rand, between func(day int)) {
	k.tb.Helper()
	first := time.Unix(1<<40, 0)
	for _, m := range [][]Message{f.Clickstream, f.Purchases} {
		if len(m) > 0 && m[0].Time.Before(first) {
			first = m[0].Time
		}
	}
	const mostBehind, largest = 3, 4000
	left := [][]Message{f.Clickstream, f.Purchases}
	start := first.Truncate(24 * time.Hour)
	for n := 1; len(left[0])+len(left[1]) > 0; n++ {
		for i := range left {
			var now []Message
			now, left[i] = Before(left[i], start.AddDate(0, 0, n-random.IntN(mostBehind+1)))
			for len(now) > 0 {
				size := min(len(now), 1+random.IntN(largest))
				k.Send(now[:size])
				now = now[size:]
			}
		}
		between(n)
	}
}
