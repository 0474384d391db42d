package stage

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sort"
	"strconv"
	"time"

	"profilestream/cmd/internal/admin"
	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/privacy"
	"profilestream/cmd/internal/process"
	"profilestream/profile"
	"profilestream/schemas"
	"profilestream/stream"
	"profilestream/stream/failpoint"
	"profilestream/stream/wire"
)

const (
	// maxKeyBytes is how much of a source record's key is kept. Keys mean nothing
	// here, but one that no topic of ours can hold must not stop the stream.
	maxKeyBytes = 512 << 10
	// maxDeadLetterBytes is the largest value that the DLQ keeps whole.
	maxDeadLetterBytes = stream.MaxDeadLetterBatchBytes - 1<<20
)

// admission makes one event log of a worker's sources. It handles one group
// generation and belongs to one goroutine.
//
// Nothing is lost and nothing is skipped: a source's records are appended in
// its order, without gaps; the offset is committed after the appends and the
// dead letters before it are acknowledged. A crash repeats appends, which
// windowing drops by their source positions.
type admission struct {
	cfg     *config.Config
	client  *wire.Client
	metrics *ingestMetrics
	parser  *profile.Parser
	health  *admin.Health
	log     *slog.Logger
	until   time.Time // with -drain: where to move time at the end; zero: nowhere
	now     func() time.Time

	erased     *privacy.Set
	pseudonyms *privacy.Pseudonyms // nil: ids stay what they are

	events, dlq *stream.Writer
	sources     map[wire.TopicPartition]*source
	admitted    int64 // records since the last flush
	event       profile.Event
	buf, masked []byte
}

func newAdmission(env *process.Env, client *wire.Client, m *ingestMetrics) (*admission, error) {
	cfg := env.Config
	skew := cfg.Profile.MaxFutureSkew
	if failpoint.Due("admission.no_future_guard") {
		skew = 24 * 365 * time.Hour
	}
	parser, err := profile.NewParser(profile.ParserConfig{
		MaxFutureSkewMillis: skew.Milliseconds(), Currency: cfg.Profile.Currency, Rates: cfg.Profile.Rates,
	})
	if err != nil {
		return nil, &config.Error{Key: "profile", Reason: err.Error()}
	}
	pseudonyms, err := privacy.NewPseudonyms(&cfg.Privacy)
	if err != nil {
		return nil, err
	}
	topics := cfg.Topics()
	return &admission{
		pseudonyms: pseudonyms,
		cfg:        cfg, client: client, metrics: m, health: env.Health, log: env.Log, parser: parser, until: env.Until, now: failpoint.Now,
		events:  stream.NewWriter(client, topics.Events, cfg.Log.Partitions, stream.WriterConfig{Codec: logCodec, MaxBatchBytes: stream.MaxLogBatchBytes}),
		dlq:     stream.NewWriter(client, topics.DLQ, cfg.Log.Partitions, stream.WriterConfig{Codec: wire.LZ4, MaxBatchBytes: stream.MaxDeadLetterBatchBytes}),
		sources: map[wire.TopicPartition]*source{},
	}, nil
}

