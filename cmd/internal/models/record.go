package models

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"time"

	"profilestream/schemas"
)

// recordFormat is the version of the record. Another one is refused.
const recordFormat = 1

// maxKept is how many promotions a record remembers, to roll back to: the topic
// is compacted, so the newest record is all there is.
const maxKept = 32

var bundleID = regexp.MustCompile(`^[0-9a-f]{16}$`)

// Promotion is one bundle put to work in a run.
type Promotion struct {
	Number int64 `json:"promotion"` // from 1, growing; 0: none yet, model.dir holds
	// Bundle is the bundle's id, and the name of its folder in the store.
	Bundle string `json:"bundle"`
	// Manifest is the SHA-256 of the bundle's manifest, in hex.
	Manifest string    `json:"manifest_sha256"`
	Forced   bool      `json:"forced,omitempty"`      // the gate had refused it
	Repeats  int64     `json:"rolls_back,omitempty"`  // the number rolled back to
	At       time.Time `json:"promoted_at,omitempty"` // UTC
}

// Record is what the models topic holds of a run, under the run's name as key.
type Record struct {
	Format int    `json:"format"`
	Run    string `json:"run"`
	// Rescored: every partition of the event log holds the newest promotion's
	// re-score. Until then the promotion is not complete.
	Rescored bool `json:"rescored"`
	// Promotions are the newest ones, the last is the one at work.
	Promotions []Promotion `json:"promotions"`
}

// Current is the newest promotion; its number is 0 where there is none.
func (r *Record) Current() Promotion {
	if len(r.Promotions) == 0 {
		return Promotion{}
	}
	return r.Promotions[len(r.Promotions)-1]
}

// Find returns the remembered promotion of a number.
func (r *Record) Find(number int64) (Promotion, bool) {
	for _, p := range r.Promotions {
		if p.Number == number {
			return p, true
		}
	}
	return Promotion{}, false
}

// with is the record after one more promotion.
func (r *Record) with(p Promotion) Record {
	kept := append(append([]Promotion(nil), r.Promotions...), p)
	return Record{Format: recordFormat, Run: r.Run, Promotions: kept[max(0, len(kept)-maxKept):]}
}

// encode checks the record and writes it.
func (r *Record) encode() ([]byte, error) {
	if err := r.validate(); err != nil {
		return nil, fmt.Errorf("bug: writing a promotion: %w", err)
	}
	return json.Marshal(r)
}

// decodeRecord reads a value of the models topic.
func decodeRecord(run string, value []byte) (r Record, err error) {
	d := json.NewDecoder(bytes.NewReader(value))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return Record{}, fmt.Errorf("reading the promotions of run %s: %w", run, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return Record{}, fmt.Errorf("reading the promotions of run %s: data after the record", run)
	}
	if err := r.validate(); err != nil {
		return Record{}, fmt.Errorf("reading the promotions of run %s: %w", run, err)
	}
	if r.Run != run {
		return Record{}, fmt.Errorf("reading the promotions of run %s: the record is of run %s", run, r.Run)
	}
	return r, nil
}

func (r *Record) validate() error {
	if r.Format != recordFormat {
		return fmt.Errorf("format %d, this program reads %d", r.Format, recordFormat)
	}
	if len(r.Promotions) == 0 || len(r.Promotions) > maxKept {
		return fmt.Errorf("%d promotions, want 1 to %d", len(r.Promotions), maxKept)
	}
	last := int64(0)
	for _, p := range r.Promotions {
		if p.Number <= last || p.Number > schemas.MaxPromotion {
			return fmt.Errorf("promotion %d after %d", p.Number, last)
		}
		last = p.Number
		if !bundleID.MatchString(p.Bundle) {
			return fmt.Errorf("promotion %d: %q is no bundle's id", p.Number, p.Bundle)
		}
		if sum, err := hex.DecodeString(p.Manifest); err != nil || len(sum) != 32 {
			return fmt.Errorf("promotion %d: %q is no SHA-256", p.Number, p.Manifest)
		}
		if p.Repeats < 0 || p.Repeats >= p.Number {
			return fmt.Errorf("promotion %d rolls back to %d", p.Number, p.Repeats)
		}
	}
	return nil
}
