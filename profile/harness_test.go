package profile_test

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"profilestream/profile"
	"profilestream/schemas"
)

// logItem is one record of a made-up event log.
type logItem struct {
	ev      *shopEvent
	mark    string // source of a watermark
	w       int64
	set     []string // source set
	rescore int64
	erase   string // user
}

// gotRow is one emitted row, by column name; a NULL is missing.
type gotRow struct {
	user           string
	asOf, version  int64
	trigger        string
	digest         uint64
	flags          uint32
	kafka          int64
	f              map[string]float64
	recent         []string
	feedback       string
	feedbackAt     int64
	hasFeedbackRow bool
}

type rowKey struct {
	user string
	asOf int64
}

// runner drives a partition as the stage does.
type runner struct {
	t        testing.TB
	cfg      profile.Config
	p        *profile.LogPartition
	r        profile.Record
	days     map[rowKey]gotRow // the newest of each key
	live     map[string]gotRow
	nDays    int
	diverted []profile.Diverted
	state    map[string][]byte
	maxBytes int
	store    *mapStore // nil: all users in memory
	cache    int       // bytes of users in memory, with a store
}

type fataler interface {
	Helper()
	Fatalf(string, ...any)
}

func newRunner(t testing.TB, cfg profile.Config) *runner {
	r := &runner{t: t, cfg: cfg, days: map[rowKey]gotRow{}, live: map[string]gotRow{}, state: map[string][]byte{}, maxBytes: 1 << 20}
	r.open()
	return r
}

func testConfig(lateness int64) profile.Config {
	return profile.Config{Partition: 3, LatenessMillis: lateness, MaxEventsUserDay: 1000, ConfigVersion: "c1"}
}

// open makes the partition from the state topic.
func (r *runner) open() {
	p, err := profile.NewPartition(r.cfg)
	r.must(err)
	r.p = p
	if r.store != nil {
		r.must(p.StartFrom(r.store, r.cache, true))
		return
	}
	for _, k := range slices.Sorted(maps.Keys(r.state)) {
		r.must(p.Restore([]byte(k), r.state[k]))
	}
	r.must(p.Start())
}

func (r *runner) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func sourceOf(s string) profile.Source {
	var src profile.Source
	i := len(s) - 2
	src.Topic = s[:i]
	src.Partition = int32(s[i+1] - '0')
	return src
}

var typesByName = func() map[string]profile.Type {
	m := map[string]profile.Type{}
	for t := profile.TypePageView; t.Valid(); t++ {
		m[t.String()] = t
	}
	return m
}()

func eventOf(e *shopEvent) *profile.Event {
	out := &profile.Event{
		Source: profile.Source{Topic: e.topic, Partition: e.partition}, Offset: e.offset, KafkaMillis: e.ts + 5,
		TimeMillis: e.ts, Type: typesByName[e.kind], User: []byte(e.user), ID: []byte(e.id),
		Quantity: e.quantity, AmountMicros: e.amount,
		Product: profile.Product{ID: []byte(e.product), Category: []byte(e.cat), Quantity: 1},
		Raw:     []byte(`{"raw":` + fmt.Sprint(e.offset) + `}`),
	}
	if e.kind == "search" {
		out.Query = []byte("q" + e.id)
	}
	if e.kind == "feedback" {
		out.Text = []byte("text " + e.id)
	}
	for _, it := range e.items {
		out.Items = append(out.Items, profile.Product{ID: []byte(it[0]), Category: []byte(it[1]), Quantity: 1})
	}
	return out
}

// apply feeds one log record, at its place as offset.
func (r *runner) apply(offset int64, it *logItem) {
	r.t.Helper()
	switch {
	case it.ev != nil:
		r.r.Kind, r.r.Event = profile.KindEvent, *eventOf(it.ev)
	case it.set != nil:
		r.r.Kind, r.r.SourceSet.Sources = profile.KindSourceSet, nil
		for _, s := range it.set {
			r.r.SourceSet.Sources = append(r.r.SourceSet.Sources, sourceOf(s))
		}
	case it.erase != "":
		r.r.Kind, r.r.Erase.User = profile.KindErase, []byte(it.erase)
	case it.rescore > 0:
		r.r.Kind, r.r.Rescore.Promotion = profile.KindRescore, it.rescore
	default:
		r.r.Kind = profile.KindWatermark
		r.r.Watermark = profile.Watermark{Source: sourceOf(it.mark), WMillis: it.w}
	}
	r.must(r.p.Apply(offset, &r.r))
}

