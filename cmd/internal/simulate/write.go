package simulate

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"unicode/utf8"
)

// Files that WriteDir and WriteRetailDir leave in a folder.
const (
	FileClickstream   = "clickstream.jsonl"
	FilePurchases     = "purchases.jsonl"
	FileTruth         = "truth.jsonl"
	FileFeedbackTruth = "feedback_truth.jsonl"
	FileSummary       = "summary.json"
)

// Progress is told, now and then, how many events of about how many are made.
type Progress func(done, total int64)

// WriteDir simulates a shop into dir: one JSON line a record in the topics'
// files, in arrival order, the truth beside them, and a summary.
func WriteDir(ctx context.Context, o Options, dir string, progress Progress) (Summary, error) {
	s, err := New(o)
	if err != nil {
		return Summary{}, err
	}
	w, err := newDirWriter(dir, FileClickstream, FilePurchases, FileTruth, FileFeedbackTruth)
	if err != nil {
		return Summary{}, err
	}
	defer w.abandon()
	err = s.Events(func(e Event) error {
		if s.summary.Records%4096 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			report(progress, s.summary.Events, o.Events)
		}
		if e.Type == "feedback" && e.Kind != KindDuplicate {
			b := appendField(append(w.line[:0], '{'), "event_id", e.ID)
			b = append(b[:1], b[2:]...) // no comma before the first field
			b = appendField(b, "user_id", e.User)
			b = append(appendNumber(b, "sentiment", e.Sentiment), '}')
			if err := w.write(3, b); err != nil {
				return err
			}
		}
		return w.record(&e)
	})
	if err != nil {
		return Summary{}, err
	}
	if err := s.Truth(func(t Truth) error { return w.write(2, appendTruth(w.line[:0], &t)) }); err != nil {
		return Summary{}, err
	}
	if err := w.close(); err != nil {
		return Summary{}, err
	}
	sum := s.Summary()
	report(progress, sum.Events, sum.Events)
	return sum, writeJSON(filepath.Join(dir, FileSummary), sum)
}

func report(p Progress, done, total int64) {
	if p != nil {
		p(done, total)
	}
}

// dirWriter writes the lines of several files of one folder.
type dirWriter struct {
	files []*os.File
	out   []*bufio.Writer
	line  []byte
}

func newDirWriter(dir string, names ...string) (*dirWriter, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making %s: %w", dir, err)
	}
	w := &dirWriter{}
	for _, n := range names {
		f, err := os.Create(filepath.Join(dir, n))
		if err != nil {
			w.abandon()
			return nil, fmt.Errorf("creating %s: %w", n, err)
		}
		w.files = append(w.files, f)
		w.out = append(w.out, bufio.NewWriterSize(f, 1<<18))
	}
	return w, nil
}

// record writes a record to its topic's file: clickstream first, purchases second.
func (w *dirWriter) record(e *Event) error {
	file := 0
	if e.Topic == TopicPurchases {
		file = 1
	}
	return w.write(file, AppendLine(w.line[:0], e))
}

func (w *dirWriter) write(file int, line []byte) error {
	w.line = append(line, '\n')
	if _, err := w.out[file].Write(w.line); err != nil {
		return fmt.Errorf("writing %s: %w", w.files[file].Name(), err)
	}
	return nil
}

func (w *dirWriter) close() error {
	for i, f := range w.files {
		if err := w.out[i].Flush(); err != nil {
			return fmt.Errorf("writing %s: %w", f.Name(), err)
		}
		if err := f.Close(); err != nil {
			return fmt.Errorf("closing %s: %w", f.Name(), err)
		}
	}
	w.files = nil
	return nil
}

// abandon closes what close has not.
func (w *dirWriter) abandon() {
	for _, f := range w.files {
		_ = f.Close() // the error that led here is the one to report
	}
}

// AppendLine writes a record as one line of a topic's file, without the
// newline: {"kafka_ts","key","value"}, where a key or value that is not UTF-8
// is in "key_base64" or "value_base64" instead. A record without a key has
// "key":null, a tombstone "value":null.
func AppendLine(b []byte, e *Event) []byte {
	b = append(b, `{"kafka_ts":`...)
	b = strconv.AppendInt(b, e.KafkaMillis, 10)
	b = appendBytes(b, "key", e.Key)
	b = appendBytes(b, "value", e.Value)
	return append(b, '}')
}

func appendBytes(b []byte, name string, v []byte) []byte {
	switch {
	case v == nil:
		b = append(b, ',', '"')
		b = append(b, name...)
		return append(b, `":null`...)
	case utf8.Valid(v):
		return appendField(b, name, string(v))
	}
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, `_base64":"`...)
	b = base64.StdEncoding.AppendEncode(b, v)
	return append(b, '"')
}
