package profile

import (
	"errors"
	"fmt"
	"math"
)

// Config is what windowing depends on, besides the events.
type Config struct {
	Partition        int32  // number of the log partition
	LatenessMillis   int64  // 24 h to 90 days
	MaxEventsUserDay int    // applied events of a user and UTC day; what exceeds it is hot
	ConfigVersion    string // stands in the marker: state of another configuration is refused
	// KeepRepeats switches off both rules that drop what comes again (source position, event id),
	// for the tests that must see a repeat counted twice.
	KeepRepeats bool
	// Erased says that an event lies below the erasure of its user: it leaves no trace but its
	// count. nil: no event does.
	Erased func(e *Event) bool
}

// Bounds of a configuration.
const (
	minLatenessMillis = dayMillis
	maxLatenessMillis = 90 * dayMillis
	maxEventsUserDay  = 10_000_000
)

// Validate names the first value that is out of range.
func (c *Config) Validate() error {
	switch {
	case c.Partition < 0:
		return fmt.Errorf("log partition %d is negative", c.Partition)
	case c.LatenessMillis < minLatenessMillis || c.LatenessMillis > maxLatenessMillis:
		return fmt.Errorf("lateness of %d ms is not within 24h..2160h", c.LatenessMillis)
	case c.MaxEventsUserDay < 1 || c.MaxEventsUserDay > maxEventsUserDay:
		return fmt.Errorf("max_events_user_day %d is not within 1..%d", c.MaxEventsUserDay, maxEventsUserDay)
	}
	return nil
}

// maxMillis is the end of the year 9999.
const maxMillis = 253_402_300_799_999

// ErrOutOfOrder: a log record came again or went back. The owner must stop.
var ErrOutOfOrder = errors.New("event log offset is not above the one before")

// ErrBadRecord: a log record that admission cannot have written.
var ErrBadRecord = errors.New("event log record outside the contract")

// ErrUnfinished: day rows that are due must be emitted first, see Work.
var ErrUnfinished = errors.New("rows are due that have not been emitted")

// LogPartition is the windowing of one partition of the event log. One goroutine owns it.
type LogPartition struct {
	cfg       Config
	dailyDays int32 // up to so many silent days give a row each

	users    map[string]*user
	sources  sources
	contents contents

	offset     int64 // of the last applied record, -1 before the first
	promotion  int64
	rescore    int64 // offset of the newest re-score record, -1 if none
	live       bool
	w          int64
	wSet       bool
	ticking    bool  // W has passed a day
	ticked     int32 // last day whose rows are out
	closed     int32 // last closed day
	ticks      []tickRun
	calendar   map[int32][]*user // users by the next day on which a row is due
	fixes      []*user           // users with corrections that wait
	touched    []*user           // users that wait for a live row
	work       work
	sweep      sweep // of all users in the store, for live rows
	days, rows *RowBatch
	diverted   []Diverted

	store      Store // nil: all users are in memory
	cache      cache
	storeKey   []byte
	dirty      []*user
	tombstones [][]byte
	restored   *restoring
	marker     *Marker
	err        error        // of the store, in the midst of work
	stored     storedTotals // records in the state topic
	removed    storedTotals // of these, what the tombstones remove
	next       storedTotals // what Commit makes of them
	encoded    []byte

	freeDays *openDay
	scratch  scratch
	hashes   []uint64 // for thresholds
	merged   []entry
	mergedTo []entry
	row      row
}

// NewPartition makes the empty state of a log partition. Restore and Start come next.
func NewPartition(cfg Config) (*LogPartition, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuring windowing: %w", err)
	}
	p := &LogPartition{
		cfg:       cfg,
		dailyDays: max(silenceDaily, int32((cfg.LatenessMillis+dayMillis-1)/dayMillis)+1),
		users:     make(map[string]*user),
		contents:  contents{byHash: make(map[uint64]*content)},
		offset:    -1, rescore: -1,
		ticked: math.MinInt32, closed: math.MinInt32,
		calendar: make(map[int32][]*user),
		days:     newRowBatch(cfg.Partition), rows: newRowBatch(cfg.Partition),
	}
	return p, nil
}

// Diverted is an event that did not reach the state: late, or over the cap of its user and day.
type Diverted struct {
	Reason      string // ReasonLate or ReasonHot
	Source      Source
	Offset      int64 // in the source partition
	KafkaMillis int64
	Key, Value  []byte // of the source record; the caller's to keep
}

// Apply folds the log record at the offset in. Offsets grow; they need not be consecutive. A
// record that moves W past a day leaves day rows due: see Pending. Rows still due from an
// earlier record are emitted first, whatever their number.
func (p *LogPartition) Apply(offset int64, r *Record) error {
	if offset <= p.offset {
		return fmt.Errorf("applying record %d after %d: %w", offset, p.offset, ErrOutOfOrder)
	}
	if p.work.pending {
		p.Work(math.MaxInt)
	}
	if p.err != nil {
		return p.err
	}
	switch r.Kind {
	case KindEvent:
		if err := p.event(offset, &r.Event); err != nil {
			return err
		}
	case KindWatermark:
		if w := r.Watermark.WMillis; w < 0 || w > maxMillis {
			return fmt.Errorf("applying record %d: watermark: %w", offset, ErrBadRecord)
		}
		p.sources.watermark(&r.Watermark)
		p.advance(offset)
	case KindSourceSet:
		p.sources.setListed(&r.SourceSet)
		p.advance(offset)
	case KindErase:
		if err := p.erase(r.Erase.User); err != nil {
			return fmt.Errorf("applying record %d: %w", offset, err)
		}
	case KindRescore:
		p.promotion = max(p.promotion, r.Rescore.Promotion)
		p.rescore = offset
		if p.live {
			p.TouchAll()
		}
	default:
		return fmt.Errorf("applying record %d: kind %d: %w", offset, r.Kind, ErrBadRecord)
	}
	p.offset = offset
	return nil
}

