package harness

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
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

// Days sends a feed day by day, with the purchases delivered some days behind
// the clickstream (lag > 0) or ahead of it (lag < 0). Only the time of delivery
// differs: the records, their order and their timestamps are the same. between
// is called after each day.
func (k *Kafka) Days(f *Feed, lag int, between func(day int)) {
	k.tb.Helper()
	first, last := time.Unix(1<<40, 0), time.Unix(0, 0)
	for _, m := range [][]Message{f.Clickstream, f.Purchases} {
		if len(m) > 0 {
			first, last = earlier(first, m[0].Time), later(last, m[len(m)-1].Time)
		}
	}
	clicks, purchases := f.Clickstream, f.Purchases
	day := 24 * time.Hour
	start := first.Truncate(day)
	for n := 1; ; n++ {
		var c, p []Message
		c, clicks = Before(clicks, start.Add(time.Duration(n+min(lag, 0))*day))
		p, purchases = Before(purchases, start.Add(time.Duration(n-max(lag, 0))*day))
		k.Send(c)
		k.Send(p)
		if between != nil {
			between(n)
		}
		if len(clicks)+len(purchases) == 0 {
			return
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
