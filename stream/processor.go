package stream

import (
	"context"
	"time"

	"profilestream/stream/wire"
)

// Records is what one fetch brought, read with Next; see wire.Records.
type Records = wire.Records

// TopicPartition names one partition.
type TopicPartition = wire.TopicPartition

// Commit is a position to commit: the offset of the next record to process and free metadata. A negative offset
// commits nothing.
type Commit = wire.Position

// Assignment is a partition that this process now owns.
type Assignment struct {
	Topic      string
	Partition  int32
	Committed  int64  // committed offset; resolved from the start setting where there was none
	Metadata   string // of that commit
	Generation int32
	TopicID    string // what the cluster calls the topic; "" where it does not tell
}

// TP returns the partition's name.
func (a Assignment) TP() TopicPartition {
	return TopicPartition{Topic: a.Topic, Partition: a.Partition}
}

// Processor handles one partition from one goroutine.
type Processor interface {
	// Process takes every record of the set: it calls Next until it returns nil. ctx outlives a stop request, so that
	// a set is finished; it ends when the deadline for stopping has passed.
	Process(ctx context.Context, records *Records) error
	// Flush makes the effects of everything processed durable and returns the position to commit. It is called at every
	// flush interval, also when nothing was processed.
	Flush(ctx context.Context) (Commit, error)
	// Close frees what the processor holds. It is called once, after the last Flush.
	Close() error
}

// Factory makes the processor of an assigned partition and says where to begin reading: usually at a.Committed.
type Factory func(ctx context.Context, a Assignment) (p Processor, start int64, err error)

// Ending says why the work on a partition ends.
type Ending uint8

// Endings.
const (
	Revoked Ending = iota // the group is rebalancing
	Stopped               // the process is asked to stop, or another partition failed
	Drained               // everything up to the drain target was processed
)

// String returns the ending's name.
func (e Ending) String() string { return [...]string{"revoked", "stopped", "drained"}[e] }

// Finisher is for processors whose last Flush does more: Finish is called instead of it.
type Finisher interface {
	Finish(ctx context.Context, why Ending) (Commit, error)
}

// Drainer is for processors that are not done at an offset: while draining, Drained is asked after each set and flush
// once the target offset is reached, and reading goes on until it says true.
type Drainer interface{ Drained() bool }

// MergeProcessor handles all partitions of a worker from one goroutine, as one stream ordered by Kafka timestamps.
// It may be a Drainer.
type MergeProcessor interface {
	// Assigned is called once, first, with everything this worker owns in this generation; it may be empty. It returns
	// the sources that begin elsewhere than where they were committed: these positions are committed before anything is
	// read.
	Assigned(ctx context.Context, sources []Assignment) (moved map[TopicPartition]Commit, err error)
	// Process takes consecutive records of one source until Next returns nil, which may be before the set's end.
	Process(ctx context.Context, source TopicPartition, records *Records) error
	// Idle reports that a fetch of the source, sent at fetchSentAt, found it at its end with everything before it
	// processed, and that this has been so since. It is repeated with each such fetch.
	Idle(ctx context.Context, source TopicPartition, since, fetchSentAt time.Time) error
	// Flush makes the effects of everything processed durable and returns the positions to commit.
	Flush(ctx context.Context) (map[TopicPartition]Commit, error)
	// Close frees what the processor holds, once, after the last Flush.
	Close() error
}

// MergeFinisher is for merge processors whose last Flush does more.
type MergeFinisher interface {
	Finish(ctx context.Context, why Ending) (map[TopicPartition]Commit, error)
}

// MergeFactory makes the processor of one generation.
type MergeFactory func(ctx context.Context) (MergeProcessor, error)
