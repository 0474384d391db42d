package stage

import (
	"fmt"
	"time"

	"profilestream/profile"
)

// noWatermark is the w(s) of a source that has had no valid record yet; no event is as old.
const noWatermark = 0

// source is what admission knows of one source partition: its totals up to
// next, which is the offset of the first record not yet admitted.
type source struct {
	id       profile.Source
	topicID  string // of the topic that next lies in; "" where the cluster does not tell
	metrics  sourceMetrics
	kind     profile.TopicKind
	next     int64
	w        int64 // largest event time of the valid records below next
	records  int64
	rejected int64

	told     watermark // what the log was last told
	toldAt   int64     // by the clock, ms
	tellable bool      // there is something to tell
	idleTold int64     // newest time that the log was told while the source was idle
}

type watermark struct{ w, next int64 }

// metadata is the text committed with the source's offset: the totals up to it
// in this epoch, up to which offset the log has been told of them, and the id of
// the topic.
func (s *source) metadata() string {
	text := fmt.Sprintf("v1 epoch=%d records=%d rejected=%d w=%d told=%d", s.id.Epoch, s.records, s.rejected, s.w, s.told.next)
	if s.topicID != "" {
		text += " topic=" + s.topicID
	}
	return text
}

// parse reads what metadata wrote; told stays -1 and topicID empty where it says
// nothing of them.
func (s *source) parse(text string) error {
	s.told.next, s.topicID = -1, ""
	n, err := fmt.Sscanf(text, "v1 epoch=%d records=%d rejected=%d w=%d told=%d topic=%s", &s.id.Epoch, &s.records, &s.rejected, &s.w, &s.told.next, &s.topicID)
	if err != nil && n < 4 {
		return fmt.Errorf("metadata of the committed offset of %s[%d] is not ours: %q", s.id.Topic, s.id.Partition, text)
	}
	return nil
}

// restore reads what metadata wrote. An empty text is a source's first start.
func (s *source) restore(text string) error {
	if text == "" {
		return nil
	}
	if err := s.parse(text); err != nil {
		return err
	}
	s.told.next = -1 // this owner has told nothing yet
	s.tellable = s.records > 0 || s.w != noWatermark
	return nil
}

// due says whether the log must hear of the source now: w(s) has moved by an
// hour, or something has changed and a second has passed.
func (s *source) due(nowMillis int64) bool {
	const second = 1_000
	if !s.tellable || s.told == (watermark{s.w, s.next}) {
		return false
	}
	return s.hourPassed() || nowMillis-s.toldAt >= second
}

// hourPassed says whether w(s) has moved by an hour since the log was told. The
// first event's time always has: no event is within an hour of noWatermark.
func (s *source) hourPassed() bool { return s.w-s.told.w >= time.Hour.Milliseconds() }

// record is the watermark record of the source as it stands.
func (s *source) record() profile.Watermark {
	return profile.Watermark{Source: s.id, WMillis: s.w, NextOffset: s.next, Records: s.records, Rejected: s.rejected}
}