// work emits what is due, without live rows.
func (r *runner) work() {
	for more := true; more; {
		more = r.p.Work(r.maxBytes)
		r.take()
	}
}

func (r *runner) emitLive() {
	for more := true; more; {
		more = r.p.EmitLive(r.maxBytes)
		r.take()
	}
}

func (r *runner) take() {
	r.t.Helper()
	for _, row := range r.rows(r.p.Days()) {
		k := rowKey{row.user, row.asOf}
		if old, ok := r.days[k]; ok && old.version > row.version {
			r.t.Fatalf("version of %v went back from %d to %d", k, old.version, row.version)
		} else if ok && old.version == row.version && old.digest != row.digest {
			r.t.Fatalf("version %d of %v has two contents", row.version, k)
		}
		r.days[k] = row
		r.nDays++
	}
	for _, row := range r.rows(r.p.Live()) {
		if old, ok := r.live[row.user]; ok && (old.asOf > row.asOf || old.version > row.version) {
			r.t.Fatalf("live row went back: %+v to %+v", old, row)
		}
		r.live[row.user] = row
	}
	r.diverted = append(r.diverted, r.p.TakeDiverted()...)
}

// checkpoint writes the state; restart says to go on from it in a new partition.
func (r *runner) checkpoint(restart bool) {
	r.t.Helper()
	r.emitLive()
	r.must(r.p.Changes(profile.LastRecord{CRC: 7, TimestampMillis: 8}, func(key, value []byte) error {
		if r.store != nil {
			r.must(profile.Mirror(r.store, key, value))
		}
		if value == nil {
			delete(r.state, string(key))
		} else {
			r.state[string(key)] = append([]byte{}, value...)
		}
		return nil
	}))
	if r.store != nil {
		r.must(r.p.MirrorUsers(r.store))
	}
	r.p.Commit()
	if restart {
		r.open()
	}
}

func (r *runner) rows(b *profile.RowBatch) []gotRow {
	if b.Len() == 0 {
		return nil
	}
	return readRows(r.t, b.Take())
}

func readRows(t fataler, rec arrow.Record) []gotRow {
	t.Helper()
	defer rec.Release()
	if !rec.Schema().Equal(schemas.WindowRows) {
		t.Fatalf("schema %v", rec.Schema())
	}
	rows := make([]gotRow, rec.NumRows())
	at := func(col, i int) int64 { return int64(rec.Column(col).(*array.Timestamp).Value(i)) }
	list := rec.Column(schemas.ColRecent).(*array.List)
	entries := list.ListValues().(*array.Struct)
	for i := range rows {
		r := &rows[i]
		r.user = rec.Column(schemas.ColUserID).(*array.String).Value(i)
		r.asOf, r.kafka = at(schemas.ColAsOf, i), at(schemas.ColKafkaTime, i)
		r.version = rec.Column(schemas.ColVersion).(*array.Int64).Value(i)
		r.trigger = schemas.TriggerNames[rec.Column(schemas.ColTrigger).(*array.Uint8).Value(i)]
		r.digest = rec.Column(schemas.ColDigest).(*array.Uint64).Value(i)
		r.flags = rec.Column(schemas.ColFlags).(*array.Uint32).Value(i)
		if p := rec.Column(schemas.ColLogPartition).(*array.Int32).Value(i); p != 3 {
			t.Fatalf("log partition %d", p)
		}
		r.f = map[string]float64{}
		for c, f := range schemas.Features {
			switch col := rec.Column(schemas.ColFeatures + c).(type) {
			case *array.Int64:
				r.f[f.Name] = float64(col.Value(i))
			case *array.Timestamp:
				r.f[f.Name] = float64(col.Value(i))
			case *array.Float64:
				r.f[f.Name] = col.Value(i)
			}
			if rec.Column(schemas.ColFeatures + c).IsNull(i) {
				delete(r.f, f.Name)
			}
		}
		from, to := list.ValueOffsets(i)
		for j := int(from); j < int(to); j++ {
			r.recent = append(r.recent, fmt.Sprintf("%d %d %s\x00%s\x00%s",
				entries.Field(0).(*array.Uint8).Value(j), entries.Field(1).(*array.Timestamp).Value(j),
				entries.Field(2).(*array.String).Value(j), entries.Field(3).(*array.String).Value(j),
				entries.Field(4).(*array.String).Value(j)))
		}
		if text := rec.Column(schemas.ColFeedbackText).(*array.String); text.IsValid(i) {
			r.feedback, r.feedbackAt, r.hasFeedbackRow = text.Value(i), at(schemas.ColFeedbackAt, i), true
		}
	}
	return rows
}

