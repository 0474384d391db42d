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
					if err := h.Load(ctx, file); err != nil {
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
		return h.loadRetail(path)
	case strings.HasSuffix(path, ".jsonl"):
		return h.loadLines(ctx, strings.TrimSuffix(filepath.Base(path), ".jsonl"), path)
	case strings.HasSuffix(path, ".parquet"):
		return h.loadParquet(ctx, path)
	}
	return fmt.Errorf("reading a history: %s is no folder, .jsonl, .parquet, .csv or .csv.gz", path)
}

func (h *History) loadRetail(path string) error {
	r, err := simulate.OpenRetail(path)
	if err != nil {
		return err
	}
	_, err = simulate.RetailEvents(r, h.cfg.Profile.Currency, func(e simulate.Event) error {
		return h.Add(e.Topic, e.KafkaMillis, e.Value)
	})
	return errors.Join(err, r.Close())
}

func (h *History) loadLines(ctx context.Context, topic, path string) error {
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
		return h.Add(topic, l.KafkaTS, value)
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
