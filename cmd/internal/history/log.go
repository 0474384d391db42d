package history

import (
	"fmt"
	"slices"

	"github.com/apache/arrow/go/v17/arrow/array"

	"profilestream/cmd/internal/config"
	"profilestream/profile"
	"profilestream/schemas"
)

// Log reads one customer out of a partition of a run's event log, by the rules
// of windowing: what it found late, repeated or over the cap does not count, and
// what was erased is gone.
type Log struct {
	cfg    *config.Config
	user   string
	until  int64 // ms; events after it play no part
	p      *profile.LogPartition
	record profile.Record
	seen   map[profile.Source]int64 // largest offset
	ids    map[dedup]bool
	events []applied
	erased profile.Erase // the customer's
	stored stored        // the newest day row as of until
}

// stored is what windowing sent.
type stored struct {
	known   bool
	version int64
	digest  string
}

// NewLog reads the log partition of the given number. Events after until, in
// ms, are read but do not count.
func NewLog(cfg *config.Config, partition int32, user string, until int64) (*Log, error) {
	l := &Log{cfg: cfg, user: user, until: until, seen: map[profile.Source]int64{}, ids: map[dedup]bool{}}
	var err error
	l.p, err = profile.NewPartition(profile.Config{
		Erased:    func(e *profile.Event) bool { return l.erased.Covers(&e.Source, e.Offset) },
		Partition: partition, LatenessMillis: cfg.Profile.Lateness.Milliseconds(),
		MaxEventsUserDay: cfg.Profile.MaxEventsUserDay, ConfigVersion: cfg.Version(),
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// Add takes the next record of the partition, which the log took at appended ms.
func (l *Log) Add(offset, appended int64, value []byte) error {
	r := &l.record
	if err := profile.DecodeRecord(value, r); err != nil {
		return fmt.Errorf("log record %d: %w", offset, err)
	}
	switch r.Kind {
	case profile.KindEvent:
		if string(r.Event.User) != l.user {
			return nil
		}
	case profile.KindErase:
		if string(r.Erase.User) == l.user {
			l.events = nil
			clear(l.ids)
			l.erased = r.Erase.Clone()
		}
	case profile.KindWatermark:
		// An idle source's time is its owner's clock; the broker's bounds it.
		if m := &r.Watermark; m.Idle {
			m.WMillis = min(m.WMillis, appended)
		}
	}
	if err := l.p.Apply(offset, r); err != nil {
		return fmt.Errorf("log record %d: %w", offset, err)
	}
	if r.Kind == profile.KindEvent && !l.erased.Covers(&r.Event.Source, r.Event.Offset) {
		l.event(&r.Event, value)
	}
	for more := true; more; {
		more = l.p.Work(1 << 20)
		l.days()
	}
	return nil
}

// event keeps an event of the customer if windowing applied it.
func (l *Log) event(e *profile.Event, value []byte) {
	hot := false
	for _, d := range l.p.TakeDiverted() {
		if d.Reason == profile.ReasonLate {
			l.seen[e.Source] = e.Offset
			return
		}
		hot = true
	}
	if last, ok := l.seen[e.Source]; ok && e.Offset <= last {
		return
	}
	src := e.Source
	l.seen[src] = e.Offset
	k := dedup{user: src.Topic, id: "\x00" + string(e.ID), day: e.TimeMillis / dayMillis}
	if len(e.ID) == 0 {
		k.id = fmt.Sprint(src.Epoch, " ", src.Partition, " ", e.Offset)
	}
	if !hot {
		if l.ids[k] {
			return
		}
		l.ids[k] = true
	}
	if e.TimeMillis <= l.until {
		l.events = append(l.events, applied{millis: e.TimeMillis, value: slices.Clone(value), hot: hot})
	}
}

// days drops the day rows that went out, but for the one asked for.
func (l *Log) days() {
	if l.p.Days().Len() == 0 {
		return
	}
	rec := l.p.Days().Take()
	defer rec.Release()
	for i, t := range rec.Column(schemas.ColAsOf).(*array.Timestamp).TimestampValues() {
		if int64(t) == l.until {
			one := rec.NewSlice(int64(i), int64(i)+1)
			l.stored = stored{true, one.Column(schemas.ColVersion).(*array.Int64).Value(0), digestOf(one)}
			one.Release()
		}
	}
}

// User is the customer at the end of what was read: the latest row where live,
// else the day row as of until.
func (l *Log) User(live bool) (*User, error) {
	u := &User{cfg: l.cfg, id: l.user, log: l.events, moment: Moment{Until: l.until, Live: live}, Stored: -1}
	if w, ok := l.p.W(); ok && live {
		u.moment.Watermark = min(w, l.until)
	}
	if err := u.open(); err != nil {
		return nil, err
	}
	if live && l.until == Forever {
		rec := liveRows(l.p)
		defer rec.Release()
		l.stored = stored{true, rec.Column(schemas.ColVersion).(*array.Int64).Value(0), digestOf(rec)}
	}
	if l.stored.known {
		u.Stored, u.digest = l.stored.version, l.stored.digest
	}
	return u, nil
}