func (p *LogPartition) event(offset int64, e *Event) error {
	if e.TimeMillis < 0 || e.TimeMillis > maxMillis || len(e.User) == 0 || !e.Type.Valid() {
		return fmt.Errorf("applying record %d: event: %w", offset, ErrBadRecord)
	}
	s := p.sources.find(&e.Source)
	if e.Offset <= s.seen && !p.cfg.KeepRepeats {
		return nil // appended again after a retry or by a zombie
	}
	s.seen = e.Offset
	day := dayOf(e.TimeMillis)
	erased := p.cfg.Erased != nil && p.cfg.Erased(e)
	switch {
	case day <= p.closed:
		s.late++
		if !erased {
			p.divert(ReasonLate, e)
		}
		return nil
	case erased: // counted as if it had come before the erasure
		s.applied++
		return nil
	}
	u, err := p.find(e.User)
	if err != nil {
		return fmt.Errorf("applying record %d: %w", offset, err)
	}
	d := u.find(day)
	id := s.eventID(e)
	if p.cfg.KeepRepeats {
		id += uint64(offset) * 0x9e3779b97f4a7c15
	}
	if d == nil {
		p.unfoldFrom(u, day)
		d = p.newDay(day)
		u.insert(d)
	} else if d.ids.find(id) >= 0 {
		s.duplicates++
		return nil
	} else if len(d.ids.keys) >= p.cfg.MaxEventsUserDay {
		s.hot++
		if d.bits&dayHot == 0 {
			p.unfoldFrom(u, day)
			d.bits |= dayHot
			p.changed(u, d, offset)
		}
		p.divert(ReasonHot, e)
		return nil
	}
	if d.folded {
		p.unfoldFrom(u, day)
	}
	s.applied++
	d.ids.add(id)
	d.apply(e)
	p.addEventRecent(d, e)
	p.changed(u, d, offset)
	if p.store != nil {
		u.size += eventBytes
		p.cache.held += eventBytes
		p.cache.dirty += eventBytes
	}
	return nil
}

// changed notes that the record at the offset changed a day of the user.
func (p *LogPartition) changed(u *user, d *openDay, offset int64) {
	u.offset = offset
	u.corrected = p.ticking && d.day <= p.ticked
	d.offset, d.corrected = offset, u.corrected
	d.dirty = true
	p.markUser(u)
	if u.corrected {
		p.fix(u, d.day)
	} else {
		p.schedule(u, d.day)
	}
	if p.live {
		p.touch(u)
	}
}

func (p *LogPartition) markUser(u *user) {
	if !u.dirty {
		u.dirty = true
		p.dirty = append(p.dirty, u)
		p.cache.dirty += u.size
	}
}

// fix notes that the user's rows from a passed day on are to be corrected, and that silence may
// now be due earlier than it was.
func (p *LogPartition) fix(u *user, day int32) {
	if u.fixFrom == noDay {
		p.fixes = append(p.fixes, u)
	}
	u.fixFrom = min(u.fixFrom, day)
	p.schedule(u, p.dueAfter(u, p.ticked))
}

func (p *LogPartition) touch(u *user) {
	if !u.touched {
		u.touched = true
		p.touched = append(p.touched, u)
	}
}

func (p *LogPartition) divert(reason string, e *Event) {
	d := Diverted{Reason: reason, Source: e.Source, Offset: e.Offset, KafkaMillis: e.KafkaMillis}
	if e.Key != nil {
		d.Key = append([]byte{}, e.Key...)
	}
	d.Value = append([]byte{}, e.Raw...)
	p.diverted = append(p.diverted, d)
}

// TakeDiverted hands over the events that were late or hot since the last call.
func (p *LogPartition) TakeDiverted() []Diverted {
	d := p.diverted
	p.diverted = nil
	return d
}

// erase drops all state of a user. Later events of the user make a new one.
func (p *LogPartition) erase(id []byte) error {
	u := p.users[string(id)]
	if u == nil && p.store != nil && !p.cache.erased[string(id)] {
		var err error
		if u, err = p.fetch(id, &p.contents, p.store.Prefix); err != nil {
			return err
		}
	}
	if u == nil {
		return nil
	}
	delete(p.users, u.id)
	u.gone = true
	p.bury(u)
	u.open, u.base = nil, base{}
	if p.store != nil {
		p.cache.erased[u.id] = true
		p.cache.total--
		p.cache.held -= u.size
	}
	return nil
}

// W is the partition's event time in ms: every listed source has passed it. False before all
// of them have sent a watermark.
func (p *LogPartition) W() (int64, bool) { return p.w, p.wSet }

// Partition is the number of the log partition.
func (p *LogPartition) Partition() int32 { return p.cfg.Partition }

// Promotion is the newest promotion number, to be stamped on every message of rows.
func (p *LogPartition) Promotion() int64 { return p.promotion }

// Offset is the log offset of the last applied record, -1 before the first.
func (p *LogPartition) Offset() int64 { return p.offset }

// Users is the number of users with state.
func (p *LogPartition) Users() int {
	if p.store != nil {
		return p.cache.total
	}
	return len(p.users)
}