// Assigned takes over the sources and tells every log partition which sources
// there are, before any record of theirs. A source that cannot be read on from
// its committed place is refused before the log hears of that place and of the
// totals up to it, or begins a new epoch: its place is committed after the log
// has been told of the epoch and before anything is read, so that a crash in
// between loses and repeats nothing.
func (a *admission) Assigned(ctx context.Context, mine []stream.Assignment) (moved map[wire.TopicPartition]stream.Commit, err error) {
	all, err := a.client.Partitions(ctx, a.cfg.Input.Topics...)
	if err != nil {
		return nil, err
	}
	registry, err := readRegistry(ctx, a.client, a.cfg.Topics().Sources)
	if err != nil {
		return nil, err
	}
	news := map[string]known{}
	moved = map[wire.TopicPartition]stream.Commit{}
	for _, as := range mine {
		k := registry[as.Topic]
		s, g, err := a.take(ctx, as, k, slices.Contains(all, as.TP()))
		if err != nil {
			return nil, err
		}
		a.sources[as.TP()] = s
		if g != nil {
			if err := a.beginEpoch(ctx, s, g, k.behind(g, as.TopicID)); err != nil {
				return nil, err
			}
			moved[as.TP()] = stream.Commit{Offset: s.next, Metadata: s.metadata()}
		}
		n := max(news[as.Topic].Partitions, k.Partitions, int(as.Partition)+1)
		if now := (known{registryVersion, as.TopicID, max(k.Epoch, s.id.Epoch, news[as.Topic].Epoch), n}); now != k {
			news[as.Topic] = now
		}
	}
	if err := writeRegistry(ctx, a.client, a.cfg.Topics().Sources, a.now().UnixMilli(), news); err != nil {
		return nil, err
	}
	set := a.sourceSet(all)
	if err := a.toAll(ctx, profile.AppendSourceSet(nil, &set)); err != nil {
		return nil, err
	}
	if err := a.events.Flush(ctx); err != nil {
		return nil, err
	}
	a.health.Set("admission", nil)
	return moved, nil
}

// take makes the source of an assignment. It returns a gap where the source is
// to go on behind one. What the client's metadata does not show yet is new, and
// has none.
func (a *admission) take(ctx context.Context, as stream.Assignment, k known, shown bool) (*source, *gap, error) {
	kind, _ := profile.KindOfTopic(as.Topic)
	s := &source{id: profile.Source{Topic: as.Topic, Partition: as.Partition}, metrics: a.metrics.source(as.Topic), kind: kind, next: as.Committed, w: noWatermark, told: watermark{noWatermark, -1}}
	if err := s.restore(as.Metadata); err != nil {
		return nil, nil, err
	}
	if as.Metadata == "" {
		s.id.Epoch = k.Epoch
	}
	var g *gap
	if shown && !failpoint.Due("fetch.skip_out_of_range") {
		var err error
		if g, err = findGap(ctx, a.client, as, s, k); err != nil {
			return nil, nil, err
		}
		if g != nil && a.cfg.Input.OnGap != config.OnGapNewEpoch {
			return nil, nil, g.refuse(as.TP())
		}
	}
	s.topicID = as.TopicID
	return s, g, nil
}

// sourceSet lists the run's sources: those of this worker as it knows them, all
// others in the first epoch, which readers take for the newest that they know.
func (a *admission) sourceSet(all []wire.TopicPartition) profile.SourceSet {
	var set profile.SourceSet
	for _, tp := range all {
		id := profile.Source{Topic: tp.Topic, Partition: tp.Partition}
		if s := a.sources[tp]; s != nil {
			id = s.id
		}
		set.Sources = append(set.Sources, id)
	}
	for _, s := range a.sorted() { // the client's metadata may be older than the assignment
		if !slices.Contains(set.Sources, s.id) {
			set.Sources = append(set.Sources, s.id)
		}
	}
	return set
}

// Process admits consecutive records of one source. A damaged batch among them
// is dead-lettered by its positions: there is nothing else to keep of it.
func (a *admission) Process(ctx context.Context, tp wire.TopicPartition, rs *wire.Records) error {
	s := a.sources[tp]
	var n, bytes int64
	for {
		for r := rs.Next(); r != nil; r = rs.Next() {
			if err := a.admit(ctx, s, r); err != nil {
				return err
			}
			n++
			bytes += int64(len(r.Value))
		}
		cause := rs.Err()
		if cause == nil {
			break
		}
		d, ok := rs.PassOver()
		if !ok {
			return cause
		}
		a.log.Warn("dead-lettering a damaged batch", "topic", tp.Topic, "partition", tp.Partition, "first", d.First, "last", d.Last, "error", cause)
		for r := (wire.Record{Offset: d.First, Timestamp: d.TimestampMillis}); r.Offset <= d.Last; r.Offset++ {
			if err := a.admit(ctx, s, &r); err != nil {
				return err
			}
		}
		n += d.Last - d.First + 1
	}
	s.next = max(s.next, rs.Offset())
	s.metrics.read(n, bytes)
	a.admitted += n
	return a.tell(ctx, s)
}

