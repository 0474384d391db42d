package runs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// recordFormat is the version of the record. Another one is refused.
const recordFormat = 1

// Record is what the topic profile.runs holds of a run, under its name as key.
type Record struct {
	Format int    `json:"format"`
	Run    string `json:"run"`
	// Of is the run of the configuration that this one was started with.
	Of      string    `json:"of"`
	Started time.Time `json:"started"` // UTC, the first time
	// Keys are the run's configuration, but for how to reach the servers.
	Keys          map[string]string `json:"keys"`
	ConfigVersion string            `json:"config_version"`
	Bundle        string            `json:"bundle"`           // id of the bundle in model.dir
	Forced        bool              `json:"forced,omitempty"` // the gate had refused it
	// Drain: the run ends when its inputs are worked off; Until is the time that it
	// then moves to, zero: none.
	Drain bool      `json:"drain,omitempty"`
	Until time.Time `json:"until,omitzero"`
	// Archive is what the run begins with, nil: no files.
	Archive *Archive `json:"archive,omitempty"`
}

func (r *Record) encode() ([]byte, error) { return json.Marshal(r) }

// decodeRecord reads a value of the topic.
func decodeRecord(run string, value []byte) (r Record, err error) {
	d := json.NewDecoder(bytes.NewReader(value))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return Record{}, fmt.Errorf("reading the record of run %s: %w", run, err)
	}
	switch {
	case r.Format != recordFormat:
		return Record{}, fmt.Errorf("reading the record of run %s: format %d, this program reads %d", run, r.Format, recordFormat)
	case r.Run != run:
		return Record{}, fmt.Errorf("reading the record of run %s: it is of run %q", run, r.Run)
	case len(r.Keys) == 0 || r.ConfigVersion == "":
		return Record{}, fmt.Errorf("reading the record of run %s: it has no configuration", run)
	}
	return r, nil
}

// From says where the run reads from.
func (r *Record) From() string {
	if of := r.Keys["log.of"]; of != "" {
		return "log of " + of
	}
	if r.Archive != nil {
		return r.Archive.String()
	}
	return "topics from " + r.Keys["input.start"]
}
