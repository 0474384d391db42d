package profile

import (
	"errors"
	"fmt"
)

// RecordVersion is the format version that this code writes to the event log.
const RecordVersion = 1

// Kind says what a record of the event log is. Values are part of the format.
type Kind uint8

// The kinds of log record. Everything but KindEvent is a control record (nil Kafka key).
const (
	KindEvent Kind = 1 + iota
	KindWatermark
	KindSourceSet
	KindErase
	KindRescore
)

// Watermark tells how far a source partition has come: WMillis is w(s), the largest event time
// of its valid records below NextOffset, 0 before the first. Records and Rejected are its totals
// up to there. Idle: WMillis is the owner's clock, since the source has had nothing to read; the
// reader takes the smaller of it and the time at which the log took the record.
type Watermark struct {
	Source            Source
	WMillis           int64
	NextOffset        int64
	Records, Rejected int64
	Idle              bool
}

// SourceSet lists every source partition of the run; it replaces the set before it.
type SourceSet struct {
	Sources []Source
}

// Position is a place in a source partition: everything below NextOffset lies before it.
type Position struct {
	Source     Source
	NextOffset int64
}

// Erase orders the removal of a user's events that lie before the positions.
type Erase struct {
	User      []byte
	Positions []Position
}

// Rescore orders new rows for every user under the model of a promotion.
type Rescore struct {
	Promotion int64
}

// Record is a decoded record of the event log; Kind says which one part of it is filled in.
// Reuse one Record for many DecodeRecord calls: its slices and topic names are kept.
type Record struct {
	Kind      Kind
	Event     Event
	Watermark Watermark
	SourceSet SourceSet
	Erase     Erase
	Rescore   Rescore

	topics map[string]string // interned topic names
}

// ErrRecordVersion: the record was written by another version of the format.
var ErrRecordVersion = errors.New("event log record of an unknown version")

// ErrRecordCorrupt: the bytes are no log record of the version that they name.
var ErrRecordCorrupt = errors.New("corrupt event log record")

// DecodeRecord reads the value of a log record into r. The record's byte slices alias value.
// It allocates nothing once r has grown to its records' size, and never panics: hostile bytes
// give ErrRecordVersion or ErrRecordCorrupt, and r's content is then undefined.
func DecodeRecord(value []byte, r *Record) error {
	if len(value) < 2 {
		return fmt.Errorf("%w: %d bytes", ErrRecordCorrupt, len(value))
	}
	if value[0] != RecordVersion {
		return fmt.Errorf("%w: %d", ErrRecordVersion, value[0])
	}
	d := decoder{b: value, i: 2, r: r}
	r.Kind = Kind(value[1])
	switch r.Kind {
	case KindEvent:
		d.event(&r.Event)
	case KindWatermark:
		d.watermark(&r.Watermark)
	case KindSourceSet:
		d.sourceSet(&r.SourceSet)
	case KindErase:
		d.erase(&r.Erase)
	case KindRescore:
		r.Rescore.Promotion = d.count()
	default:
		d.fail("kind")
	}
	if d.what == "" && d.i != len(value) {
		d.fail("trailing bytes")
	}
	if d.what != "" {
		return fmt.Errorf("%w: %s", ErrRecordCorrupt, d.what)
	}
	return nil
}
