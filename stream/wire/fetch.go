package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	kafka "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"profilestream/stream/failpoint"
)

// FetchConfig says how a partition is read. Zero values take the defaults named with them.
type FetchConfig struct {
	MaxWait   time.Duration // 500 ms: how long the broker may wait for MinBytes
	MinBytes  int32         // 1
	MaxBytes  int32         // 4 MiB of batches in one response; a larger batch comes alone
	Committed bool          // hide open and aborted transactions
	// TopicID, if set, is that of the topic in which the offsets lie. Once the topic has another, Fetch returns a
	// *RecreatedError: its records are looked at for that after any trouble, and once a second.
	TopicID string
}

// topicCheckInterval is how long records are taken for those of the same topic without asking. A topic that is deleted,
// made anew and filled beyond the offset sooner than that, between two fetches, goes unnoticed until the next takeover.
const topicCheckInterval = time.Second

func (c *FetchConfig) setDefaults() {
	if c.MaxWait == 0 {
		c.MaxWait = 500 * time.Millisecond
	}
	if c.MinBytes == 0 {
		c.MinBytes = 1
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = 4 << 20
	}
}

// Records is what one fetch of one partition brought, decoded as it is read with Next. It belongs to one goroutine;
// Release gives its memory back to its fetcher.
type Records struct {
	Topic     string
	Partition int32
	// From is the offset that was asked for, To the one the next fetch asks for.
	From, To      int64
	HighWatermark int64     // one past the last replicated record
	LastStable    int64     // one past the last record whose transaction is decided
	LogStart      int64     // first offset still in the log
	SentAt        time.Time // when the request was sent
	Decoder

	raw     []byte
	fetcher *Fetcher
}

// Size returns the bytes held in their compressed form.
func (r *Records) Size() int { return len(r.raw) }

// AtEnd reports that the fetch found nothing because its offset was the log's end, for this reader's isolation.
func (r *Records) AtEnd() bool { return r.To == r.From && r.From >= r.end() }

// Backlog returns how many offsets of the log lie beyond this set.
func (r *Records) Backlog() int64 { return max(0, r.end()-r.To) }

func (r *Records) end() int64 {
	if r.fetcher != nil && r.fetcher.cfg.Committed {
		return r.LastStable
	}
	return r.HighWatermark
}

// keptBytes is the size up to which a buffer is kept whatever it last held.
const keptBytes = 256 << 10

// Release returns the buffers to the fetcher that made the set, unless they are much larger than the set: what a
// backlog needed must not stay for ever. Records read from it are no longer valid.
func (r *Records) Release() {
	if f := r.fetcher; f != nil {
		r.fetcher = nil
		if cap(r.raw) > max(keptBytes, 4*len(r.raw)) {
			r.raw, r.buf = nil, nil
		}
		select {
		case f.free <- r:
		default:
		}
	}
}

// Fetcher reads one topic partition in order. Fetch may run ahead of the decoding of its results. It belongs to one
// goroutine; the Records it returns may move to another.
type Fetcher struct {
	c         *Client
	topic     string
	partition int32
	offset    int64
	cfg       FetchConfig
	maxBytes  int32
	free      chan *Records
	checked   time.Time // when the topic was last seen to be the same
}

// NewFetcher returns a fetcher that starts at offset.
func (c *Client) NewFetcher(topic string, partition int32, offset int64, cfg FetchConfig) *Fetcher {
	cfg.setDefaults()
	return &Fetcher{c: c, topic: topic, partition: partition, offset: offset, cfg: cfg, maxBytes: cfg.MaxBytes, free: make(chan *Records, 1)}
}

// Offset returns the offset of the next fetch.
func (f *Fetcher) Offset() int64 { return f.offset }

// corruptTries is how often a set with a wrong checksum is fetched again before the log itself is blamed.
const corruptTries = 3

