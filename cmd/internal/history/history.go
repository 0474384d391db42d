package history

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/apache/arrow/go/v17/arrow"

	"profilestream/cmd/internal/config"
	"profilestream/profile"
)

// History is a set of valid events.
type History struct {
	cfg     *config.Config
	parser  *profile.Parser
	events  []event
	text    []byte // log records, one after the other
	event   profile.Event
	offsets map[string]int64

	// Rejected counts the records that are no events, by reason.
	Rejected map[string]int64
}

// event is a log record with what labels are made of.
type event struct {
	millis   int64
	from, to int
	user     string // interned
	id       string // topic and event id; "" if none
	micros   int64  // purchases positive, refunds negative
	kind     profile.Type
	category string // of the largest item of a purchase
	country  string // as the event's own field says; "" if it does not
}

// New makes an empty history; events are read by the configuration's rules.
func New(cfg *config.Config) (*History, error) {
	p, err := profile.NewParser(profile.ParserConfig{
		MaxFutureSkewMillis: cfg.Profile.MaxFutureSkew.Milliseconds(), Currency: cfg.Profile.Currency, Rates: cfg.Profile.Rates,
	})
	if err != nil {
		return nil, fmt.Errorf("reading a history: %w", err)
	}
	return &History{cfg: cfg, parser: p, offsets: map[string]int64{}, Rejected: map[string]int64{}}, nil
}

// Add takes a record of an input topic in. What is no event is counted.
func (h *History) Add(topic string, kafkaMillis int64, value []byte) error {
	kind, ok := profile.KindOfTopic(topic)
	if !ok {
		return fmt.Errorf("topic %q is neither clickstream nor purchases", topic)
	}
	offset := h.offsets[topic]
	h.offsets[topic]++
	e := &h.event
	if reject := h.parser.Parse(value, kind, kafkaMillis, e); reject != nil {
		h.Rejected[reject.Reason]++
		return nil
	}
	e.Source, e.Offset, e.KafkaMillis, e.Key, e.Raw = profile.Source{Topic: topic}, offset, kafkaMillis, nil, value
	from := len(h.text)
	h.text = profile.AppendEvent(h.text, e)
	ev := event{millis: e.TimeMillis, from: from, to: len(h.text), user: string(e.User), kind: e.Type}
	if len(e.ID) > 0 {
		ev.id = topic + "\x00" + string(e.ID)
	}
	ev.country = country(value)
	switch e.Type {
	case profile.TypePurchase:
		ev.micros, ev.category = e.AmountMicros, mainCategory(e.Items)
	case profile.TypeRefund:
		ev.micros = -e.AmountMicros
	}
	h.events = append(h.events, ev)
	return nil
}

func mainCategory(items []profile.Product) string {
	best, category := int64(-1), ""
	for i := range items {
		if worth := items[i].PriceMicros * items[i].Quantity; worth > best && len(items[i].Category) > 0 {
			best, category = worth, string(items[i].Category)
		}
	}
	return category
}

// Len is the number of valid events, duplicates included.
func (h *History) Len() int { return len(h.events) }

// RejectedWords says how many records are no events, and why; it is empty where
// all are.
func (h *History) RejectedWords() string {
	total, why := int64(0), []string{}
	for _, reason := range slices.Sorted(maps.Keys(h.Rejected)) {
		total += h.Rejected[reason]
		why = append(why, fmt.Sprintf("%s %d", reason, h.Rejected[reason]))
	}
	if total == 0 {
		return ""
	}
	return fmt.Sprintf("%d records are no events: %s", total, strings.Join(why, ", "))
}

// Span is the time of the first and of the last event.
func (h *History) Span() (first, last time.Time) {
	if len(h.events) == 0 {
		return
	}
	lo, hi := int64(math.MaxInt64), int64(math.MinInt64)
	for i := range h.events {
		lo, hi = min(lo, h.events[i].millis), max(hi, h.events[i].millis)
	}
	return time.UnixMilli(lo).UTC(), time.UnixMilli(hi).UTC()
}

// sorted orders the events by time; events of equal time keep their order.
func (h *History) sorted() {
	slices.SortStableFunc(h.events, func(a, b event) int {
		switch {
		case a.millis < b.millis:
			return -1
		case a.millis > b.millis:
			return 1
		}
		return 0
	})
}

