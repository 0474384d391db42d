package stage

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/array"

	"profilestream/cmd/internal/history"
	"profilestream/profile"
	"profilestream/schemas"
	"profilestream/stream"
	"profilestream/stream/wire"
)

// known reads a user out of the event log up to an offset.
func (r *rig) known(user string, moment history.Moment, last int64) (*history.User, error) {
	r.t.Helper()
	p := profile.Partition([]byte(user), int32(r.env.Config.Log.Partitions))
	l, err := history.NewLog(r.env.Config, p, user, moment.Until)
	r.must(err)
	r.records(r.env.Config.Topics().Events, p, func(x *wire.Record) {
		if x.Offset <= last {
			r.must(l.Add(x.Offset, x.Timestamp, x.Value))
		}
	})
	return l.User(moment.Live)
}

// TestLogOfOneUserGivesItsRows: a reader of the event log finds of one user what
// windowing sent: the latest row, every day row, and each earlier live row from
// what was known when it was made. Late events and repeats do not count.
func TestLogOfOneUserGivesItsRows(t *testing.T) {
	r := newRig(t, shortLateness)
	r.env.Config.Profile.LiveInterval = 0
	r.log(3, func(int) {
		for p := range int32(2) {
			w, next := r.owner(p)
			r.work(w, next)
			_, err := w.Finish(r.ctx(), stream.Drained)
			r.must(err)
		}
	})
	for p := range int32(2) {
		w, next := r.owner(p)
		r.work(w, next)
		_, err := w.Finish(r.ctx(), stream.Drained)
		r.must(err)
	}
	compare := func(what, user string, m history.Moment, last int64, want seenRow, versions bool) {
		t.Helper()
		u, err := r.known(user, m, last)
		r.must(err)
		row, err := u.Row(t.Context())
		r.must(err)
		defer row.Release()
		if got := row.Column(schemas.ColDigest).(*array.Uint64).Value(0); got != want.digest || versions && u.Stored != want.version {
			t.Fatalf("%s of %s: digest %d of offset %d, windowing sent %d of %d", what, user, got, u.Stored, want.digest, want.version)
		}
	}
	const all = 1 << 40
	latest := history.Moment{Until: history.Forever, Live: true}
	for user, row := range r.lastLive() {
		compare("latest row", user, latest, all, row, true)
	}
	split := func(key string) (user string, asOf int64) {
		user, at, _ := strings.Cut(key, " ")
		_, err := fmt.Sscan(at, &asOf)
		r.must(err)
		return user, asOf
	}
	days, _ := r.rows(r.env.Config.Topics().Days)
	for key, row := range days {
		user, asOf := split(key)
		// Corrections are coalesced: the version may be that of a later event.
		compare("day row", user, history.Moment{Until: asOf}, all, row, false)
		compare("day row as known then", user, history.Moment{Until: asOf}, row.version, row, false)
	}
	live, n := r.rows(r.env.Config.Topics().Windows)
	for key, row := range live {
		user, _ := split(key)
		compare("live row as known then", user, latest, row.version, row, true)
	}
	if len(days) < 20 || n < 20 {
		t.Fatalf("only %d day rows and %d live rows", len(days), n)
	}
	if _, err := r.known("nobody", latest, all); err == nil {
		t.Error("an unknown user has a row")
	}
	// An erased user is one whose events are gone.
	b := new(wire.Builder)
	user := "user-1"
	b.Add(day0.UnixMilli(), nil, profile.AppendErase(nil, &profile.Erase{User: []byte(user)}))
	_, err := r.c.NewProducer(r.env.Config.Topics().Events, profile.Partition([]byte(user), 2), wire.ProducerConfig{}).Append(r.ctx(), b)
	r.must(err)
	if _, err := r.known(user, latest, all); err == nil {
		t.Error("an erased user has a row")
	}
}