// Fetch returns the next set, empty after MaxWait without data. It waits out leader changes and broken connections for
// as long as ctx lives. It returns an *OffsetOutOfRangeError where the log does not hold the offset, ErrCorrupt where it
// holds damaged bytes, ErrUnknownTopic where the topic is gone.
func (f *Fetcher) Fetch(ctx context.Context) (*Records, error) {
	var (
		out    *Records
		broken int
		tries  int
	)
	what := fmt.Sprintf("fetching %s[%d]@%d", f.topic, f.partition, f.offset)
	err := f.c.retry(ctx, what, func(ctx context.Context) error {
		if tries++; tries > 1 {
			f.checked = time.Time{}
		}
		for {
			r, err := f.once(ctx)
			if errors.Is(err, errGrow) {
				f.maxBytes = int32(min(int64(f.maxBytes)*4, maxResponseBytes/2))
				continue
			}
			if errors.Is(err, ErrCorrupt) {
				if broken++; broken < corruptTries {
					continue
				}
			}
			if errors.Is(err, ErrOffsetOutOfRange) || err == nil && r.To > r.From && time.Since(f.checked) > topicCheckInterval {
				err = errors.Join(f.sameTopic(ctx), err)
			}
			out = r
			return err
		}
	})
	if err != nil {
		return nil, err
	}
	f.offset = out.To
	return out, nil
}

// sameTopic returns a *RecreatedError if the topic is another one than that of the offsets.
func (f *Fetcher) sameTopic(ctx context.Context) error {
	if f.cfg.TopicID == "" {
		return nil
	}
	id, err := f.c.topicID(ctx, f.topic, f.partition)
	if err != nil {
		return err
	}
	if id != f.cfg.TopicID {
		return &RecreatedError{Topic: f.topic, Was: f.cfg.TopicID, Is: id}
	}
	f.checked = time.Now()
	return nil
}

// errGrow asks for a larger fetch: not one batch fitted.
var errGrow = errors.New("no complete batch in the response")

func (f *Fetcher) once(ctx context.Context) (*Records, error) {
	var rs *Records
	select {
	case rs = <-f.free:
	default:
		rs = new(Records)
	}
	req := &fetchRequest{f: f, offset: f.offset, maxBytes: f.maxBytes, buf: rs.raw[:cap(rs.raw)]}
	sent := failpoint.Now()
	// A request that fails may still be reading into its buffer, so rs is only used again after success.
	if _, err := f.c.transport.RoundTrip(ctx, f.c.addr, req); err != nil {
		return nil, err
	}
	if req.code == kafka.OffsetOutOfRange {
		err := f.outOfRange(ctx)
		if out := new(OffsetOutOfRangeError); errors.As(err, &out) && failpoint.Due("fetch.skip_out_of_range") {
			f.offset = min(max(f.offset, out.Start), out.End)
			return f.once(ctx)
		}
		return nil, err
	}
	if err := fromCode(req.code); err != nil {
		return nil, err
	}
	*rs = Records{
		Topic: f.topic, Partition: f.partition, From: f.offset, HighWatermark: req.highWatermark, LastStable: req.lastStable,
		LogStart: req.logStart, SentAt: sent, Decoder: rs.Decoder, raw: req.resp, fetcher: f,
	}
	to, err := verify(req.set, f.offset)
	if err != nil {
		return nil, err
	}
	if to == f.offset && len(req.set) > 0 {
		if f.maxBytes >= maxResponseBytes/2 {
			return nil, fmt.Errorf("%w: a batch of more than %d bytes", ErrCorrupt, f.maxBytes)
		}
		return nil, errGrow
	}
	rs.To = to
	rs.Reset(req.set, f.offset, req.aborted)
	rs.verified = true
	return rs, nil
}

// verify checks every batch of a set and returns the offset after the last one.
func verify(set []byte, from int64) (int64, error) {
	next := from
	for {
		h, done, err := cutBatch(set)
		if done {
			return next, nil
		}
		if err != nil && errors.Is(err, errMagic) {
			return 0, fmt.Errorf("batch at offset %d: %w", h.base, err)
		}
		if err != nil {
			return 0, fmt.Errorf("%w: batch at offset %d: %w", ErrCorrupt, h.base, err)
		}
		if !checkCRC(set[:h.size]) {
			return 0, fmt.Errorf("%w: batch at offsets %d-%d: checksum mismatch", ErrCorrupt, h.base, h.last)
		}
		next = max(next, h.last+1)
		set = set[h.size:]
	}
}

// outOfRange decides whether the log really lacks the offset. Right after a leader moved, the new one may not know yet
// how far the log is replicated, so a refusal that the log's bounds contradict is tried again.
func (f *Fetcher) outOfRange(ctx context.Context) error {
	if err := f.c.Within(ctx, f.topic, f.partition, f.offset); err != nil {
		return err
	}
	return kafka.OffsetNotAvailable
}