// RowsAsOf returns, for each cut-off, the rows of every user with an event
// before it, as of the millisecond before it. Cut-offs are UTC midnights, rising.
// The caller releases the records.
func (h *History) RowsAsOf(cutoffs []time.Time) ([]arrow.Record, error) {
	var out []arrow.Record
	err := h.EachAsOf(cutoffs, func(_ time.Time, rec arrow.Record) error {
		rec.Retain()
		out = append(out, rec)
		return nil
	})
	if err != nil {
		for _, x := range out {
			x.Release()
		}
		return nil, err
	}
	return out, nil
}

// EachAsOf is RowsAsOf cut-off by cut-off, so that not all rows are in memory at
// once. fn must not keep the record.
func (h *History) EachAsOf(cutoffs []time.Time, fn func(cutoff time.Time, rec arrow.Record) error) error {
	if err := checkCutoffs(cutoffs); err != nil {
		return err
	}
	h.sorted()
	p, err := profile.NewPartition(profile.Config{
		LatenessMillis:   (24 * time.Hour).Milliseconds(),
		MaxEventsUserDay: h.cfg.Profile.MaxEventsUserDay, ConfigVersion: h.cfg.Version(),
	})
	if err != nil {
		return err
	}
	r := &replayer{h: h, p: p}
	if err := r.sources(); err != nil {
		return err
	}
	for _, cutoff := range cutoffs {
		rec, err := r.rowsBefore(cutoff)
		if err == nil {
			err = fn(cutoff, rec)
			rec.Release()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func checkCutoffs(cutoffs []time.Time) error {
	if len(cutoffs) == 0 {
		return errors.New("no cut-off is given")
	}
	for i, c := range cutoffs {
		if !c.Equal(c.UTC().Truncate(24 * time.Hour)) {
			return fmt.Errorf("cut-off %s is not midnight UTC", c.Format(time.RFC3339))
		}
		if i > 0 && !c.After(cutoffs[i-1]) {
			return errors.New("cut-offs must rise")
		}
	}
	return nil
}

// replayer feeds a history, ordered by time, into one log partition.
type replayer struct {
	h      *History
	p      *profile.LogPartition
	at     int   // next event
	offset int64 // next log offset
	record profile.Record
}

func (r *replayer) apply(value []byte) error {
	if err := profile.DecodeRecord(value, &r.record); err != nil {
		return err
	}
	// Windowing drops what does not rise within a source: by time, not by the
	// place in the file.
	r.record.Event.Offset = r.offset
	if err := r.p.Apply(r.offset, &r.record); err != nil {
		return err
	}
	r.offset++
	for r.p.Work(1 << 20) {
		r.p.Days().Take().Release()
	}
	return nil
}

func (r *replayer) topics() []string {
	out := make([]string, 0, len(r.h.offsets))
	for t := range r.h.offsets {
		out = append(out, t)
	}
	sort.Strings(out)
	return out
}

func (r *replayer) sources() error {
	var set profile.SourceSet
	for _, t := range r.topics() {
		set.Sources = append(set.Sources, profile.Source{Topic: t})
	}
	return r.apply(profile.AppendSourceSet(nil, &set))
}

// rowsBefore applies the events before the cut-off, day by day so that closed
// days are folded, and cuts the rows.
func (r *replayer) rowsBefore(cutoff time.Time) (arrow.Record, error) {
	const day = 24 * 3600 * 1000
	end := cutoff.UnixMilli()
	next := int64(math.MinInt64)
	for ; r.at < len(r.h.events) && r.h.events[r.at].millis < end; r.at++ {
		e := &r.h.events[r.at]
		if e.millis >= next {
			if next != math.MinInt64 {
				if err := r.watermark(e.millis - e.millis%day - 1); err != nil {
					return nil, err
				}
			}
			next = e.millis - e.millis%day + day
		}
		if err := r.apply(r.h.text[e.from:e.to]); err != nil {
			return nil, err
		}
	}
	if err := r.watermark(end - 1); err != nil {
		return nil, err
	}
	r.p.Days().Take().Release()
	if err := r.p.EmitAsOf(end - 1); err != nil {
		return nil, err
	}
	return r.p.Days().Take(), nil
}

func (r *replayer) watermark(millis int64) error {
	for _, t := range r.topics() {
		w := profile.Watermark{Source: profile.Source{Topic: t}, WMillis: millis}
		if err := r.apply(profile.AppendWatermark(nil, &w)); err != nil {
			return err
		}
	}
	return nil
}
