package stage

import (
	"bytes"

	"profilestream/profile"
	"profilestream/stream/wire"
)

// mask puts pseudonyms into a record that was parsed, before anything is written
// of it. An event is parsed anew, since the log holds its fields as places in
// its bytes. A key that is not the user's id may be anything: it goes.
func (a *admission) mask(s *source, r *wire.Record, reject *profile.Reject) *profile.Reject {
	keyed := reject == nil && r.Key != nil && bytes.Equal(r.Key, a.event.User)
	r.Key = nil
	if reject != nil && unread(reject.Reason) {
		return reject // its value is not kept: see reject
	}
	a.masked = profile.Pseudonymize(a.masked[:0], r.Value, a.pseudonyms.Append)
	r.Value = a.masked
	if reject != nil {
		return reject
	}
	if reject = a.parser.Parse(r.Value, s.kind, r.Timestamp, &a.event); reject == nil && keyed {
		r.Key = a.event.User
	}
	return reject
}

// unread says that a record was rejected before it was known what in it is what.
func unread(reason string) bool {
	switch reason {
	case profile.ReasonTooLarge, profile.ReasonBadJSON, profile.ReasonTooDeep:
		return true
	}
	return false
}