// admit appends one record to the log, or to the DLQ.
func (a *admission) admit(ctx context.Context, s *source, r *wire.Record) error {
	s.next = r.Offset + 1
	r.Key = r.Key[:min(len(r.Key), maxKeyBytes)]
	e := &a.event
	reject := a.parser.Parse(r.Value, s.kind, r.Timestamp, e)
	if a.erased.Near(&s.id, r.Offset) && a.forgets(s, r, reject) {
		s.tellable = s.tellable || s.records > 0
		return nil
	}
	s.records++
	s.tellable = true
	if a.pseudonyms != nil {
		reject = a.mask(s, r, reject)
	}
	if reject != nil {
		s.rejected++
		a.metrics.rejected(s.id.Topic, reject.Reason)
		return a.reject(ctx, s, r, reject)
	}
	e.Source, e.Offset, e.KafkaMillis, e.Key, e.Raw = s.id, r.Offset, r.Timestamp, r.Key, r.Value
	a.buf = profile.AppendEvent(a.buf[:0], e)
	to := profile.Partition(e.User, int32(a.events.Partitions()))
	if err := a.events.Add(ctx, to, r.Timestamp, e.User, a.buf); err != nil {
		return err
	}
	if failpoint.Due("admission.append_twice") {
		if err := a.events.Add(ctx, to, r.Timestamp, e.User, a.buf); err != nil {
			return err
		}
	}
	if e.TimeMillis <= s.w {
		return nil
	}
	s.w = e.TimeMillis
	if !s.hourPassed() {
		return nil
	}
	return a.tell(ctx, s)
}

// reject sends a record to the DLQ as it was, with its reason and position.
func (a *admission) reject(ctx context.Context, s *source, r *wire.Record, why *profile.Reject) error {
	if failpoint.Due("admission.drop_rejected") {
		return nil
	}
	value := r.Value
	headers := deadLetterHeaders(why.Reason, why.Field, s.id, r.Offset, r.Timestamp)
	if whole := len(value); a.pseudonyms != nil && unread(why.Reason) {
		value = nil
		if whole > 0 {
			headers = append(headers, wire.Header{Key: schemas.HeaderTruncated, Value: []byte("true")})
		}
	} else if whole > maxDeadLetterBytes {
		value = value[:maxDeadLetterBytes]
		headers = append(headers, wire.Header{Key: schemas.HeaderTruncated, Value: []byte("true")})
	}
	return a.dlq.Add(ctx, s.id.Partition%int32(a.dlq.Partitions()), r.Timestamp, r.Key, value, headers...)
}

func deadLetterHeaders(reason, field string, s profile.Source, offset, kafkaMillis int64) []wire.Header {
	headers := []wire.Header{
		{Key: schemas.HeaderReason, Value: []byte(reason)},
		{Key: schemas.HeaderField, Value: []byte(field)},
		{Key: schemas.HeaderSourceTopic, Value: []byte(s.Topic)},
		{Key: schemas.HeaderSourcePartition, Value: strconv.AppendInt(nil, int64(s.Partition), 10)},
		{Key: schemas.HeaderSourceOffset, Value: strconv.AppendInt(nil, offset, 10)},
		{Key: schemas.HeaderKafkaTimestamp, Value: strconv.AppendInt(nil, kafkaMillis, 10)},
	}
	if s.Epoch > 0 {
		headers = append(headers, wire.Header{Key: schemas.HeaderSourceEpoch, Value: strconv.AppendInt(nil, int64(s.Epoch), 10)})
	}
	return headers
}

