package history

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"profilestream/cmd/internal/simulate"
)

// maxLineBytes is the longest line of a JSONL file: a record over the broker's
// limit in base64, with room.
const maxLineBytes = 64 << 20

// line is one record of a topic's file, as simulate writes it.
type line struct {
	KafkaTS     int64   `json:"kafka_ts"`
	Value       *string `json:"value"`
	ValueBase64 *string `json:"value_base64"`
}

// Load reads a history: a folder with files of the topics clickstream and
// purchases (.jsonl, .parquet), one such file, or an Online Retail file (.csv,
// .csv.gz).
func (h *History) Load(ctx context.Context, path string) error {
	return Records(ctx, path, h.cfg.Profile.Currency, h.Add)
}

// Take gets the next record of an archive: its topic, its Kafka timestamp and its
// value, nil where there was none.
type Take func(topic string, kafkaMillis int64, value []byte) error

// Records passes on the records of what Load reads, file by file, in their order.
// The amounts of a retail file are of the currency.
func Records(ctx context.Context, path, currency string, take Take) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("reading a history: %w", err)
	}
	switch {
	case info.IsDir():
		found := false
		for _, topic := range []string{simulate.TopicClickstream, simulate.TopicPurchases} {
			for _, ending := range []string{".jsonl", ".parquet"} {
				file := filepath.Join(path, topic+ending)
				if _, err := os.Stat(file); err == nil {
					found = true
					if err := Records(ctx, file, currency, take); err != nil {
						return err
					}
				}
			}
		}
		if !found {
			return fmt.Errorf("reading a history: %s holds no clickstream or purchases, as .jsonl or .parquet", path)
		}
		return nil
	case strings.HasSuffix(path, ".csv"), strings.HasSuffix(path, ".csv.gz"), strings.HasSuffix(path, ".gz"):
		return retail(path, currency, take)
	case strings.HasSuffix(path, ".jsonl"):
		return lines(ctx, TopicOfFile(path), path, take)
	case strings.HasSuffix(path, ".parquet"):
		return readParquet(ctx, path, take)
	}
	return fmt.Errorf("reading a history: %s is no folder, .jsonl, .parquet, .csv or .csv.gz", path)
}

// TopicOfFile is the topic that a file's name begins with: clickstream for
// clickstream.jsonl and for clickstream-2026-01.parquet.
func TopicOfFile(path string) string {
	name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	for _, topic := range []string{simulate.TopicClickstream, simulate.TopicPurchases} {
		if rest, ok := strings.CutPrefix(name, topic); ok && (rest == "" || strings.ContainsAny(rest[:1], "-_.")) {
			return topic
		}
	}
	return name
}

func retail(path, currency string, take Take) error {
	r, err := simulate.OpenRetail(path)
	if err != nil {
		return err
	}
	_, err = simulate.RetailEvents(r, currency, func(e simulate.Event) error {
		return take(e.Topic, e.KafkaMillis, e.Value)
	})
	return errors.Join(err, r.Close())
}

func lines(ctx context.Context, topic, path string, take Take) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("reading a history: %w", err)
	}
	defer f.Close()
	n := 0
	err = eachLine(f, func(b []byte) error {
		if n++; n%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		var l line
		if err := json.Unmarshal(b, &l); err != nil {
			return fmt.Errorf("%s:%d: %w", path, n, err)
		}
		value, err := l.bytes()
		if err != nil {
			return fmt.Errorf("%s:%d: %w", path, n, err)
		}
		if err := take(topic, l.KafkaTS, value); err != nil {
			return fmt.Errorf("%s:%d: %w", path, n, err)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading a history: %w", err)
	}
	return nil
}

func (l *line) bytes() ([]byte, error) {
	switch {
	case l.Value != nil:
		return []byte(*l.Value), nil
	case l.ValueBase64 != nil:
		return base64.StdEncoding.DecodeString(*l.ValueBase64)
	}
	return nil, nil
}

func eachLine(r io.Reader, fn func([]byte) error) error {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 1<<16), maxLineBytes)
	for s.Scan() {
		if err := fn(s.Bytes()); err != nil {
			return err
		}
	}
	return s.Err()
}
