package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	kafka "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"profilestream/stream/failpoint"
)

// ProducerConfig says how batches are written. Zero values take the defaults named with them.
type ProducerConfig struct {
	Codec         Codec // None
	MaxBatchBytes int   // 1,000,000 encoded; more is split into several batches before it is sent
}

func (c *ProducerConfig) setDefaults() {
	if c.MaxBatchBytes == 0 {
		c.MaxBatchBytes = 1_000_000
	}
}

// Producer appends batches to one topic partition, in order, once each, acknowledged by all in-sync replicas.
// It belongs to one goroutine; different partitions append at the same time through different producers.
type Producer struct {
	c         *Client
	topic     string
	partition int32
	cfg       ProducerConfig
	session   stamp
	ready     bool
	broken    error
}

// NewProducer returns a producer. It asks for its producer id at the first Append.
func (c *Client) NewProducer(topic string, partition int32, cfg ProducerConfig) *Producer {
	cfg.setDefaults()
	return &Producer{c: c, topic: topic, partition: partition, cfg: cfg}
}

// Append writes the builder's records and returns the offset of the first, -1 where the broker no longer knows it. It
// waits out broker failures for as long as ctx lives; the same sequence number goes with every try, so that a batch
// whose acknowledgement was lost is not written twice. Records over the batch limit are split over several batches in
// order. After any error the producer refuses further appends with ErrSequence: some records may have been written.
// The exception is ErrMessageTooLarge for a single record, where nothing was written.
func (p *Producer) Append(ctx context.Context, b *Builder) (int64, error) {
	if p.broken != nil {
		return -1, fmt.Errorf("appending to %s[%d]: %w after: %w", p.topic, p.partition, ErrSequence, p.broken)
	}
	if b.Len() == 0 {
		return -1, fmt.Errorf("appending to %s[%d]: an empty batch", p.topic, p.partition)
	}
	if !p.ready {
		id, err := p.c.initProducer(ctx, "", 0)
		if err != nil {
			return -1, err
		}
		p.session, p.ready = id, true
	}
	w := batchWriter{c: p.c, topic: p.topic, partition: p.partition, codec: p.cfg.Codec, maxBytes: p.cfg.MaxBatchBytes, session: &p.session}
	base, err := w.write(ctx, b)
	if err != nil && (w.sent || !errors.Is(err, ErrMessageTooLarge)) {
		p.broken = err
	}
	return base, err
}

// initProducer obtains a producer session; with a transactional id it fences all older ones.
func (c *Client) initProducer(ctx context.Context, txid string, timeoutMillis int) (stamp, error) {
	s := unstamped
	what := "obtaining a producer id"
	if txid != "" {
		what += " for " + txid
	}
	err := c.retry(ctx, what, func(ctx context.Context) error {
		res, err := c.api.InitProducerID(ctx, &kafka.InitProducerIDRequest{
			TransactionalID: txid, TransactionTimeoutMs: timeoutMillis, ProducerID: -1, ProducerEpoch: -1,
		})
		if err != nil {
			return err
		}
		if res.Error != nil {
			return fromError(res.Error)
		}
		s = stamp{producerID: int64(res.Producer.ProducerID), epoch: int16(res.Producer.ProducerEpoch), transaction: txid != ""}
		return nil
	})
	return s, err
}

// batchWriter sends one builder's records under a session, splitting as needed.
type batchWriter struct {
	c         *Client
	topic     string
	partition int32
	txid      string
	codec     Codec
	maxBytes  int
	session   *stamp
	sent      bool // a batch was accepted
	forgotten bool // by a fault of a test
}

func (w *batchWriter) write(ctx context.Context, b *Builder) (int64, error) {
	batch, err := b.encode(w.codec, *w.session)
	if err != nil {
		return -1, err
	}
	if len(batch) > w.maxBytes && b.Len() > 1 {
		return w.halves(ctx, b)
	}
	base, err := w.send(ctx, b, batch)
	if errors.Is(err, ErrMessageTooLarge) {
		if b.Len() > 1 { // the broker's limit is below ours
			return w.halves(ctx, b)
		}
		return -1, fmt.Errorf("a record of %d bytes (%d encoded with %v): %w", b.largest, len(batch), w.codec, err)
	}
	if err != nil {
		return -1, err
	}
	if w.forgotten {
		return -1, nil
	}
	w.sent = true
	w.session.sequence = int32((uint32(w.session.sequence) + uint32(b.Len())) & math.MaxInt32)
	return base, nil
}

