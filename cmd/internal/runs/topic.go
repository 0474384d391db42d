package runs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"profilestream/schemas"
	"profilestream/stream"
	"profilestream/stream/wire"
)

var topic = wire.TopicPartition{Topic: schemas.RunsTopic}

// Find returns the record of a run; false where there is none.
func Find(ctx context.Context, c *wire.Client, run string) (Record, bool, error) {
	all, err := All(ctx, c)
	r, ok := all[run]
	return r, ok, err
}

// All returns the records of all runs that were started with this package.
func All(ctx context.Context, c *wire.Client) (map[string]Record, error) {
	topics, err := c.Topics(ctx)
	if err != nil || topics[topic.Topic] == 0 {
		return nil, err
	}
	found, _, err := stream.ReadTable(ctx, c, topic.Topic, nil, decodeRecord)
	return found, err
}

// seat is the right to write a run's record: the newest one made is the one that
// has it.
type seat struct {
	run string
	txn *wire.Transactor
}

func takeSeat(ctx context.Context, c *wire.Client, run string) (*seat, error) {
	txn, err := c.NewTransactor(ctx, topic.Topic+"."+run, wire.TransactorConfig{})
	if err != nil {
		return nil, err
	}
	return &seat{run, txn}, nil
}

// write stores a record; nil removes it.
func (s *seat) write(ctx context.Context, r *Record) (err error) {
	var value []byte
	if r != nil {
		if value, err = r.encode(); err != nil {
			return err
		}
	}
	b := new(wire.Builder)
	b.Add(time.Now().UnixMilli(), []byte(s.run), value)
	if _, err = s.txn.Append(ctx, topic.Topic, topic.Partition, b); err == nil {
		err = s.txn.Commit(ctx)
	}
	if errors.Is(err, wire.ErrFenced) {
		return fmt.Errorf("another command changes run %s at the same time: %w", s.run, err)
	}
	return err
}