// check compares everything with the oracle.
func (r *runner) check(o *oracleState) error {
	users := o.users()
	due := o.dayRows()
	n := 0
	for user, days := range due {
		for day, trigger := range days {
			n++
			k := rowKey{user, (day+1)*oDay - 1}
			row, ok := r.days[k]
			if !ok {
				return fmt.Errorf("no row of %v, due by %s", k, trigger)
			}
			if row.trigger != trigger && row.trigger != "correction" {
				return fmt.Errorf("row %v has trigger %s, want %s", k, row.trigger, trigger)
			}
			if err := compareRow(row, users[user]); err != nil {
				return err
			}
		}
	}
	if n != len(r.days) {
		return fmt.Errorf("%d day rows, want %d", len(r.days), n)
	}
	if len(r.live) != len(users) {
		return fmt.Errorf("%d live rows, want %d", len(r.live), len(users))
	}
	for user, row := range r.live {
		if want := o.liveAsOf(users[user], due[user]); row.asOf != want {
			return fmt.Errorf("live row of %s as of %d, want %d", user, row.asOf, want)
		}
		if err := compareRow(row, users[user]); err != nil {
			return err
		}
	}
	return r.checkAccounting(o)
}

func (r *runner) checkAccounting(o *oracleState) error {
	late := 0
	for _, a := range r.p.Accounting() {
		src := fmt.Sprintf("%s/%d", a.Source.Topic, a.Source.Partition)
		for what, got := range map[string]int64{"applied ": a.Applied, "duplicates ": a.Duplicates, "late ": a.Late} {
			if want := o.counts[what+src]; int(got) != want {
				return fmt.Errorf("%s%s: %d, want %d", what, src, got, want)
			}
		}
		late += o.counts["late "+src]
	}
	if late != len(r.diverted) {
		return fmt.Errorf("%d diverted, want %d", len(r.diverted), late)
	}
	if w, ok := r.p.W(); ok != o.haveW || ok && w != o.w {
		return fmt.Errorf("W is %d %v, want %d %v", w, ok, o.w, o.haveW)
	}
	return nil
}

func compareRow(row gotRow, events []shopEvent) error {
	want := oracleFeatures(events, row.asOf)
	for _, f := range schemas.Features {
		g, gok := row.f[f.Name]
		w, wok := want[f.Name]
		if g != w && !(math.IsNaN(g) && math.IsNaN(w)) || gok != wok {
			return fmt.Errorf("%s of %s as of %d is %v (%v), want %v (%v)", f.Name, row.user, row.asOf, g, gok, w, wok)
		}
	}
	if want := oracleRecent(events, row.asOf); !slices.Equal(row.recent, want) {
		return fmt.Errorf("recent of %s as of %d is\n%q, want\n%q", row.user, row.asOf, row.recent, want)
	}
	return nil
}

var errNotEqual = errors.New("not equal")

// sameRows compares the last rows of two runs by content.
func (r *runner) sameRows(o *runner) error {
	if len(r.days) != len(o.days) || len(r.live) != len(o.live) {
		return fmt.Errorf("%w: %d and %d day rows, %d and %d live rows", errNotEqual, len(r.days), len(o.days), len(r.live), len(o.live))
	}
	for k, a := range r.days {
		if b, ok := o.days[k]; !ok || a.digest != b.digest {
			return fmt.Errorf("%w: %v", errNotEqual, k)
		}
	}
	for u, a := range r.live {
		if b, ok := o.live[u]; !ok || a.digest != b.digest || a.asOf != b.asOf {
			return fmt.Errorf("%w: live row of %s", errNotEqual, u)
		}
	}
	return nil
}