// Within returns an *OffsetOutOfRangeError unless a reader can go on at offset: the log still holds it, or ends there.
func (c *Client) Within(ctx context.Context, topic string, partition int32, offset int64) error {
	start, err := c.ListOffset(ctx, topic, partition, Earliest, false)
	if err != nil {
		return err
	}
	end, err := c.ListOffset(ctx, topic, partition, Latest, false)
	if err != nil {
		return err
	}
	if offset >= start && offset <= end {
		return nil
	}
	return &OffsetOutOfRangeError{Topic: topic, Partition: partition, Offset: offset, Start: start, End: end}
}

// fetchRequest is a Fetch v11 that kafka-go's transport routes to the leader and that does its own reading, so that the
// record set arrives as one slice and not as an object a record.
type fetchRequest struct {
	f        *Fetcher
	offset   int64
	maxBytes int32
	buf      []byte

	resp                                []byte
	set                                 []byte
	code                                kafka.Error
	highWatermark, lastStable, logStart int64
	aborted                             []Aborted
}

// ApiKey implements protocol.Message.
func (r *fetchRequest) ApiKey() protocol.ApiKey { return protocol.Fetch }

// Broker implements protocol.BrokerMessage.
func (r *fetchRequest) Broker(c protocol.Cluster) (protocol.Broker, error) {
	return leader(c, r.f.topic, r.f.partition)
}

// Required implements protocol.RawExchanger.
func (r *fetchRequest) Required(map[protocol.ApiKey]int16) bool { return true }

// RawExchange implements protocol.RawExchanger.
func (r *fetchRequest) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	f := r.f
	id := correlation.Add(1)
	be := binary.BigEndian
	o := appendRequestHeader(make([]byte, 0, 128+len(f.topic)+len(f.c.cfg.ClientID)), protocol.Fetch, 11, id, f.c.cfg.ClientID)
	o = be.AppendUint32(o, math.MaxUint32) // not a replica
	o = be.AppendUint32(o, uint32(f.cfg.MaxWait/time.Millisecond))
	o = be.AppendUint32(o, uint32(f.cfg.MinBytes))
	o = be.AppendUint32(o, uint32(r.maxBytes))
	isolation := byte(0)
	if f.cfg.Committed {
		isolation = 1
	}
	o = append(o, isolation)
	o = be.AppendUint32(o, 0)              // no fetch session
	o = be.AppendUint32(o, math.MaxUint32) // session epoch: none
	o = be.AppendUint32(o, 1)
	o = appendString(o, f.topic)
	o = be.AppendUint32(o, 1)
	o = be.AppendUint32(o, uint32(f.partition))
	o = be.AppendUint32(o, math.MaxUint32) // leader epoch: unknown
	o = be.AppendUint64(o, uint64(r.offset))
	o = be.AppendUint64(o, math.MaxUint64) // follower's log start: none
	o = be.AppendUint32(o, uint32(r.maxBytes))
	o = be.AppendUint32(o, 0) // forgotten topics
	o = be.AppendUint16(o, 0) // rack
	resp, err := exchange(rw, id, o, nil, r.buf)
	if err != nil {
		return nil, err
	}
	r.resp = resp.buf
	return r, r.parse(&resp)
}

func (r *fetchRequest) parse(b *response) error {
	b.int32() // throttle
	if code := kafka.Error(b.int16()); code != 0 {
		r.code = code
		return nil
	}
	b.int32() // session
	found := false
	for range b.count(6) {
		topic := b.string()
		for range b.count(38) {
			partition := b.int32()
			code := kafka.Error(b.int16())
			hw, lso, start := b.int64(), b.int64(), b.int64()
			var aborted []Aborted
			for range b.count(16) {
				aborted = append(aborted, Aborted{ProducerID: b.int64(), FirstOffset: b.int64()})
			}
			b.int32() // preferred replica
			var set []byte
			if n := b.int32(); n > 0 {
				set = b.take(int(n))
			}
			if topic == r.f.topic && partition == r.f.partition {
				found = true
				r.code, r.highWatermark, r.lastStable, r.logStart, r.aborted, r.set = code, hw, lso, start, aborted, set
			}
		}
	}
	if err := b.err(); err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("%w: it lacks the partition", errResponse)
	}
	return nil
}
