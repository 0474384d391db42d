package runs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/history"
	"profilestream/profile"
	"profilestream/schemas"
	"profilestream/stream"
	"profilestream/stream/wire"
)

// Archive is the files that a run begins with. Their records become input topics
// of the run's own, of one partition each: the offset of a record is its place
// among those of its topic, file by file in the order of Files. So a source
// position means the same record however often loading begins anew.
type Archive struct {
	Files []File `json:"files"`
	// Before: records stamped from then on are left to the input topics, which the
	// run reads from there on; zero: the files are all there is.
	Before time.Time `json:"before,omitzero"`
	Loaded bool      `json:"loaded,omitempty"` // all of it is in the topics
}

// File is one of an archive, as it was when the run was started.
type File struct {
	Path  string `json:"path"` // absolute
	Bytes int64  `json:"bytes"`
}

// findFiles lists the files of paths in the order in which they are read. Of a
// folder they are those of the input topics, by name.
func findFiles(paths []string) ([]File, error) {
	var out []File
	add := func(path string) error {
		abs, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		info, err := os.Stat(abs)
		if err == nil {
			out = append(out, File{abs, info.Size()})
		}
		return err
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("--archive: %w", err)
		}
		if !info.IsDir() {
			if e := filepath.Ext(path); e != ".jsonl" && e != ".parquet" {
				return nil, fmt.Errorf("--archive: %s is neither .jsonl nor .parquet", path)
			}
			if err := add(path); err != nil {
				return nil, err
			}
			continue
		}
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, fmt.Errorf("--archive: %w", err)
		}
		before := len(out)
		for _, e := range entries {
			_, known := profile.KindOfTopic(history.TopicOfFile(e.Name()))
			if ext := filepath.Ext(e.Name()); !known || ext != ".jsonl" && ext != ".parquet" {
				continue
			}
			if err := add(filepath.Join(path, e.Name())); err != nil {
				return nil, err
			}
		}
		if len(out) == before {
			return nil, fmt.Errorf("--archive: %s holds no file of clickstream or purchases, .jsonl or .parquet", path)
		}
	}
	return out, nil
}

// archiveTopic is the topic of a run that takes an archive's records of a kind.
func archiveTopic(run string, k profile.TopicKind) string {
	name := "clickstream"
	if k == profile.Purchases {
		name = "purchases"
	}
	return schemas.TopicPrefix(run) + "archive." + name
}

func archiveTopics(run string) []string {
	return []string{archiveTopic(run, profile.Clickstream), archiveTopic(run, profile.Purchases)}
}

// loader appends an archive to its topics.
type loader struct {
	run   string
	limit int64 // ms, see Archive.Before
	lanes map[string]*lane
	bytes int
}

// lane is one topic.
type lane struct {
	producer  *wire.Producer
	batch     wire.Builder
	seen      int64 // records of the files
	next      int64 // offset that is appended next
	batchFrom int64
}

// laneBytes is how much is appended at once.
const laneBytes = 512 << 10

// load makes the topics of an archive and appends what they do not hold yet.
// progress is told the bytes of the values read so far, of about so many.
func (a *Archive) load(ctx context.Context, c *wire.Client, cfg *config.Config, progress func(done, total int)) error {
	l := &loader{run: cfg.Run, limit: a.Before.UnixMilli(), lanes: map[string]*lane{}}
	for _, name := range archiveTopics(cfg.Run) {
		if err := c.CreateTopics(ctx, stream.ArchiveTopic(name, cfg.Log.Replication)); err != nil {
			return err
		}
		end, err := c.ListOffset(ctx, name, 0, wire.Latest, false)
		if err != nil {
			return err
		}
		l.lanes[name] = &lane{next: end, producer: c.NewProducer(name, 0, wire.ProducerConfig{Codec: wire.LZ4, MaxBatchBytes: stream.MaxDeadLetterBatchBytes})}
	}
	total := 0
	for _, f := range a.Files {
		if info, err := os.Stat(f.Path); err != nil {
			return fmt.Errorf("the archive of run %s: %w", cfg.Run, err)
		} else if info.Size() != f.Bytes {
			return fmt.Errorf("the archive of run %s: %s has %d bytes, not %d as when the run was started: bring it back, or start another run", cfg.Run, f.Path, info.Size(), f.Bytes)
		}
		total += int(f.Bytes)
	}
	for _, f := range a.Files {
		err := history.Records(ctx, f.Path, cfg.Profile.Currency, func(topic string, kafkaMillis int64, value []byte) error {
			l.bytes += len(value)
			return l.add(ctx, topic, kafkaMillis, value, func() { progress(min(l.bytes, total), total) })
		})
		if err != nil {
			return err
		}
	}
	for _, name := range archiveTopics(cfg.Run) {
		if err := l.lanes[name].flush(ctx); err != nil {
			return err
		}
	}
	progress(total, total)
	return nil
}

