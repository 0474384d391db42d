package history

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"profilestream/cmd/internal/config"
	"profilestream/inference/explain"
	"profilestream/profile"
	"profilestream/schemas"
)

// ErrNoUser: no event of the user counts at the time asked for.
var ErrNoUser = errors.New("no such customer")

// Moment is the time of a row.
type Moment struct {
	// Until bounds the events: ts <= Until, in ms.
	Until int64
	// Live asks for the row that the latest view would show when pipeline time
	// stands at Watermark, or at no time yet where that is 0. Without it, the row is
	// as of Until, the last ms of a day.
	Live      bool
	Watermark int64
}

// EndOfDay is the moment of the day row of the UTC day that holds t.
func EndOfDay(t time.Time) Moment {
	return Moment{Until: t.UTC().Truncate(24*time.Hour).UnixMilli() + dayMillis - 1}
}

// Forever bounds nothing.
const Forever = math.MaxInt64

const dayMillis = 24 * 60 * 60 * 1000

// applied is an event that counts, once.
type applied struct {
	millis int64
	value  []byte // log record
	hot    bool   // over the cap of its day: it only flags the day
}

// User is the events of one customer that count at a moment. It replays them,
// as they are or changed.
type User struct {
	cfg    *config.Config
	id     string
	moment Moment
	log    []applied
	shown  []explain.Event // of the log's events that are not hot, in order
	places []int           // of shown in log

	// Stored is the place in the event log of what caused the row that windowing
	// sent for the moment, -1 if none is known. Where windowing coalesced the
	// corrections of a day row, its row names a later place.
	Stored int64
	digest string // of that row
}

// User gathers the events of one customer of the history.
func (h *History) User(id string, m Moment) (*User, error) {
	h.sorted()
	u := &User{cfg: h.cfg, id: id, moment: m, Stored: -1}
	seen, perDay := map[dedup]bool{}, map[int64]int{}
	for i := range h.events {
		e := &h.events[i]
		if e.user != id || e.millis > m.Until {
			continue
		}
		day := e.millis / dayMillis
		if e.id != "" {
			k := dedup{id: e.id, day: day}
			if seen[k] {
				continue
			}
			seen[k] = true
		}
		perDay[day]++
		u.log = append(u.log, applied{millis: e.millis, value: h.text[e.from:e.to], hot: perDay[day] > h.cfg.Profile.MaxEventsUserDay})
	}
	return u, u.open()
}

// open orders the events and reads what people are shown of them.
func (u *User) open() error {
	if len(u.log) == 0 {
		return fmt.Errorf("%w: no event counts at the time asked for", ErrNoUser)
	}
	slices.SortStableFunc(u.log, func(a, b applied) int { return inOrder(a.millis, b.millis, a.hot, b.hot) })
	var r profile.Record
	for i := range u.log {
		if u.log[i].hot {
			continue
		}
		if err := profile.DecodeRecord(u.log[i].value, &r); err != nil {
			return err
		}
		u.places = append(u.places, i)
		u.shown = append(u.shown, explain.Event{At: time.UnixMilli(u.log[i].millis).UTC(), Type: r.Event.Type.String(), What: describe(&r.Event, u.cfg.Profile.Currency)})
	}
	return nil
}

// inOrder compares events by day and time, hot ones last in their day: they must
// find the cap reached.
func inOrder(a, b int64, aHot, bHot bool) int {
	switch c := cmp.Compare(a/dayMillis, b/dayMillis); {
	case c != 0 || aHot == bHot:
		return cmp.Or(c, cmp.Compare(a, b))
	case aHot:
		return 1
	}
	return -1
}

// Events are the events that count, oldest first.
func (u *User) Events() []explain.Event { return u.shown }

// Row is the customer's row at the moment. It fails where it is not the one that
// windowing sent. The caller releases it.
func (u *User) Row(ctx context.Context) (arrow.Record, error) {
	rec, at, err := u.rows(ctx, []variant{{id: u.id}})
	switch {
	case err != nil:
		return nil, err
	case at[0] != 0:
		err = errors.New("no row came out")
	case u.digest != "" && digestOf(rec) != u.digest:
		err = fmt.Errorf("its digest is %s, that of the row in the log's order %s", digestOf(rec), u.digest)
	default:
		return rec, nil
	}
	rec.Release()
	return nil, fmt.Errorf("replaying a customer's events by time: %w", err)
}

// Changed implements explain.History.
func (u *User) Changed(ctx context.Context, changes []explain.Change) (arrow.Record, []int, error) {
	vs := make([]variant, len(changes))
	for k, c := range changes {
		v := variant{id: fmt.Sprintf("%08d", k), without: map[int]bool{}}
		for _, i := range c.Without {
			v.without[u.places[i]] = true
		}
		for _, a := range c.Add {
			s, err := u.addition(&a)
			if err != nil {
				return nil, nil, err
			}
			v.add = append(v.add, s)
		}
		vs[k] = v
	}
	return u.rows(ctx, vs)
}

// Silent implements explain.History.
func (u *User) Silent(ctx context.Context, days int) (arrow.Record, error) {
	r, err := u.replay(ctx, []variant{{id: u.id}})
	if err != nil {
		return nil, err
	}
	row, err := u.Row(ctx)
	if err != nil {
		return nil, err
	}
	defer row.Release()
	asOf := int64(row.Column(schemas.ColAsOf).(*array.Timestamp).Value(0))
	for n := range days {
		if err := r.p.EmitAsOf(asOf + int64(n+1)*dayMillis); err != nil {
			return nil, err
		}
	}
	return r.p.Days().Take(), nil
}

// rows replays variants up to the moment and says which row is whose.
func (u *User) rows(ctx context.Context, vs []variant) (arrow.Record, []int, error) {
	r, err := u.replay(ctx, vs)
	if err != nil {
		return nil, nil, err
	}
	var rec arrow.Record
	if u.moment.Live {
		if w := u.moment.Watermark; w > 0 {
			if err := r.watermark(w); err != nil {
				return nil, nil, err
			}
		}
		rec = liveRows(r.p)
	} else {
		if err := r.p.EmitAsOf(u.moment.Until); err != nil {
			return nil, nil, err
		}
		rec = r.p.Days().Take()
	}
	place := map[string]int{}
	ids := rec.Column(schemas.ColUserID).(*array.String)
	for i := range int(rec.NumRows()) {
		place[ids.Value(i)] = i
	}
	at := make([]int, len(vs))
	for k := range vs {
		i, ok := place[vs[k].id]
		if !ok {
			i = -1
		}
		at[k] = i
	}
	return rec, at, nil
}

// liveRows are the live rows of all users.
func liveRows(p *profile.LogPartition) arrow.Record {
	p.SetLive(true)
	for p.EmitLive(math.MaxInt) {
	}
	p.Days().Take().Release()
	return p.Live().Take()
}

// digestOf is the digest of a record's only row.
func digestOf(rec arrow.Record) string {
	return strconv.FormatUint(rec.Column(schemas.ColDigest).(*array.Uint64).Value(0), 10)
}
