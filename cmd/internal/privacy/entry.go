package privacy

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"profilestream/profile"
	"profilestream/schemas"
)

// entryFormat is the version of the record. Another one is refused.
const entryFormat = 1

// Entry is what the topic of erasures holds of a user, under the hash of the id.
type Entry struct {
	Format int    `json:"format"`
	Key    string `json:"key_id"` // of the key that made the hash
	// ErasedAt is when the positions were read, in UTC.
	ErasedAt  time.Time  `json:"erased_at"`
	Positions []Position `json:"positions"`
	Logs      []Log      `json:"logs"`
	Runs      []string   `json:"runs"` // that had topics
	// Reads names the log of each run that reads another one's.
	Reads map[string]string `json:"reads,omitempty"`
}

// Position is the end of an input partition when the user was erased.
type Position struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	End       int64  `json:"end"`
}

// Log is an event log that there was when the user was erased.
type Log struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"` // the user's
	// Offset is the place of the erase record, -1 until it is there.
	Offset int64 `json:"offset"`
	// Epochs are those of the positions in this log that are not 0, in their order.
	Epochs []int32 `json:"epochs,omitempty"`
}

// erase is the record for a log; nil: for a run that had no log then, and so
// knows every input partition in its first epoch.
func (e *Entry) erase(user []byte, l *Log) profile.Erase {
	r := profile.Erase{User: user}
	for i, p := range e.Positions {
		s := profile.Source{Topic: p.Topic, Partition: p.Partition}
		if l != nil && i < len(l.Epochs) {
			s.Epoch = l.Epochs[i]
		}
		r.Positions = append(r.Positions, profile.Position{Source: s, NextOffset: p.End})
	}
	return r
}

func (e *Entry) log(topic string) *Log {
	for i := range e.Logs {
		if e.Logs[i].Topic == topic {
			return &e.Logs[i]
		}
	}
	return nil
}

// logOf is the log that a run reads, nil where it is not known.
func (e *Entry) logOf(run string) *Log {
	if topic, ok := e.Reads[run]; ok {
		return e.log(topic)
	}
	return e.log(schemas.RunTopics(run).Events)
}

func (e *Entry) encode() ([]byte, error) {
	if err := e.validate(); err != nil {
		return nil, fmt.Errorf("bug: writing an erasure: %w", err)
	}
	return json.Marshal(e)
}

// decodeEntry reads a record of the topic of erasures.
func decodeEntry(key, value []byte) (h Hash, e Entry, err error) {
	hash, err := hex.DecodeString(string(key))
	if err != nil || len(hash) != len(h) {
		return h, e, fmt.Errorf("reading an erasure: the record's key is no hash")
	}
	copy(h[:], hash)
	d := json.NewDecoder(bytes.NewReader(value))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		return h, e, fmt.Errorf("reading an erasure: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return h, e, fmt.Errorf("reading an erasure: data after the record")
	}
	if err := e.validate(); err != nil {
		return h, e, fmt.Errorf("reading an erasure: %w", err)
	}
	return h, e, nil
}

func (e *Entry) validate() error {
	if e.Format != entryFormat {
		return fmt.Errorf("format %d, this program reads %d", e.Format, entryFormat)
	}
	if e.ErasedAt.IsZero() || len(e.Key) == 0 {
		return fmt.Errorf("no time or no key id")
	}
	for _, p := range e.Positions {
		if p.Topic == "" || p.Partition < 0 || p.End < 0 {
			return fmt.Errorf("position %s[%d]@%d", p.Topic, p.Partition, p.End)
		}
	}
	for _, l := range e.Logs {
		if l.Topic == "" || l.Partition < 0 || l.Offset < -1 || len(l.Epochs) > len(e.Positions) {
			return fmt.Errorf("log %s[%d]@%d", l.Topic, l.Partition, l.Offset)
		}
	}
	return nil
}