func (l *loader) add(ctx context.Context, topic string, kafkaMillis int64, value []byte, flushed func()) error {
	kind, ok := profile.KindOfTopic(topic)
	if !ok {
		return fmt.Errorf("topic %q is neither clickstream nor purchases", topic)
	}
	if kafkaMillis <= 0 {
		return errors.New("kafka_ts, the record's Kafka timestamp in ms, is missing")
	}
	if l.limit > 0 && kafkaMillis >= l.limit {
		return nil
	}
	a := l.lanes[archiveTopic(l.run, kind)]
	if a.seen++; a.seen <= a.next {
		return nil
	}
	if a.batch.Len() == 0 {
		a.batchFrom = a.next
	}
	a.batch.Add(kafkaMillis, nil, value)
	a.next++
	if a.batch.Bytes() < laneBytes {
		return nil
	}
	flushed()
	return a.flush(ctx)
}

// flush appends the batch, and makes sure that it stands where it belongs.
func (a *lane) flush(ctx context.Context) error {
	if a.batch.Len() == 0 {
		return nil
	}
	at, err := a.producer.Append(ctx, &a.batch)
	if err == nil && at >= 0 && at != a.batchFrom {
		err = fmt.Errorf("the archive's records from %d on were appended at %d: another command loads the same run; retire it and start again", a.batchFrom, at)
	}
	a.batch.Reset()
	return err
}

// begin commits where admission starts: at the beginning of the archive, and in
// the input topics at the time up to which the archive counts.
func (a *Archive) begin(ctx context.Context, c *wire.Client, cfg *config.Config) error {
	tps, err := c.Partitions(ctx, cfg.Input.Topics...)
	if err != nil {
		return err
	}
	committed, err := c.CommittedOffsets(ctx, cfg.Group("admission"), tps)
	if err != nil {
		return err
	}
	own, places := archiveTopics(cfg.Run), map[wire.TopicPartition]wire.Position{}
	for _, tp := range tps {
		if committed[tp].Offset >= 0 {
			return nil // it has begun
		}
		at := int64(0)
		if !slices.Contains(own, tp.Topic) {
			if at, err = c.ListOffset(ctx, tp.Topic, tp.Partition, a.Before.UnixMilli(), false); err != nil {
				return err
			}
		}
		places[tp] = wire.Position{Offset: at}
	}
	return c.Commit(ctx, wire.Member{Group: cfg.Group("admission"), Generation: -1}, places)
}

// String names the files.
func (a *Archive) String() string {
	names := make([]string, len(a.Files))
	for i, f := range a.Files {
		names[i] = f.Path
	}
	s := "archive " + strings.Join(names, " ")
	if !a.Before.IsZero() {
		s += ", then topics from " + a.Before.Format(time.RFC3339)
	}
	return s
}

func (a *Archive) equal(b *Archive) bool {
	if a == nil || b == nil {
		return a == b
	}
	return slices.Equal(a.Files, b.Files) && a.Before.Equal(b.Before)
}