func (w *batchWriter) halves(ctx context.Context, b *Builder) (int64, error) {
	first, second := b.split()
	base, err := w.write(ctx, first)
	if err != nil {
		return -1, err
	}
	if _, err := w.write(ctx, second); err != nil {
		return -1, err
	}
	return base, nil
}

func (w *batchWriter) send(ctx context.Context, b *Builder, batch []byte) (int64, error) {
	base := int64(-1)
	what := fmt.Sprintf("appending to %s[%d]", w.topic, w.partition)
	err := w.c.retry(ctx, what, func(ctx context.Context) error {
		req := &produceRequest{w: w, batch: batch, base: -1}
		if _, err := w.c.transport.RoundTrip(ctx, w.c.addr, req); err != nil {
			b.forget() // an abandoned try may still be writing these bytes
			if failpoint.Due("producer.forget_failed") {
				w.forgotten = true
				return nil
			}
			return err
		}
		if req.code == kafka.DuplicateSequenceNumber { // an earlier try was accepted
			return nil
		}
		if err := fromCode(req.code); err != nil {
			if failpoint.Due("producer.forget_failed") {
				w.forgotten = true
				return nil
			}
			if w.txid == "" && errors.Is(err, ErrFenced) { // nobody can fence an idempotent producer: its session is lost
				err = fmt.Errorf("%w: %w", ErrSequence, req.code)
			}
			return err
		}
		base = req.base
		return nil
	})
	return base, err
}

// produceRequest is a Produce v8 with one encoded batch, routed by kafka-go's transport.
type produceRequest struct {
	w     *batchWriter
	batch []byte

	code kafka.Error
	base int64
}

// ApiKey implements protocol.Message.
func (r *produceRequest) ApiKey() protocol.ApiKey { return protocol.Produce }

// Broker implements protocol.BrokerMessage.
func (r *produceRequest) Broker(c protocol.Cluster) (protocol.Broker, error) {
	return leader(c, r.w.topic, r.w.partition)
}

// Required implements protocol.RawExchanger.
func (r *produceRequest) Required(map[protocol.ApiKey]int16) bool { return true }

// RawExchange implements protocol.RawExchanger.
func (r *produceRequest) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	w, cfg := r.w, &r.w.c.cfg
	id := correlation.Add(1)
	be := binary.BigEndian
	o := appendRequestHeader(make([]byte, 0, 128+len(w.topic)+len(w.txid)+len(cfg.ClientID)), protocol.Produce, 8, id, cfg.ClientID)
	if w.txid == "" {
		o = be.AppendUint16(o, math.MaxUint16)
	} else {
		o = appendString(o, w.txid)
	}
	o = be.AppendUint16(o, math.MaxUint16) // acks: all
	o = be.AppendUint32(o, uint32(cfg.RequestTimeout.Milliseconds()*3/4))
	o = be.AppendUint32(o, 1)
	o = appendString(o, w.topic)
	o = be.AppendUint32(o, 1)
	o = be.AppendUint32(o, uint32(w.partition))
	o = be.AppendUint32(o, uint32(len(r.batch)))
	resp, err := exchange(rw, id, o, r.batch, nil)
	if err != nil {
		return nil, err
	}
	return r, r.parse(&resp)
}

func (r *produceRequest) parse(b *response) error {
	found := false
	for range b.count(6) {
		topic := b.string()
		for range b.count(34) {
			partition := b.int32()
			code := kafka.Error(b.int16())
			base := b.int64()
			b.int64() // append time
			b.int64() // log start
			for range b.count(6) {
				b.int32()
				b.string()
			}
			b.string() // message
			if topic == r.w.topic && partition == r.w.partition {
				found, r.code, r.base = true, code, base
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
