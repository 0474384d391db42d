package runs

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"profilestream/cmd/internal/config"
	"profilestream/stream"
	"profilestream/stream/kafkatest"
	"profilestream/stream/wire"
)

// TestArchiveLoadsOnce: whatever part of it stands in the topic already, each
// record stands at its place among the files', once.
func TestArchiveLoadsOnce(t *testing.T) {
	dir, want := t.TempDir(), []string(nil)
	for _, name := range []string{"clickstream-1.jsonl", "clickstream-2.jsonl", "purchases.jsonl", "truth.jsonl"} {
		text := ""
		for i := range 4 {
			value := fmt.Sprintf("%s:%d", name, i)
			text += fmt.Sprintf("{\"kafka_ts\":%d,\"value\":%q}\n", 1000+i, value)
			if i < 3 && name[0] == 'c' {
				want = append(want, value) // the last one is stamped at the limit
			}
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files, err := findFiles([]string{dir})
	if err != nil || len(files) != 3 {
		t.Fatalf("%v: %v", files, err)
	}
	for _, before := range []int{0, 1, 4, 6} {
		t.Run(fmt.Sprint(before, " records are there"), func(t *testing.T) {
			cfg := config.Default()
			c, err := wire.NewClient(wire.Config{Brokers: kafkatest.Fake(t).Addrs})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			name := archiveTopics(cfg.Run)[0]
			if err := c.CreateTopics(t.Context(), stream.ArchiveTopic(name, 1)); err != nil {
				t.Fatal(err)
			}
			b := new(wire.Builder)
			for i, v := range want[:before] {
				b.Add(int64(1000+i%3), nil, []byte(v))
			}
			if before > 0 {
				if _, err := c.NewProducer(name, 0, wire.ProducerConfig{}).Append(t.Context(), b); err != nil {
					t.Fatal(err)
				}
			}
			a := &Archive{Files: files, Before: time.UnixMilli(1003)}
			for range 2 {
				if err := a.load(t.Context(), c, &cfg, func(int, int) {}); err != nil {
					t.Fatal(err)
				}
			}
			var got []string
			_, err = stream.Read(t.Context(), c, stream.ReadConfig{TopicPartition: wire.TopicPartition{Topic: name}, From: wire.Earliest}, func(r *wire.Record) error {
				got = append(got, string(r.Value))
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}
