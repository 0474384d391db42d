package wire

import (
	"context"
	"errors"
	"fmt"
	"time"

	kafka "github.com/segmentio/kafka-go"
)

// TransactorConfig says how transactions are written. Zero values take the defaults named with them.
type TransactorConfig struct {
	Timeout       time.Duration // 60 s: the broker rolls back a transaction that stays open longer
	Codec         Codec         // None
	MaxBatchBytes int           // 1,000,000 encoded
}

// Transactor writes transactions under one transactional id. Its owner is the newest one made with that id: all older
// ones get ErrFenced from then on. It belongs to one goroutine.
type Transactor struct {
	c        *Client
	txid     string
	producer ProducerConfig
	id       stamp
	streams  map[TopicPartition]*stamp
	open     map[TopicPartition]bool // partitions in the current transaction
	broken   error
}

// NewTransactor takes the transactional id over: it fences older holders, and what they left open is rolled back
// before it returns. It is the only place that fences; a transactor that was fenced never takes its id back.
func (c *Client) NewTransactor(ctx context.Context, txid string, cfg TransactorConfig) (*Transactor, error) {
	if txid == "" {
		return nil, errors.New("a transactor needs a transactional id")
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = time.Minute
	}
	id, err := c.initProducer(ctx, txid, int(cfg.Timeout.Milliseconds()))
	if err != nil {
		return nil, err
	}
	t := &Transactor{c: c, txid: txid, id: id, streams: make(map[TopicPartition]*stamp), open: make(map[TopicPartition]bool)}
	t.producer = ProducerConfig{Codec: cfg.Codec, MaxBatchBytes: cfg.MaxBatchBytes}
	t.producer.setDefaults()
	return t, nil
}

// ProducerID returns the producer id and epoch held.
func (t *Transactor) ProducerID() (id int64, epoch int16) { return t.id.producerID, t.id.epoch }

// fail remembers an error. A transaction the coordinator does not know as open, though this transactor opened it, was
// ended for it: by a takeover or because it timed out.
func (t *Transactor) fail(err error) error {
	if errors.Is(err, kafka.InvalidTransactionState) {
		err = fmt.Errorf("%w: %w", ErrFenced, err)
	}
	if err != nil && t.broken == nil {
		t.broken = err
	}
	return err
}

func (t *Transactor) check(doing string) error {
	if t.broken != nil {
		return fmt.Errorf("%s in transaction %s: the transactor is dead after: %w", doing, t.txid, t.broken)
	}
	return nil
}

// Append writes the builder's records to a partition within the current transaction, which begins with the first
// Append. It returns the offset of the first record. After an error the transactor is dead: make a new one, which
// rolls back what was left open.
func (t *Transactor) Append(ctx context.Context, topic string, partition int32, b *Builder) (int64, error) {
	if err := t.check("appending"); err != nil {
		return -1, err
	}
	if b.Len() == 0 {
		return -1, fmt.Errorf("appending to %s[%d] in transaction %s: an empty batch", topic, partition, t.txid)
	}
	tp := TopicPartition{topic, partition}
	if !t.open[tp] {
		if err := t.add(ctx, tp); err != nil {
			return -1, t.fail(err)
		}
		t.open[tp] = true
	}
	s := t.streams[tp]
	if s == nil {
		s = &stamp{producerID: t.id.producerID, epoch: t.id.epoch, transaction: true}
		t.streams[tp] = s
	}
	w := batchWriter{c: t.c, topic: topic, partition: partition, txid: t.txid, codec: t.producer.Codec, maxBytes: t.producer.MaxBatchBytes, session: s}
	base, err := w.write(ctx, b)
	return base, t.fail(err)
}

// add declares a partition to the transaction's coordinator before anything is written to it.
func (t *Transactor) add(ctx context.Context, tp TopicPartition) error {
	return t.c.retry(ctx, fmt.Sprintf("adding %v to transaction %s", tp, t.txid), func(ctx context.Context) error {
		res, err := t.c.api.AddPartitionsToTxn(ctx, &kafka.AddPartitionsToTxnRequest{
			TransactionalID: t.txid, ProducerID: int(t.id.producerID), ProducerEpoch: int(t.id.epoch),
			Topics: map[string][]kafka.AddPartitionToTxn{tp.Topic: {{Partition: int(tp.Partition)}}},
		})
		if err != nil {
			return err
		}
		for _, ps := range res.Topics {
			for _, p := range ps {
				if p.Error != nil {
					return fromError(p.Error)
				}
			}
		}
		return nil
	})
}

// Commit makes the transaction's records visible to committed readers. Without an Append since the last one it does
// nothing. It may be repeated by itself after a lost answer: a coordinator that has already committed says so.
func (t *Transactor) Commit(ctx context.Context) error { return t.end(ctx, true) }

// Abort rolls the transaction back.
func (t *Transactor) Abort(ctx context.Context) error { return t.end(ctx, false) }

func (t *Transactor) end(ctx context.Context, commit bool) error {
	doing := "aborting"
	if commit {
		doing = "committing"
	}
	if err := t.check(doing); err != nil {
		return err
	}
	if len(t.open) == 0 {
		return nil
	}
	err := t.c.retry(ctx, doing+" transaction "+t.txid, func(ctx context.Context) error {
		res, err := t.c.api.EndTxn(ctx, &kafka.EndTxnRequest{
			TransactionalID: t.txid, ProducerID: int(t.id.producerID), ProducerEpoch: int(t.id.epoch), Committed: commit,
		})
		if err != nil {
			return err
		}
		return fromError(res.Error)
	})
	clear(t.open)
	return t.fail(err)
}