// tell appends the source's watermark to every log partition when it is due.
// It stands behind the records that it covers, since a batch keeps its order.
func (a *admission) tell(ctx context.Context, s *source) error {
	if now := a.now().UnixMilli(); s.due(now) {
		return a.tellNow(ctx, s, now)
	}
	return nil
}

func (a *admission) tellNow(ctx context.Context, s *source, now int64) error {
	w := s.record()
	a.buf = profile.AppendWatermark(a.buf[:0], &w)
	s.told, s.toldAt = watermark{w.WMillis, w.NextOffset}, now
	return a.toAll(ctx, a.buf)
}

func (a *admission) toAll(ctx context.Context, record []byte) error {
	now := a.now().UnixMilli()
	for p := range a.events.Partitions() {
		if err := a.events.Add(ctx, int32(p), now, nil, record); err != nil {
			return err
		}
	}
	return nil
}

// Idle moves the time of a source that has had nothing to read for idle_after:
// to the clock when the empty fetch was sent. Windowing takes the smaller of
// that and the time at which the broker appended the record.
func (a *admission) Idle(ctx context.Context, tp wire.TopicPartition, since, fetchSentAt time.Time) error {
	after := a.cfg.Profile.IdleAfter
	if after == 0 || fetchSentAt.Sub(since) < after {
		return nil
	}
	s, now := a.sources[tp], a.now().UnixMilli()
	w := s.record()
	w.WMillis, w.Idle = max(s.w, fetchSentAt.UnixMilli()), true
	if now-s.toldAt < 1000 || w.WMillis <= max(s.told.w, s.idleTold) {
		return nil
	}
	s.idleTold, s.toldAt = w.WMillis, now
	a.buf = profile.AppendWatermark(a.buf[:0], &w)
	return a.toAll(ctx, a.buf)
}

// Finish is the last flush. Once drained it moves time where -until says, and
// tells the log of every source, so that its totals are complete.
func (a *admission) Finish(ctx context.Context, why stream.Ending) (map[wire.TopicPartition]stream.Commit, error) {
	for _, s := range a.sorted() {
		if why == stream.Drained && !a.until.IsZero() {
			s.w, s.tellable = max(s.w, a.until.UnixMilli()), true
		}
		if s.tellable && s.told != (watermark{s.w, s.next}) {
			if err := a.tellNow(ctx, s, a.now().UnixMilli()); err != nil {
				return nil, err
			}
		}
	}
	return a.Flush(ctx)
}

func (a *admission) sorted() []*source {
	out := make([]*source, 0, len(a.sources))
	for _, s := range a.sources {
		out = append(out, s)
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].id.Topic != out[j].id.Topic {
			return out[i].id.Topic < out[j].id.Topic
		}
		return out[i].id.Partition < out[j].id.Partition
	})
	return out
}

// Flush makes all that was admitted durable and returns the offsets to commit.
func (a *admission) Flush(ctx context.Context) (map[wire.TopicPartition]stream.Commit, error) {
	for _, s := range a.sources {
		if err := a.tell(ctx, s); err != nil {
			return nil, err
		}
	}
	if failpoint.Due("admission.commit_early") {
		return a.commits(), nil
	}
	if err := a.dlq.Flush(ctx); err != nil {
		return nil, err
	}
	if err := a.events.Flush(ctx); err != nil {
		return nil, err
	}
	if a.admitted > 0 {
		failpoint.Hit("admission.after_append")
	}
	a.admitted = 0
	return a.commits(), nil
}

// commits are the offsets of what was admitted, with the totals up to them.
func (a *admission) commits() map[wire.TopicPartition]stream.Commit {
	commits := make(map[wire.TopicPartition]stream.Commit, len(a.sources))
	for tp, s := range a.sources {
		commits[tp] = stream.Commit{Offset: s.next, Metadata: s.metadata()}
	}
	return commits
}

// Close gives the sources up. What is still on its way was not flushed: its
// owner reads and appends it again, so how it ends does not matter.
func (a *admission) Close() error {
	return errors.Join(a.events.Close(), a.dlq.Close())
}
